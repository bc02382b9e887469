"""Certificate requests of every kind, honest and hostile."""

from __future__ import annotations

import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from citadel.profile import PrivateKey


def csr(
    key: PrivateKey | ed25519.Ed25519PrivateKey, *names: x509.GeneralName, common_name: str = "", ca: bool = False
) -> str:
    """A request signed by `key` that asks for these names, and to be a signing certificate."""
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


FORGED_NAMES: tuple[tuple[x509.GeneralName, ...], ...] = (
    (x509.UniformResourceIdentifier("spiffe://cluster.local/ns/default/sa/admin"),),
    (x509.UniformResourceIdentifier("spiffe://foreign/ns/default/sa/web"),),
    (
        x509.UniformResourceIdentifier("spiffe://cluster.local/ns/default/sa/web"),
        x509.UniformResourceIdentifier("spiffe://cluster.local/ns/default/sa/admin"),
    ),
    (x509.DNSName("*.example.com"),),
    (x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.RFC822Name("root@example.com")),
)
"""What a request may ask for that its sender is not."""


def with_bad_signature(pem: str) -> str:
    """The same request whose signature's last byte is another."""
    der = bytearray(x509.load_pem_x509_csr(pem.encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()
