"""One rule of an AuthorizationPolicy as conditions on what is asked for and on who asks. Pure.

Called by `pilot.plan.authorization`. Hosts are compared without case; where a policy denies, also without the port and
the dot at the end that a client may add, so that neither gets around it. What is written as no single host counts as
every host that a rule denies, and is allowed by no rule that looks at hosts.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

import attrs

from galley.checks.authorization_policy import is_template
from galley.kinds.authorization_policy import Condition, Operation, Rule, Source
from pilot.ir.authorization import (
    Address,
    AddressIs,
    AllOf,
    Always,
    AnyOf,
    HeaderIs,
    Not,
    PathFits,
    PathIs,
    PeerIs,
    ServerNameIs,
    TokenSays,
)
from pilot.ir.authorization import Condition as Term
from pilot.ir.routes import MatchKind, StringMatch

SPIFFE = "spiffe://"
ONE_HOST = r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?"
"""A name or an address, and a port. Envoy makes one value of several Host headers, joined by commas: that is none."""
LOCAL = "cluster.local"
"""In a principal, the mesh's own trust domain whatever it is called (Istio's convention)."""
Make = Callable[[str], Term]


@attrs.frozen(cache_hash=True)
class Circumstances:
    """Where a rule is to hold: the port of the workload, whether requests can be seen, the mesh's names."""

    port: int
    http: bool
    trust_domains: tuple[str, ...]


def compiled(rule: Rule, namespace: str, denies: bool, where: Circumstances) -> tuple[Term, Term] | None:
    """Permission and principal; None for a rule that matches nothing there."""
    maker = _Maker(namespace, denies, where)
    asked = [any_of(maker.operation(each.operation or Operation()) for each in rule.to)] if rule.to else []
    asking = [any_of(maker.source(each.source or Source()) for each in rule.from_)] if rule.from_ else []
    for condition in rule.when:
        (asked if condition.key in _OF_THE_CONNECTION else asking).append(maker.condition(condition))
    permission, principal = all_of(asked), all_of(asking)
    return None if Always(False) in (permission, principal) else (permission, principal)


_OF_THE_CONNECTION = ("destination.ip", "destination.port", "connection.sni")


@attrs.frozen
class _Maker:
    namespace: str
    denies: bool
    where: Circumstances

    def source(self, said: Source) -> Term:
        http = self.where.http
        return all_of(
            (
                self._either(said.principals, said.not_principals, self.principal),
                self._either(said.request_principals, said.not_request_principals, request_principal, http),
                self._either(said.namespaces, said.not_namespaces, of_namespace),
                self._either(said.service_accounts, said.not_service_accounts, self.account),
                self._either(said.trust_domains, said.not_trust_domains, of_trust_domain),
                self._either(said.ip_blocks, said.not_ip_blocks, lambda text: address(Address.PEER, text)),
                self._either(said.remote_ip_blocks, said.not_remote_ip_blocks, _client_address),
            )
        )

    def operation(self, said: Operation) -> Term:
        http = self.where.http
        hosts = self._either(said.hosts, (), lambda text: host(text, lenient=self.denies), http)
        not_hosts = self._either((), said.not_hosts, lambda text: host(text, lenient=not self.denies), http)
        return all_of(
            (
                self._plain(any_of((hosts, _MALFORMED)) if self.denies and said.hosts and http else hosts, said),
                not_hosts,
                self._either(said.ports, said.not_ports, self.port),
                self._either(said.methods, said.not_methods, lambda text: HeaderIs(":method", match(text)), http),
                self._either(said.paths, said.not_paths, path, http),
            )
        )

    def _plain(self, hosts: Term, said: Operation) -> Term:
        """Where a rule that allows looks at hosts, only those that are written as one host pass."""
        looks = self.where.http and not self.denies and (said.hosts or said.not_hosts)
        return all_of((hosts, negated(_MALFORMED))) if looks else hosts

    def condition(self, said: Condition) -> Term:
        make = self._attribute(said.key)
        known = make is not None and (self.where.http or not said.key.startswith("request."))
        return self._either(said.values, said.not_values, make or (lambda _: Always()), known)

    def _attribute(self, key: str) -> Make | None:
        simple: dict[str, Make] = {
            "source.ip": lambda text: address(Address.PEER, text),
            "remote.ip": _client_address,
            "source.namespace": of_namespace,
            "source.principal": self.principal,
            "source.serviceAccount": self.account,
            "request.auth.principal": request_principal,
            "request.auth.audiences": lambda text: TokenSays(("aud",), match(text)),
            "request.auth.presenter": lambda text: TokenSays(("azp",), match(text)),
            "destination.ip": lambda text: address(Address.DESTINATION, text),
            "destination.port": self.port,
            "connection.sni": lambda text: ServerNameIs(match(text)),
        }
        names = tuple(re.findall(r"\[([^\[\]]+)\]", key))
        if key.startswith("request.headers[") and len(names) == 1:
            return lambda text: HeaderIs(names[0].lower(), match(text))
        if key.startswith("request.auth.claims[") and names:
            return lambda text: TokenSays(names, match(text))
        return simple.get(key)

    def _either(self, values: Iterable[str], not_values: Iterable[str], make: Make, known: bool = True) -> Term:
        """One of the values and none of the others. What can't be told leaves a denial as it is, and allows nothing."""
        values, not_values = tuple(values), tuple(not_values)
        if not values and not not_values:
            return Always()
        if not known:
            return Always(self.denies)
        wanted = any_of(map(make, values)) if values else Always()
        return all_of((wanted, negated(any_of(map(make, not_values)))))

    def port(self, text: str) -> Term:
        return Always(int(text) == self.where.port)

    def principal(self, text: str) -> Term:
        """Under every name of the mesh, if it is said under one of them."""
        if text.startswith("*"):
            return PeerIs(match(text))
        domain, slash, rest = text.partition("/")
        local = slash and domain in (LOCAL, *self.where.trust_domains)
        domains = self.where.trust_domains if local else (domain,)
        return any_of(PeerIs(match(f"{SPIFFE}{each}{slash}{rest}")) for each in domains)

    def account(self, text: str) -> Term:
        namespace, slash, name = text.partition("/")
        if not slash:
            namespace, name = self.namespace, text
        return PeerIs(regex(f"{SPIFFE}[^/]+/ns/{glob(namespace)}/sa/{glob(name)}"))


_MALFORMED: Term = Not(HeaderIs(":authority", StringMatch(MatchKind.REGEX, ONE_HOST)))


def _client_address(text: str) -> Term:
    return address(Address.CLIENT, text)


def of_namespace(text: str) -> Term:
    return PeerIs(regex(f"{SPIFFE}[^/]+/ns/{glob(text)}/.*"))


def of_trust_domain(text: str) -> Term:
    return PeerIs(regex(f"{SPIFFE}{glob(text)}/.*"))


def address(which: Address, text: str) -> Term:
    return AddressIs(which, str(ipaddress.ip_network(text, strict=False)))


def path(text: str) -> Term:
    if is_template(text):
        return PathFits(text.replace("{*}", "*").replace("{**}", "**"))
    return PathIs(match(text))


def host(text: str, *, lenient: bool) -> Term:
    """Of the request's authority. Lenient takes a port and a dot at the end that the value does not name."""
    if not lenient or text == "*" or (text.endswith("*") and not text.startswith("*")):
        return HeaderIs(":authority", match(text, ignore_case=True))
    anything, rest = (".*", text[1:]) if text.startswith("*") else ("", text)
    return HeaderIs(":authority", regex(f"(?i){anything}{re.escape(rest)}\\.?(:[0-9]*)?"))


def request_principal(text: str) -> Term:
    """ISSUER/SUBJECT, compared as one text wherever the slash between the two is."""
    if text == "*":
        return all_of((TokenSays(("iss",), match("*")), TokenSays(("sub",), match("*"))))
    cuts = [index for index, letter in enumerate(text) if letter == "/"]
    if text.startswith("*"):
        ways: list[Term] = [TokenSays(("sub",), match(text))]
        ways += (_token(f"*{text[1:index]}", text[index + 1 :]) for index in cuts)
    elif text.endswith("*"):
        ways = [TokenSays(("iss",), match(text))]
        ways += (_token(text[:index], text[index + 1 :]) for index in cuts)
    else:
        ways = [_token(text[:index], text[index + 1 :]) for index in cuts]
    return any_of(ways)


def _token(issuer: str, subject: str) -> Term:
    return all_of((TokenSays(("iss",), match(issuer)), TokenSays(("sub",), match(subject))))


def match(text: str, *, ignore_case: bool = False) -> StringMatch:
    """By Istio's grammar of values: exact, `prefix*`, `*suffix`, and `*`, which asks that there is one."""
    if text == "*":
        return StringMatch(MatchKind.PRESENT)
    if text.startswith("*"):
        return StringMatch(MatchKind.SUFFIX, text[1:], ignore_case)
    if text.endswith("*"):
        return StringMatch(MatchKind.PREFIX, text[:-1], ignore_case)
    return StringMatch(MatchKind.EXACT, text, ignore_case)


def regex(text: str) -> StringMatch:
    return StringMatch(MatchKind.REGEX, text)


def glob(text: str) -> str:
    """The same grammar for one segment of a name, as a regular expression."""
    if text == "*":
        return "[^/]+"
    if text.startswith("*"):
        return f"[^/]*{re.escape(text[1:])}"
    return f"{re.escape(text[:-1])}[^/]*" if text.endswith("*") else re.escape(text)


def all_of(parts: Iterable[Term]) -> Term:
    kept = tuple(part for part in parts if part != Always())
    if Always(False) in kept:
        return Always(False)
    return Always() if not kept else kept[0] if len(kept) == 1 else AllOf(kept)


def any_of(parts: Iterable[Term]) -> Term:
    kept = tuple(part for part in parts if part != Always(False))
    if Always() in kept:
        return Always()
    return Always(False) if not kept else kept[0] if len(kept) == 1 else AnyOf(kept)


def negated(part: Term) -> Term:
    return Always(not part.holds) if isinstance(part, Always) else Not(part)
