"""Where each rule runs: in Envoy by itself, or by a call to Mixer, and why. Pure.

Envoy can refuse by its routes what a `denier` would refuse, where the condition speaks of headers, path, method and
host, and of what is known of the listener beforehand. A request judged so costs no call. What refuses only together
with what Mixer alone can know stays Mixer's, whole: the status of several refusals is one verdict.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from mixer.combine import combine
from mixer.expression.functions import glob
from mixer.expression.terms import Apply, Attribute, Both, Constant, Either, Entry, Equal, OneOf, Term
from mixer.handlers.denier import DENIER, answer
from mixer.ruleset import CompiledRule, Phase, RuleSet
from mixer.status import http_status
from pilot.model.mixer import Denial, Probe, ProbeKind

MOST_WAYS = 16
"""Conjunctions that the condition of one rule may come to; each is a route."""
_PSEUDO = {"request.method": ":method", "request.path": ":path"}
_PATH = "request.url_path"
_NAME = re.compile(r":?[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""Of a header or a pseudo-header: Envoy refuses a route that names another."""
_Ways = tuple[tuple[Probe, ...], ...]
_ALWAYS: _Ways = ((),)
_NEVER: _Ways = ()


class RemoteError(Exception):
    """The rule can't be Envoy's; the text says why."""


@attrs.frozen
class Placement:
    """`where` is envoy or mixer; `why` reads on from it."""

    rule: CompiledRule
    where: str
    why: str


def placements(rules: RuleSet, known: Mapping[str, str] | None = None) -> Iterator[Placement]:
    """All rules, in their order, for listeners of HTTP of which the attributes `known` are sure."""
    for rule in rules.rules:
        try:
            found = denials(rules, rule, known or {})
        except RemoteError as error:
            yield Placement(rule, "mixer", str(error))
        else:
            reports = "; its reports go to mixer" if rule.calls.get(Phase.REPORT) else ""
            yield Placement(rule, "envoy", f"{len(found)} route{'s' * (len(found) != 1)} refuse by itself{reports}")


def denials(rules: RuleSet, rule: CompiledRule, known: Mapping[str, str]) -> tuple[Denial, ...]:
    """What Envoy refuses in the rule's place; RemoteError where it can't."""
    status, body = _refusal(rules, rule)
    ways = _ways(rule.predicate.term, known) if rule.predicate else _ALWAYS
    return tuple(Denial(status, body, tests, str(rule)) for tests in dict.fromkeys(ways))


def _refusal(rules: RuleSet, rule: CompiledRule) -> tuple[int, str]:
    """HTTP status and body of the rule's answer, which is the same for every request."""
    checks = rule.calls.get(Phase.CHECK, ())
    if rule.request_headers or rule.response_headers:
        raise RemoteError("it changes headers by values that Mixer knows")
    if rule.calls.get(Phase.QUOTA):
        raise RemoteError("it takes quotas, which are counted in one place")
    if not checks:
        raise RemoteError("it tells of what has passed and judges nothing")
    if rule.sampling is not None:
        raise RemoteError("it is sampled")
    if rule.failure.open:
        raise RemoteError("it is to let requests pass while Mixer is away")
    others = [call.handler for call in checks if rules.handlers[call.handler].type is not DENIER]
    if others:
        raise RemoteError(f"handler {others[0]} is no denier")
    answers = [answer(rules.handlers[call.handler].params) for call in checks]
    combined = combine([call.handler for call in checks], answers)
    if combined.direct is None:
        return http_status(combined.status.code), combined.status.message
    if combined.direct.headers:
        raise RemoteError("its answer carries headers")
    return combined.direct.code, combined.direct.body


def _ways(term: Term, known: Mapping[str, str]) -> _Ways:
    """The condition as conjunctions of which one must hold: its disjunctive normal form."""
    match term:
        case Constant(value=True):
            return _ALWAYS
        case Constant(value=False):
            return _NEVER
        case Both(terms=terms):
            return _product([_ways(each, known) for each in terms])
        case Either(terms=terms, absorbing=absorbing):
            return _bounded(_either([_ways(each, known) for each in terms], absorbing))
        case OneOf(term=inner, options=options):
            return _bounded(tuple(way for each in options for way in _equal(inner, each, False, known)))
        case Equal(left=left, right=right, negated=negated):
            if isinstance(left, Constant):
                left, right = right, left
            return _equal(left, right, negated, known)
        case Apply(function=function, arguments=(text, Constant(value=str(value)))):
            if function.run is str.startswith:
                return _test(text, ProbeKind.PREFIX, value, known)
            if function.run is glob and not value.startswith("*"):
                kind = ProbeKind.PREFIX if value.endswith("*") else ProbeKind.EXACT
                return _test(text, kind, value.removesuffix("*"), known)
    raise RemoteError(f"Envoy has no test for {_shown(term)}")


def _either(parts: list[_Ways], absorbing: bool) -> _Ways:
    """In Istio's language `a || b` has no value where `a` has none: `b` counts where `a` is there, and false."""
    found, before = parts[0], _ALWAYS
    for left, right in itertools.pairwise(parts):
        before = _product([before, _ALWAYS if absorbing else _there(left)])
        found = (*found, *_product([before, right]))
    return found


def _there(ways: _Ways) -> _Ways:
    """Where a condition that does not hold has a value all the same."""
    probes = [probe for way in ways for probe in way]
    if all(probe.header in _EVER_THERE for probe in probes):
        return _ALWAYS
    if len(probes) == 1 and probes[0].kind is ProbeKind.EXACT:
        return ((attrs.evolve(probes[0], kind=ProbeKind.NOT),),)
    raise RemoteError("it has no value where a header is absent on the left of ||")


_EVER_THERE = ("", ":method", ":path")


def _product(parts: list[_Ways]) -> _Ways:
    found = _ALWAYS
    for part in parts:
        found = _bounded(tuple((*left, *right) for left in found for right in part))
    return found


def _bounded(found: _Ways) -> _Ways:
    if len(found) > MOST_WAYS:
        raise RemoteError(f"its condition comes to more than {MOST_WAYS} combinations")
    return found


def _equal(term: Term, other: Term, negated: bool, known: Mapping[str, str]) -> _Ways:
    if not isinstance(other, Constant) or not isinstance(other.value, str):
        raise RemoteError(f"Envoy has no test for {_shown(term)} against that value")
    return _test(term, ProbeKind.NOT if negated else ProbeKind.EXACT, other.value, known)


def _test(term: Term, kind: ProbeKind, value: str, known: Mapping[str, str]) -> _Ways:
    """One test; of what is known, its outcome. A value that is absent makes a condition false, as in Mixer."""
    if not value.isprintable():
        raise RemoteError(f"Envoy can't test {_shown(term)} against what can't be printed")
    match term:
        case Entry(Attribute(name="request.headers"), Constant(value=str(key))) if _NAME.fullmatch(key):
            return ((Probe(key.lower(), kind, value),),)
        case Attribute(name=name) if name in _PSEUDO:
            return ((Probe(_PSEUDO[name], kind, value),),)
        case Attribute(name=name) if name == _PATH and "?" not in value:
            return ((Probe("", kind, value),),)
        case Attribute(name=name) if name in known:
            return _ALWAYS if _OUTCOMES[kind](known[name], value) else _NEVER
    raise RemoteError(f"Envoy does not know {_shown(term)}")


_OUTCOMES: Mapping[ProbeKind, Any] = {
    ProbeKind.EXACT: str.__eq__,
    ProbeKind.NOT: str.__ne__,
    ProbeKind.PREFIX: str.startswith,
}


def _shown(term: Term) -> str:
    match term:
        case Attribute(name=name):
            return name
        case Entry(Attribute(name=name), Constant(value=key)):
            return f'{name}["{key}"]'
        case Apply(function=function):
            return f"{function.name}()"
        case _:
            return type(term).__name__.lower()
