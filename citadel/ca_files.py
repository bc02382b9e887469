"""The four files of a certificate authority, under Istio's names, read and written whole.

`root-cert.pem` holds the roots that are trusted, `ca-cert.pem` the certificate that signs and `ca-key.pem` its key,
`cert-chain.pem` the certificates from the signing one up to the root (it may be left out when a root signs itself).
A set that does not fit together is refused with the file's name: nothing is repaired, and no key is made anew here.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from citadel import durable, profile
from citadel.authority import AuthorityError
from citadel.profile import PrivateKey, ProfileError, Signer

CA_CERT, CA_KEY, ROOT_CERT, CERT_CHAIN = "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"
_LARGEST = 1 << 20
_DEEPEST = 8


@attrs.frozen
class CaFiles:
    """A set that fits together. `intermediates` begin with the signing certificate and end below the root."""

    signer: Signer
    intermediates: tuple[x509.Certificate, ...]
    root: x509.Certificate
    roots: tuple[x509.Certificate, ...]

    @property
    def expires(self) -> datetime:
        """When the first certificate of the chain does."""
        return min(each.not_valid_after_utc for each in (*self.intermediates, self.root))


def read(folder: Path, passphrase: bytes, now: datetime) -> CaFiles:
    """The set in `folder`. AuthorityError that names the file if it is not there, does not fit or has expired."""
    roots = certificates(folder / ROOT_CERT)
    (signing,) = certificates(folder / CA_CERT)[:1]
    key = _key(folder / CA_KEY, passphrase)
    if key.public_key() != signing.public_key():
        raise AuthorityError(
            f"{folder / CA_KEY} is not the key of {folder / CA_CERT}: put the pair there that belongs together"
        )
    given = certificates(folder / CERT_CHAIN) if (folder / CERT_CHAIN).exists() else ()
    intermediates, root = _chain(folder, signing, given, roots)
    for name, each in ((CA_CERT, signing), (ROOT_CERT, root), *((CERT_CHAIN, each) for each in intermediates)):
        try:
            profile.check_signing(each, now)
        except ProfileError as error:
            raise AuthorityError(f"{folder / name}: {error}; replace it, or correct the clock") from None
    return CaFiles(Signer(signing, key), intermediates, root, roots)


def write(folder: Path, signer: Signer, passphrase: bytes) -> None:
    """A root that signs by itself, as a set; the key last, so that a set without one is plainly unfinished."""
    text = profile.pem(signer.certificate).encode()
    for name in (ROOT_CERT, CA_CERT, CERT_CHAIN):
        durable.write(folder / name, text, 0o644)
    durable.write(folder / CA_KEY, profile.key_pem(signer.key, passphrase))


def certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, at least one."""
    try:
        found = tuple(x509.load_pem_x509_certificates(_bytes(path)))
    except ValueError as error:
        raise AuthorityError(f"{path} holds no PEM certificates that can be read: {error}") from None
    return found


def _key(path: Path, passphrase: bytes) -> PrivateKey:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0
    if mode & 0o077:
        raise AuthorityError(f"{path} may be read by others (mode {mode:03o}): chmod 600 {path}")
    data = _bytes(path)
    encrypted = b"ENCRYPTED" in data
    if encrypted and not passphrase:
        raise AuthorityError(f"{path} is encrypted: give its passphrase by --ca-passphrase-file")
    try:
        found = serialization.load_pem_private_key(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's message is left out: it may quote what it read.
        reason = "can't be decrypted with the passphrase given" if encrypted else "holds no PEM private key"
        raise AuthorityError(f"{path} {reason}") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise AuthorityError(f"{path} holds a key that is neither EC nor RSA: use EC P-256")
    return found


def _chain(
    folder: Path, signing: x509.Certificate, given: tuple[x509.Certificate, ...], roots: tuple[x509.Certificate, ...]
) -> tuple[tuple[x509.Certificate, ...], x509.Certificate]:
    """From the signing certificate to one of the roots, each signed by the next."""
    path: list[x509.Certificate] = []
    at = signing
    while at not in roots and len(path) < _DEEPEST:
        path.append(at)
        above = next((each for each in (*roots, *given) if each != at and _signed(at, each)), None)
        if above is None:
            raise AuthorityError(
                f"{folder / CA_CERT} does not lead to a root in {folder / ROOT_CERT}: nothing there or in {CERT_CHAIN} "
                f"signed {at.subject.rfc4514_string() or 'it'!r}"
            )
        at = above
    return tuple(path), at


def _signed(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise AuthorityError(
            f"{path} is missing: a CA consists of {CA_CERT}, {CA_KEY}, {ROOT_CERT} and {CERT_CHAIN}"
        ) from None
    except OSError as error:
        raise AuthorityError(f"{path} can't be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise AuthorityError(f"{path} is larger than {_LARGEST} bytes")
    return data
