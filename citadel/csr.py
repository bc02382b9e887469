"""Certificate signing requests as strangers send them. Pure; called off the event loop by whoever signs.

A request carries a key and the proof that the sender holds it, never the identity: names, extensions and wishes in it
are not even kept. What would cost the authority much (a huge key, a huge text) is refused before it is looked into.
"""

from __future__ import annotations

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

LARGEST = 16 << 10
"""Bytes of a request; one with an RSA key of 4,096 bits and a dozen names has 3 KB."""
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
RSA_BITS = (2048, 4096)
_RSA_EXPONENTS = range(3, 1 << 33)
_BEGIN = (b"-----BEGIN CERTIFICATE REQUEST-----", b"-----BEGIN NEW CERTIFICATE REQUEST-----")
_END = (b"-----END CERTIFICATE REQUEST-----", b"-----END NEW CERTIFICATE REQUEST-----")

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class CsrError(ValueError):
    """The request can't be signed; the message says what is wrong with it, without its bytes."""


@attrs.frozen
class Csr:
    """A key that is fit for the mesh and whose private half the sender has shown to hold. `der` is the request."""

    key: PublicKey
    der: bytes

    @property
    def pem(self) -> str:
        """The request anew: nothing that stood around it."""
        return x509.load_der_x509_csr(self.der).public_bytes(serialization.Encoding.PEM).decode()


def read_csr(pem: str | bytes) -> Csr:
    """The one request in a PEM text. CsrError says why it is none that would be signed."""
    data = pem.encode(errors="replace") if isinstance(pem, str) else pem
    if len(data) > LARGEST:
        raise CsrError(f"the certificate request has {len(data)} bytes: at most {LARGEST} are read")
    data = data.strip()
    if not data.startswith(_BEGIN) or not data.endswith(_END) or data.count(b"-----BEGIN") != 1:
        raise CsrError("not a certificate request: exactly one PEM block CERTIFICATE REQUEST and nothing else is read")
    try:
        request = x509.load_pem_x509_csr(data)
        key = request.public_key()
        _check_key(key)
        proven = request.is_signature_valid
    except CsrError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CsrError(f"not a certificate request that can be read: {str(error)[:200]}") from None
    if not proven:
        raise CsrError("the certificate request is not signed by its own key")
    assert isinstance(key, PublicKey)
    return Csr(key, request.public_bytes(serialization.Encoding.DER))


def _check_key(key: object) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, CURVES):
            raise CsrError(f"its key is on the curve {key.curve.name}: use P-256, P-384 or P-521")
    elif isinstance(key, rsa.RSAPublicKey):
        least, most = RSA_BITS
        if not least <= key.key_size <= most:
            raise CsrError(f"its RSA key has {key.key_size} bits: use {least} to {most}, or better EC P-256")
        if key.public_numbers().e not in _RSA_EXPONENTS:
            raise CsrError("the exponent of its RSA key is not between 3 and 2^33: use 65537")
    else:
        raise CsrError(f"its key is a {type(key).__name__}: use EC P-256, P-384, P-521 or RSA")
