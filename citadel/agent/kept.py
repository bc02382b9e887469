"""The agent's certificate on disk, for who wants it to outlive the agent: then a restart needs no evidence.

Optional (`--identity-dir`); who has one-time join tokens needs it. Key and chain are one file, so that a crash leaves a
whole pair, the old or the new.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from citadel import durable, profile
from citadel.agent import holdings
from citadel.agent.holdings import Svid
from citadel.profile import PrivateKey, ProfileError

log = logging.getLogger(__name__)

FILE, ROOTS = "identity.pem", "root-cert.pem"


def write(folder: Path, found: Svid, roots: tuple[x509.Certificate, ...]) -> None:
    """OSError if it can't be written."""
    durable.make_folder(folder)
    durable.write(folder / ROOTS, profile.pem(*roots).encode(), 0o644)
    durable.write(folder / FILE, profile.key_pem(found.key) + profile.pem(*found.chain).encode())


def read(folder: Path, now: datetime) -> tuple[Svid, tuple[x509.Certificate, ...]] | None:
    """What was kept, if it is of use now; what is not is said and left where it is."""
    path = folder / FILE
    try:
        data, roots = path.read_bytes(), (folder / ROOTS).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("%s can't be read: %s; asking by evidence", path, error.strerror)
        return None
    try:
        key = load_pem_private_key(data, None)
        if not isinstance(key, PrivateKey):
            raise ProfileError("its key is neither EC nor RSA")
        found = holdings.svid(tuple(x509.load_pem_x509_certificates(data)), key)
        profile.check_time(found.chain[0], now)
        return found, tuple(x509.load_pem_x509_certificates(roots))
    except (ValueError, TypeError) as error:
        log.warning("%s is of no use: %s; asking by evidence", path, error)
        return None
