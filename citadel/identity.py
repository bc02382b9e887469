"""SPIFFE ids: who a workload is. Pure; everything in citadel and every policy by identity speaks of these.

An id is read strictly, by the SPIFFE-ID standard (sections 2 and 3 of spiffe.io's SPIFFE-ID.md), since what two parsers
read differently is a way around a policy. The standard compares trust domains without case and demands lower case: so
lower case is all that is taken and made here, and comparing texts is comparing ids.
"""

from __future__ import annotations

import re
import string

import attrs

SCHEME = "spiffe://"
LONGEST_ID = 2048
"""Bytes that the standard makes every implementation support, and asks nobody to exceed."""
LONGEST_TRUST_DOMAIN = 255
_TRUST_DOMAIN_LETTERS = frozenset(string.ascii_lowercase + string.digits + ".-_")
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+")


class IdentityError(ValueError):
    """No SPIFFE id; the message holds the text, what is wrong with it and what is expected."""


def trust_domain(text: str) -> str:
    """`text` if it is the name of a trust domain. IdentityError otherwise."""
    if not text:
        raise IdentityError("the trust domain is empty: give a name such as cluster.local")
    if text.isascii() and text != text.lower():
        raise IdentityError(f"trust domain {text[:80]!r} has upper case letters: write {text.lower()[:80]!r}")
    odd = sorted(set(text) - _TRUST_DOMAIN_LETTERS)
    if odd:
        raise IdentityError(
            f"trust domain {text[:80]!r} holds {odd[0]!r}: letters a to z, digits, '.', '-' and '_' are allowed"
        )
    if len(text) > LONGEST_TRUST_DOMAIN:
        raise IdentityError(f"trust domain {text[:80]!r}… has {len(text)} bytes: {LONGEST_TRUST_DOMAIN} are allowed")
    return text


@attrs.frozen(order=True, cache_hash=True)
class SpiffeId:
    """`spiffe://TRUST_DOMAIN/PATH`; `path` is empty or begins with a slash. `parse` and `workload` check it."""

    trust_domain: str
    path: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"

    @property
    def namespace(self) -> str:
        """Of an id `/ns/NAMESPACE/sa/ACCOUNT`, Istio's convention; empty for any other."""
        return self._account()[0]

    @property
    def service_account(self) -> str:
        """Of an id `/ns/NAMESPACE/sa/ACCOUNT`, Istio's convention; empty for any other."""
        return self._account()[1]

    @property
    def principal(self) -> str:
        """The id as Istio's policies write it: without the scheme."""
        return f"{self.trust_domain}{self.path}"

    def _account(self) -> tuple[str, str]:
        match self.path.split("/"):
            case ["", "ns", namespace, "sa", account]:
                return namespace, account
        return "", ""


def parse(text: str) -> SpiffeId:
    """The id that a URI names; IdentityError for anything that the standard does not allow."""
    shown = repr(text[:120])
    if not text.startswith(SCHEME):
        raise IdentityError(f"{shown} is not a SPIFFE id: it begins with {SCHEME}")
    if len(text.encode()) > LONGEST_ID:
        raise IdentityError(f"{shown}… is longer than {LONGEST_ID} bytes")
    domain, slash, path = text.removeprefix(SCHEME).partition("/")
    try:
        trust_domain(domain)
        _check_path(slash + path)
    except IdentityError as error:
        raise IdentityError(f"{shown} is not a SPIFFE id: {error}") from None
    return SpiffeId(domain, slash + path)


def workload(domain: str, namespace: str, service_account: str) -> SpiffeId:
    """`spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`; IdentityError if a part could not stand there."""
    for what, value in (("namespace", namespace), ("service account", service_account)):
        if not _SEGMENT.fullmatch(value) or value in (".", ".."):
            raise IdentityError(
                f"{what} {value[:80]!r} can't be part of a SPIFFE id: letters, digits, '.', '-' and '_' are allowed"
            )
    return parse(f"{SCHEME}{trust_domain(domain)}/ns/{namespace}/sa/{service_account}")


@attrs.frozen
class TrustDomains:
    """The mesh's trust domain, and those that count as it while workloads move from one to the other."""

    own: str
    aliases: tuple[str, ...] = ()

    @classmethod
    def of(cls, own: str, aliases: tuple[str, ...] = ()) -> TrustDomains:
        """IdentityError for a name that is none."""
        return cls(trust_domain(own), tuple(trust_domain(each) for each in aliases))

    def localize(self, found: SpiffeId) -> SpiffeId:
        """The same workload in the own trust domain; an id of a foreign domain stays as it is."""
        return attrs.evolve(found, trust_domain=self.own) if found.trust_domain in self.aliases else found

    def includes(self, found: SpiffeId) -> bool:
        return found.trust_domain == self.own or found.trust_domain in self.aliases

    def alternatives(self, found: SpiffeId) -> tuple[SpiffeId, ...]:
        """`found` under every name of the mesh, its own name first: what a peer may present that is meant by it."""
        if not self.includes(found):
            return (found,)
        return tuple(attrs.evolve(found, trust_domain=each) for each in (self.own, *self.aliases))


def _check_path(path: str) -> None:
    if not path:
        return
    if path.endswith("/"):
        raise IdentityError("its path ends with '/'")
    for segment in path[1:].split("/"):
        if not segment:
            raise IdentityError("its path has an empty segment ('//')")
        if segment in (".", ".."):
            raise IdentityError(f"its path has the segment {segment!r}")
        if not _SEGMENT.fullmatch(segment):
            raise IdentityError("a segment of its path holds other than letters, digits, '.', '-' and '_'")
