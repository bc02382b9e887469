"""What an agent holds, made here: a root, a leaf of it, and whatever trust domains a test wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from citadel import identity, profile
from citadel.agent.holdings import Holdings, Svid, roots_der
from citadel.profile import Signer

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEB = identity.workload("cluster.local", "default", "web")


def root(domain: str = "cluster.local") -> Signer:
    key = profile.new_key()
    return Signer(profile.root(key, domain, "root", NOW - HOUR, NOW + 24 * HOUR), key)


def svid(signer: Signer) -> Svid:
    key = profile.new_key()
    return Svid(WEB, (profile.leaf(signer, key.public_key(), WEB, NOW - HOUR, NOW + HOUR, ()),), key)


def held(*foreign: str, signer: Signer | None = None) -> Holdings:
    own = signer or root()
    bundles: dict[str, tuple[x509.Certificate, ...]] = {"spiffe://cluster.local": (own.certificate,)}
    bundles |= {f"spiffe://{domain}": (root(domain).certificate,) for domain in foreign}
    return Holdings(svid(own), {domain: roots_der(each) for domain, each in bundles.items()})
