"""The X.509-SVID profile: what a leaf and a signing certificate of the mesh look like, and whether one does.

Pure: time is an argument. `embedded` makes certificates by it, `vault` holds what Vault returns against it, and the
gates of the control plane read a peer's identity with it. The rules are those of spiffe.io's X509-SVID.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from citadel import identity
from citadel.csr import PublicKey
from citadel.identity import SpiffeId

BACKDATE = timedelta(minutes=5)
"""How far before its making a certificate begins, so that hosts whose clocks are behind take it."""
E = TypeVar("E", bound=x509.ExtensionType)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class ProfileError(ValueError):
    """A certificate that is not what it would have to be; the message says in what."""


@attrs.frozen
class Signer:
    """A signing certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey = attrs.field(repr=False)


def leaf(
    signer: Signer, key: PublicKey, spiffe: SpiffeId, not_before: datetime, not_after: datetime, names: Iterable[str]
) -> x509.Certificate:
    """A leaf for `spiffe`. `names` are further DNS names and IP addresses, for servers that others call by these.

    The subject is empty, so the alternative names are critical (RFC 5280, 4.2.1.6).
    """
    alternative = [x509.UniformResourceIdentifier(str(spiffe)), *(_general_name(each) for each in names)]
    return _sign(
        _builder(x509.Name([]), key, not_before, not_after, signer.certificate)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPublicKey)), True)
        .add_extension(x509.ExtendedKeyUsage(_USES), critical=False),
        signer.key,
    )


def root(key: PrivateKey, trust_domain: str, name: str, not_before: datetime, not_after: datetime) -> x509.Certificate:
    """A self-signed certificate that may sign leaves of the trust domain, and intermediates."""
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, trust_domain[:64]),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )
    alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(SpiffeId(trust_domain)))])
    return _sign(
        _builder(subject, key.public_key(), not_before, not_after, None)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True),
        key,
    )


def spiffe_id(certificate: x509.Certificate) -> SpiffeId:
    """The identity that a leaf asserts. ProfileError if it is no X.509-SVID that may authenticate anybody."""
    if _is_ca(certificate):
        raise ProfileError("it is a signing certificate (CA:TRUE), which must not authenticate")
    usage = _extension(certificate, x509.KeyUsage, "no Key Usage").value
    if usage.key_cert_sign or usage.crl_sign or not usage.digital_signature:
        raise ProfileError("its Key Usage is not that of a leaf: digitalSignature, and neither keyCertSign nor cRLSign")
    names = _extension(certificate, x509.SubjectAlternativeName, "no Subject Alternative Name").value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise ProfileError(f"it has {len(uris)} URI names, not exactly one")
    try:
        found = identity.parse(uris[0])
    except identity.IdentityError as error:
        raise ProfileError(str(error)) from None
    if not found.path:
        raise ProfileError(f"{found} has no path: it names a trust domain, not a workload")
    return found


def check_leaf(certificate: x509.Certificate, key: PublicKey, spiffe: SpiffeId, names: Iterable[str]) -> None:
    """ProfileError unless it is exactly the leaf that was asked for: this key, this identity, no other name."""
    if spiffe_id(certificate) != spiffe:
        raise ProfileError(f"it is for {spiffe_id(certificate)}, not for {spiffe}")
    if certificate.public_key() != key:
        raise ProfileError("it is for another key")
    asked = {x509.UniformResourceIdentifier(str(spiffe)), *(_general_name(each) for each in names)}
    found = set(_extension(certificate, x509.SubjectAlternativeName, "no Subject Alternative Name").value)
    if found - asked:
        raise ProfileError(
            f"it has names that nobody asked for: {', '.join(sorted(str(e.value) for e in found - asked))}"
        )
    usage = _extension(certificate, x509.KeyUsage, "no Key Usage")
    if not usage.critical:
        raise ProfileError("its Key Usage is not critical")
    uses = _extension(certificate, x509.ExtendedKeyUsage, "no Extended Key Usage").value
    if not set(_USES) <= set(uses):
        raise ProfileError("its Extended Key Usage lacks serverAuth or clientAuth")


def check_signing(certificate: x509.Certificate, now: datetime) -> None:
    """ProfileError unless the certificate may sign leaves, now."""
    if not _is_ca(certificate):
        raise ProfileError("it is not a signing certificate (CA:FALSE)")
    if not _extension(certificate, x509.KeyUsage, "no Key Usage").value.key_cert_sign:
        raise ProfileError("its Key Usage lacks keyCertSign")
    check_time(certificate, now)


def check_time(certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise ProfileError(f"it expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC")
    if now < certificate.not_valid_before_utc:
        raise ProfileError(
            f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC: is this clock right?"
        )


def is_address(name: str) -> bool:
    """Whether a server's name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def pem(*certificates: x509.Certificate) -> str:
    """A PEM text, in the order given."""
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def new_key() -> ec.EllipticCurvePrivateKey:
    """EC P-256: signs fast, and every TLS stack takes it."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey, passphrase: bytes = b"") -> bytes:
    """PKCS#8, encrypted if there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def request(key: PrivateKey) -> str:
    """A certificate request for the key: no name in it, as identities come from elsewhere."""
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def _builder(
    subject: x509.Name, key: PublicKey, not_before: datetime, not_after: datetime, issuer: x509.Certificate | None
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(identifier, critical=False)
    )
    return builder.add_extension(_authority_key(issuer), critical=False) if issuer else builder


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key = issuer.public_key()
        assert isinstance(key, PublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _usage(
    digital_signature: bool = False, key_encipherment: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(text)) if is_address(text) else x509.DNSName(text)


def _is_ca(certificate: x509.Certificate) -> bool:
    """Without the extension a certificate signs nothing (RFC 5280, 4.2.1.9)."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
    except ValueError as error:
        raise ProfileError(f"its extensions can't be read: {error}") from None


def _extension(certificate: x509.Certificate, kind: type[E], otherwise: str) -> x509.Extension[E]:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        raise ProfileError(f"it has {otherwise}") from None
    except ValueError as error:
        raise ProfileError(f"its extensions can't be read: {error}") from None
