"""What a Vault PKI mount holds, and what that says of a root rotation. Pure.

One mount signs. Its issuers are intermediates with their keys, of which the default one signs, and every root that is
trusted, imported without a key. So the state of a rotation needs no place of its own: a second root that is younger
than the signing one is about to come, one that is older is about to go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from citadel.authority import AuthorityError, Signing
from citadel.rotation import State, Step

VAULT_BACKDATE = timedelta(seconds=30)
"""How far before their making Vault dates roots and intermediates."""


@attrs.frozen
class Issuer:
    """An issuer of the mount; `has_key` tells whether it can sign."""

    id: str
    certificate: x509.Certificate
    has_key: bool

    @property
    def is_root(self) -> bool:
        return signed_by(self.certificate, self.certificate)

    @property
    def generation(self) -> int:
        """The number at the end of a root's name, as `root_name` writes it; 0 for a root of others."""
        found = re.search(r"CN=[^,]* root (\d{1,9})(,|$)", self.certificate.subject.rfc4514_string())
        return int(found[1]) if found else 0

    @property
    def age(self) -> tuple[int, datetime, str]:
        """Sorts the older first. Dates alone would not do: they know whole seconds."""
        return self.generation, self.made_at, self.id

    @property
    def made_at(self) -> datetime:
        return self.certificate.not_valid_before_utc + VAULT_BACKDATE


@attrs.frozen
class Issuers:
    """All of a mount's, by id, and which is the default."""

    by_id: Mapping[str, Issuer]
    default: str

    @property
    def roots(self) -> tuple[Issuer, ...]:
        """Trusted ones, the oldest first."""
        found = (each for each in self.by_id.values() if each.is_root)
        return tuple(sorted(found, key=lambda each: each.age))

    @property
    def signer(self) -> Issuer:
        """Who signs leaves. AuthorityError if the default issuer can't."""
        found = self.by_id.get(self.default)
        if found is None or not found.has_key:
            raise AuthorityError(
                "the default issuer of Vault's mount is missing or has no key: run mesh-adapter cert init-vault, or "
                "set the default issuer"
            )
        return found

    def chain(self, issuer: Issuer) -> Signing:
        """From the issuer to its root."""
        path = [issuer]
        while not path[-1].is_root:
            above = next(
                (e for e in self.by_id.values() if e not in path and signed_by(path[-1].certificate, e.certificate)),
                None,
            )
            if above is None:
                name = path[-1].certificate.subject.rfc4514_string()
                raise AuthorityError(
                    f"Vault's mount does not hold the root that signed {name!r}: "
                    "import it (vault write MOUNT/issuers/import/cert), as every root there is what workloads trust"
                )
            path.append(above)
        return Signing(tuple(each.certificate for each in path))

    def root_of(self, issuer: Issuer) -> Issuer:
        root = self.chain(issuer).chain[-1]
        return next(each for each in self.roots if each.certificate == root)

    def signer_of(self, root: Issuer) -> Issuer | None:
        """The intermediate with a key below a root, the youngest of several."""
        found = [
            e for e in self.by_id.values() if e.has_key and not e.is_root and signed_by(e.certificate, root.certificate)
        ]
        return max(found, key=lambda each: each.made_at, default=None)


def state(issuers: Issuers) -> State:
    """The rotation's state, with issuer ids for names."""
    signer = issuers.signer
    active = issuers.root_of(signer)
    others = [each for each in issuers.roots if each != active]
    if not others:
        return State(active=active.id, since=active.made_at)
    if len(others) > 1:
        raise AuthorityError("Vault's mount holds more than two roots: delete the issuers that are none of this mesh's")
    (other,) = others
    if other.age > active.age:
        return State(active=active.id, other=other.id, step=Step.SPREADING, since=other.made_at)
    return State(active=active.id, other=other.id, step=Step.DRAINING, since=signer.made_at)


def root_name(trust_domain: str, generation: int) -> str:
    """The common name of a root. The number says which of two is the older, and keeps their subjects apart."""
    return f"{trust_domain} root {generation}"


def longest_leaf(role: Mapping[str, object]) -> timedelta:
    """How long a leaf of the role lives at most; Vault's own default where the role does not say. A minute more, since
    a control plane learns of a new signer at its next look only."""
    said = role.get("max_ttl") or role.get("ttl") or 0
    seconds = said if isinstance(said, int) and said else 32 * 86400
    return timedelta(seconds=seconds + 60)


def signed_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
