"""Which AuthorizationPolicy decides a request: Istio's documented semantics, evaluated directly. Pure.

Called by `mesh-adapter authz check`, and held against a real Envoy by the tests. It shares nothing with
`pilot.plan.authorization`, which makes Envoy's rules of the same policies: where the two differ, one of them is wrong.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from galley.config import ConfigObject
from galley.kinds.authorization_policy import Action, AuthorizationPolicy, Condition, Operation, Rule, Source

Policy = ConfigObject[AuthorizationPolicy]
_Test = Callable[[str], bool]


@attrs.frozen
class Request:
    """What is asked of the workload and by whom, as the workload's proxy sees it: the path normalized, no query.

    `principal` is TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT, empty for who showed no certificate. `http` is False for a
    connection that nobody looks into. `claims` are those of a verified token, empty without one.
    """

    principal: str = ""
    source_ip: str = "127.0.0.1"
    remote_ip: str = ""
    method: str = "GET"
    host: str = ""
    path: str = "/"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    port: int = 80
    destination_ip: str = "127.0.0.1"
    sni: str = ""
    claims: Mapping[str, Any] = attrs.field(factory=dict)
    http: bool = True


@attrs.frozen
class Verdict:
    """`policy` is what decided; empty where none did. `audited` and `trials` tell what else matched."""

    allowed: bool
    reason: str
    policy: str = ""
    audited: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()


def verdict(
    policies: Iterable[Policy],
    request: Request,
    namespace: str,
    labels: Mapping[str, str],
    trust_domains: Sequence[str] = ("cluster.local",),
    *,
    root_namespace: str = "istio-system",
    gateway: str = "",
) -> Verdict:
    """What becomes of a request to the workload with these labels; to the routers of `gateway`, if one is named."""
    here = [each for each in policies if each.namespace in (namespace, root_namespace)]
    mine = [each for each in here if _is_for(each, namespace, labels, gateway)]
    in_force = [each for each in mine if dict(each.annotations).get("istio.io/dry-run") != "true"]
    hits = {id(each): _rule_that_matches(each, request, trust_domains) for each in mine}
    trials = tuple(_named(each, hits[id(each)]) for each in mine if each not in in_force and hits[id(each)] is not None)
    audited = tuple(
        _named(each, hits[id(each)])
        for each in in_force
        if each.spec.action is Action.AUDIT and hits[id(each)] is not None
    )
    for each in sorted(in_force, key=lambda one: one.spec.action is not Action.CUSTOM):
        if each.spec.action in (Action.CUSTOM, Action.DENY) and hits[id(each)] is not None:
            why = "denies it" if each.spec.action is Action.DENY else "would ask an authorizer, which is not supported"
            return Verdict(False, why, _named(each, hits[id(each)]), audited, trials)
    allowing = [each for each in in_force if each.spec.action is Action.ALLOW]
    for each in allowing:
        if hits[id(each)] is not None:
            return Verdict(True, "allows it", _named(each, hits[id(each)]), audited, trials)
    if allowing:
        names = ", ".join(str(each) for each in allowing)
        return Verdict(False, f"no rule of those that allow takes it: {names}", "", audited, trials)
    return Verdict(True, "no policy of this workload is against it", "", audited, trials)


def _is_for(policy: Policy, namespace: str, labels: Mapping[str, str], gateway: str) -> bool:
    spec = policy.spec
    if spec.target_ref or spec.target_refs:
        named = {each.name for each in (spec.target_ref, *spec.target_refs) if each}
        return policy.namespace == namespace and gateway in named
    wanted = spec.selector.match_labels if spec.selector else ()
    return all(labels.get(key) == value for key, value in wanted)


def _named(policy: Policy, index: int | None) -> str:
    return f"{policy} rule {index}"


def _rule_that_matches(policy: Policy, request: Request, trust_domains: Sequence[str]) -> int | None:
    judge = _Judge(request, policy.namespace, policy.spec.action is not Action.ALLOW, trust_domains)
    return next((index for index, rule in enumerate(policy.spec.rules) if judge.rule(rule)), None)


@attrs.frozen
class _Judge:
    request: Request
    namespace: str
    denies: bool
    trust_domains: Sequence[str]

    def rule(self, rule: Rule) -> bool:
        return (
            (not rule.from_ or any(self.source(each.source or Source()) for each in rule.from_))
            and (not rule.to or any(self.operation(each.operation or Operation()) for each in rule.to))
            and all(self.condition(each) for each in rule.when)
        )

    def source(self, said: Source) -> bool:
        return (
            self._holds(said.principals, said.not_principals, self._principal)
            and self._holds(said.request_principals, said.not_request_principals, self._request_principal, http=True)
            and self._holds(said.namespaces, said.not_namespaces, self._source_namespace)
            and self._holds(said.service_accounts, said.not_service_accounts, self._account)
            and self._holds(said.trust_domains, said.not_trust_domains, self._trust_domain)
            and self._holds(said.ip_blocks, said.not_ip_blocks, self._source_ip)
            and self._holds(said.remote_ip_blocks, said.not_remote_ip_blocks, self._remote_ip)
        )

    def operation(self, said: Operation) -> bool:
        return (
            (self.denies or self._names_one_host() or not (said.hosts or said.not_hosts) or not self.request.http)
            and self._holds(said.hosts, (), lambda value: self._host(value, self.denies), http=True)
            and self._holds((), said.not_hosts, lambda value: self._host(value, not self.denies), http=True)
            and self._holds(said.ports, said.not_ports, lambda value: int(value) == self.request.port)
            and self._holds(said.methods, said.not_methods, lambda value: like(value, self.request.method), http=True)
            and self._holds(said.paths, said.not_paths, self._path, http=True)
        )

    def condition(self, said: Condition) -> bool:
        tests: Mapping[str, _Test] = {
            "source.ip": self._source_ip,
            "remote.ip": self._remote_ip,
            "source.namespace": self._source_namespace,
            "source.principal": self._principal,
            "source.serviceAccount": self._account,
            "request.auth.principal": self._request_principal,
            "request.auth.audiences": lambda value: self._claim(value, ("aud",)),
            "request.auth.presenter": lambda value: self._claim(value, ("azp",)),
            "destination.ip": lambda value: within(self.request.destination_ip, value),
            "destination.port": lambda value: int(value) == self.request.port,
            "connection.sni": lambda value: bool(self.request.sni) and like(value, self.request.sni),
        }
        names = tuple(re.findall(r"\[([^\[\]]+)\]", said.key))
        test = tests.get(said.key)
        if said.key.startswith("request.headers[") and len(names) == 1:
            return self._holds(said.values, said.not_values, lambda value: self._header(value, names[0]), http=True)
        if said.key.startswith("request.auth.claims[") and names:
            return self._holds(said.values, said.not_values, lambda value: self._claim(value, names), http=True)
        if test is None:
            return self.denies
        return self._holds(said.values, said.not_values, test, http=said.key.startswith("request."))

    def _holds(self, values: Iterable[str], not_values: Iterable[str], test: _Test, *, http: bool = False) -> bool:
        """What only HTTP has can't be told of a connection: it counts as true where a policy denies, else as false."""
        values, not_values = tuple(values), tuple(not_values)
        if http and not self.request.http and (values or not_values):
            return self.denies
        return (not values or any(map(test, values))) and not any(map(test, not_values))

    def _principal(self, value: str) -> bool:
        have = self.request.principal
        if not have or value == "*":
            return bool(have)
        domain, slash, rest = value.partition("/")
        if slash and not value.startswith("*") and domain in ("cluster.local", *self.trust_domains):
            return any(like(f"{each}/{rest}", have) for each in self.trust_domains)
        return like(value, have)

    def _parts(self) -> tuple[str, str, str]:
        """Trust domain, namespace and account of who asks; all empty without a certificate of the mesh."""
        found = re.fullmatch(r"([^/]+)/ns/([^/]+)/sa/([^/]+)", self.request.principal)
        return found.group(1, 2, 3) if found else ("", "", "")  # type: ignore[return-value]

    def _source_namespace(self, value: str) -> bool:
        namespace = self._parts()[1]
        return bool(namespace) and like(value, namespace)

    def _trust_domain(self, value: str) -> bool:
        domain = self._parts()[0]
        return bool(domain) and like(value, domain)

    def _account(self, value: str) -> bool:
        namespace, slash, name = value.partition("/")
        if not slash:
            namespace, name = self.namespace, value
        _, have_namespace, have_name = self._parts()
        return bool(have_name) and like(namespace, have_namespace) and like(name, have_name)

    def _source_ip(self, value: str) -> bool:
        return within(self.request.source_ip, value)

    def _remote_ip(self, value: str) -> bool:
        return within(self.request.remote_ip or self.request.source_ip, value)

    def _names_one_host(self) -> bool:
        """Whether the request says one host, and not several headers joined, user names and the like."""
        host = self.request.host.removesuffix(":") if self.request.host.count(":") == 1 else self.request.host
        name, bracket, port = host.partition("]") if host.startswith("[") else host.partition(":")
        if bracket == "]":
            return set(name[1:].lower()) <= set("0123456789abcdef:.") and len(name) > 1 and _is_port(port)
        parts = name.removesuffix(".").split(".")
        return all(re.fullmatch("[A-Za-z0-9_-]+", each) for each in parts) and (not bracket or port.isdecimal())

    def _host(self, value: str, lenient: bool) -> bool:
        if lenient and self.denies and not self._names_one_host():
            return True
        have, wanted = self.request.host.lower(), value.lower()
        ways = {have, re.sub(r":[0-9]*$", "", have)} if lenient else {have}
        ways |= {each.removesuffix(".") for each in ways} if lenient else set()
        return any(like(wanted, each) for each in ways if each)

    def _path(self, value: str) -> bool:
        if "{" not in value:
            return like(value, self.request.path)
        parts = (".*" if each == "{**}" else "[^/]+" if each == "{*}" else re.escape(each) for each in value.split("/"))
        return re.fullmatch("/".join(parts), self.request.path) is not None

    def _header(self, value: str, name: str) -> bool:
        headers = {key.lower(): text for key, text in self.request.headers.items()}
        have = headers.get(name.lower())
        return have is not None and (value == "*" or like(value, have))

    def _request_principal(self, value: str) -> bool:
        issuer, subject = self.request.claims.get("iss"), self.request.claims.get("sub")
        return bool(issuer and subject) and like(value, f"{issuer}/{subject}")

    def _claim(self, value: str, names: Sequence[str]) -> bool:
        have: Any = self.request.claims
        for name in names:
            have = have.get(name) if isinstance(have, Mapping) else None
        texts = have if isinstance(have, list | tuple) else (have,)
        return any(isinstance(each, str) and bool(each) and like(value, each) for each in texts)


def _is_port(text: str) -> bool:
    return not text or re.fullmatch(":[0-9]*", text) is not None


def like(value: str, have: str) -> bool:
    """Istio's grammar of values: exact, `prefix*`, `*suffix`, `*`."""
    if value == "*":
        return bool(have)
    if value.startswith("*"):
        return have.endswith(value[1:])
    return have.startswith(value[:-1]) if value.endswith("*") else have == value


def within(address: str, subnet: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet, strict=False)
