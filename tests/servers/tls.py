"""Certificates for servers under test, made with openssl: an authority, and what it signs."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.servers.binaries import require


@dataclass(frozen=True)
class Certificate:
    """A certificate, its key, and the authority that signed it, as PEM files."""

    ca_file: Path
    cert_file: Path
    key_file: Path

    def client_context(self) -> ssl.SSLContext:
        """For a client that trusts the authority and presents this certificate."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context


class Authority:
    """A certificate authority that lives in a folder and is trusted by nobody else."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca_file, self._key = folder / "ca.pem", folder / "ca.key"
        _openssl("req", "-x509", "-subj", "/CN=tests' authority", *_new_key(self._key), "-out", str(self.ca_file))

    def issue(self, name: str, *alt_names: str) -> Certificate:
        """A certificate for servers and clients on this machine; alt names are of openssl's form (DNS:a.b, URI:…)."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        names = ",".join(("DNS:localhost", "IP:127.0.0.1", *alt_names))
        extensions = ("subjectAltName=" + names, "extendedKeyUsage=serverAuth,clientAuth", "basicConstraints=CA:FALSE")
        signed = ["-CA", str(self.ca_file), "-CAkey", str(self._key)]
        added = [word for extension in extensions for word in ("-addext", extension)]
        _openssl("req", "-x509", "-subj", f"/CN={name}", *_new_key(key), *signed, *added, "-out", str(cert))
        return Certificate(self.ca_file, cert, key)

    def revocations(self, *revoked: Certificate) -> Path:
        """A list of what the authority has revoked, as a PEM file: exactly these."""
        found = Path(tempfile.mkdtemp(dir=self.folder))
        config, database, revocations = found / "ca.cnf", found / "index.txt", found / "crl.pem"
        config.write_text(
            f"[ca]\ndefault_ca=tests\n[tests]\ndatabase={database}\ndefault_md=sha256\ndefault_crl_days=2\n"
        )
        database.touch()
        signed = ("-config", str(config), "-keyfile", str(self._key), "-cert", str(self.ca_file))
        for each in revoked:
            _openssl("ca", "-revoke", str(each.cert_file), *signed)
        _openssl("ca", "-gencrl", *signed, "-out", str(revocations))
        return revocations


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path), "-days", "2"]


def _openssl(*arguments: str) -> None:
    done = subprocess.run([require("openssl"), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr.strip()}")
