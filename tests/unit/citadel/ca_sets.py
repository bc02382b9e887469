"""Sets of CA files as operators bring them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from citadel import profile
from citadel.profile import PrivateKey, Signer

DAY = timedelta(days=1)


@attrs.frozen
class CaSet:
    """An intermediate, its key, and the root above it, whose key is elsewhere."""

    intermediate: Signer
    root: x509.Certificate

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca-cert.pem").write_text(profile.pem(self.intermediate.certificate))
        (folder / "cert-chain.pem").write_text(profile.pem(self.intermediate.certificate, self.root))
        (folder / "root-cert.pem").write_text(profile.pem(self.root))
        write_key(folder, self.intermediate.key)


def write_key(folder: Path, key: PrivateKey, passphrase: bytes = b"") -> None:
    (folder / "ca-key.pem").write_bytes(profile.key_pem(key, passphrase))
    (folder / "ca-key.pem").chmod(0o600)


def offline_root(
    *, now: datetime | None = None, life: timedelta = 30 * DAY, root_life: timedelta = 3650 * DAY, name: str = "offline"
) -> CaSet:
    """As one makes it with openssl: the root signs the intermediate, and goes back into the safe."""
    begin = (now or datetime.now(UTC)) - DAY
    key = profile.new_key()
    root = profile.root(key, "cluster.local", f"{name} root", begin, begin + root_life)
    return CaSet(intermediate(Signer(root, key), begin, begin + life, f"{name} intermediate"), root)


def intermediate(above: Signer, begin: datetime, end: datetime, name: str) -> Signer:
    key = profile.new_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(above.key, hashes.SHA256())
    )
    return Signer(certificate, key)
