"""Certificates and keys as PEM, made in no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from citadel.profile import PrivateKey

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def pem_key(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem_certificate(key: PrivateKey, name: str = "web.example", not_after: datetime = NOW + timedelta(days=9)) -> bytes:
    """Signed by itself."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_after - timedelta(days=20))
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def pair(name: str = "web.example", not_after: datetime = NOW + timedelta(days=9)) -> dict[str, bytes]:
    """A secret of type kubernetes.io/tls."""
    key = ec.generate_private_key(ec.SECP256R1())
    return {"tls.crt": pem_certificate(key, name, not_after), "tls.key": pem_key(key)}
