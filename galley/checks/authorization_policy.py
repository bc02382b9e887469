"""What an AuthorizationPolicy must hold beyond its types, in Istio's rules.

What can't be carried out is no error: a policy that is refused would leave its workloads open. Planning makes such a
rule match everything where it denies and nothing where it allows, and a warning says so here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

import attrs

from galley.checks.selector import check_selection
from galley.document import Path
from galley.finding import Finding
from galley.kinds.authorization_policy import Action, AuthorizationPolicy, Condition, Operation, Rule, Source

KEYS = (
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
)
KEYED = re.compile(r"request\.(headers\[[^\[\]]+\]|auth\.claims(\[[^\[\]]+\])+)")
_WIRES = {"ports": "ports", "not_ports": "notPorts"}
_CLOSED = "is not known: where the policy denies, the rest of the rule counts; where it allows, the rule allows nothing"


def check_authorization_policy(spec: AuthorizationPolicy) -> Iterator[Finding]:
    """All findings of one AuthorizationPolicy, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from check_selection(spec.selector, spec.target_ref, spec.target_refs, path)
    if spec.action is Action.CUSTOM:
        message = "asks external authorizers, which this version does not call: what its rules match is denied"
        yield Finding((*path, "action"), message, "use ALLOW or DENY, or Mixer's policies", warning=True)
    elif spec.provider is not None:
        yield Finding((*path, "provider"), "is for the action CUSTOM only", "remove it")
    if not spec.rules and spec.action is not Action.ALLOW:
        message = f"has no rules, so that {spec.action.value} holds for nothing"
        yield Finding((*path, "rules"), message, "add a rule; [{}] matches every request", warning=True)
    for index, rule in enumerate(spec.rules):
        yield from _rule(rule, (*path, "rules", index))


def _rule(rule: Rule, path: Path) -> Iterator[Finding]:
    for index, each in enumerate(rule.from_):
        here = (*path, "from", index, "source")
        if each.source is None or each.source == Source():
            yield Finding(here, "is empty", "say who, or remove the entry")
        else:
            yield from _source(each.source, here)
    for index, to in enumerate(rule.to):
        there = (*path, "to", index, "operation")
        if to.operation is None or to.operation == Operation():
            yield Finding(there, "is empty", "say what, or remove the entry")
        else:
            yield from _operation(to.operation, there)
    for index, condition in enumerate(rule.when):
        yield from _condition(condition, (*path, "when", index))


def _source(source: Source, path: Path) -> Iterator[Finding]:
    yield from _no_empty(source, path)
    for name in ("ip_blocks", "not_ip_blocks", "remote_ip_blocks", "not_remote_ip_blocks"):
        for value in getattr(source, name):
            yield from _cidr(value, (*path, _wire(name)))
    accounts = source.service_accounts or source.not_service_accounts
    if accounts and (source.principals or source.namespaces):
        message = "can't stand beside principals or namespaces"
        yield Finding((*path, "serviceAccounts"), message, "say the same by principals alone")


def _operation(operation: Operation, path: Path) -> Iterator[Finding]:
    yield from _no_empty(operation, path)
    for name, wire in _WIRES.items():
        for value in getattr(operation, name):
            yield from _port(value, (*path, wire))
    for name in ("paths", "not_paths"):
        for value in getattr(operation, name):
            if not is_template(value) and ("{" in value or "}" in value):
                mend = "a template has {*} for one segment, {**} for any number at its end, and no other braces or *"
                yield Finding((*path, _wire(name)), f"{value!r} is no path template", mend)


def is_template(path: str) -> bool:
    """Whether a path has `{*}` or `{**}` in the place of segments, the latter last of all."""
    segments = path.split("/")
    if not path.startswith("/") or not any(each in ("{*}", "{**}") for each in segments):
        return False
    plain = [each for each in segments if each not in ("{*}", "{**}")]
    whole = "{**}" not in segments[:-1]
    return whole and not any(letter in each for each in plain for letter in "{}*")


def _condition(condition: Condition, path: Path) -> Iterator[Finding]:
    if not condition.key:
        yield Finding((*path, "key"), "is missing", "name the attribute")
    elif condition.key not in KEYS and not KEYED.fullmatch(condition.key):
        mend = f"known are {', '.join(KEYS)}, request.headers[NAME] and request.auth.claims[NAME]"
        yield Finding((*path, "key"), f"{condition.key!r} {_CLOSED}", mend, warning=True)
    if not condition.values and not condition.not_values:
        yield Finding(path, "has neither values nor notValues", "say which values")
    for value in (*condition.values, *condition.not_values):
        if condition.key in ("source.ip", "remote.ip", "destination.ip"):
            yield from _cidr(value, (*path, "values"))
        elif condition.key == "destination.port":
            yield from _port(value, (*path, "values"))


def _no_empty(message: Source | Operation, path: Path) -> Iterator[Finding]:
    for field in attrs.fields(type(message)):
        if "" in getattr(message, field.name):
            yield Finding((*path, _wire(field.name)), "has an empty value", "remove it")


def _cidr(value: str, path: Path) -> Iterator[Finding]:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        yield Finding(path, f"{value!r} is no IP address and no subnet", "write 10.0.0.1 or 10.0.0.0/8")


def _port(value: str, path: Path) -> Iterator[Finding]:
    if not (value.isdecimal() and 1 <= int(value) <= 65535):
        yield Finding(path, f"{value!r} is no port", "write a number from 1 to 65535")


def _wire(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
