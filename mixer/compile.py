"""What proxies need of Mixer: which traffic the rules in force ask for first, and which they want told. Pure.

Called by `mesh_adapter` for `pilot.plan`, for each listener. Where Envoy can carry out every rule that would be asked
(`mixer.placement`), HTTP is not asked about: one that can't be keeps all of them remote, since they make one verdict. A
rule is left out where what is known of the listener beforehand says that its condition can't hold.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

from galley.kinds.mixer import HeaderOperation
from mixer.attributes import Reference
from mixer.matching import awaited
from mixer.placement import RemoteError, denials
from mixer.ruleset import CompiledRule, FailurePolicy, Phase, RuleSet
from pilot.model.mixer import Denial, MixerNeeds

SLACK = 0.1
"""Seconds that a proxy waits beyond what the rules allow their handlers: the way there and back."""


def remote_needs(rules: RuleSet, known: Mapping[str, str]) -> MixerNeeds:
    """What traffic needs of which the attributes `known` are sure, `context.reporter.kind` among them.

    Checks are the destination's affair and made where traffic comes in or
    at a gateway: the caller asks for the side it plans.
    """
    charged = known.get("context.reporter.kind") != "outbound" and rules.charges.concern(known)
    concerned = [rule for rule in rules.rules if _in_scope(rules, rule, known) and _may_hold(rule, known)]
    asked = [rule for rule in concerned if _asks(rule, charged)]
    told = [rule for rule in concerned if rule.calls.get(Phase.REPORT)]
    generating = [rule for rule in concerned if rule.calls.get(Phase.GENERATE)]
    references = {each for rule in (*told, *(generating if told else ())) for each in _references(rule)}
    return MixerNeeds(
        check=bool(asked),
        fail_open=bool(asked) and all(rule.failure.open for rule in asked),
        deadline=datetime.timedelta(seconds=max((_longest(rule.failure) for rule in asked), default=0.0)),
        changes_requests=any(rule.request_headers for rule in asked),
        strips_responses=any(_strips(rule) for rule in asked),
        retries=max((rule.failure.retries for rule in asked), default=0),
        report=bool(told),
        request_headers=_headers(references, "request.headers"),
        response_headers=_headers(references, "response.headers"),
        denials=_denials(rules, asked, known),
    )


def _denials(rules: RuleSet, asked: Iterable[CompiledRule], known: Mapping[str, str]) -> tuple[Denial, ...] | None:
    """What Envoy does in place of asking, in the order of the rules; None where it has to ask all the same."""
    try:
        return tuple(each for rule in asked for each in denials(rules, rule, known)) or None
    except RemoteError:
        return None


def _asks(rule: CompiledRule, charged: bool) -> bool:
    checks = rule.calls.get(Phase.CHECK) or rule.request_headers or rule.response_headers
    return bool(checks or (charged and rule.calls.get(Phase.QUOTA)))


def _strips(rule: CompiledRule) -> bool:
    return any(each.operation is HeaderOperation.REMOVE for each in rule.response_headers)


def _in_scope(rules: RuleSet, rule: CompiledRule, known: Mapping[str, str]) -> bool:
    """Rules of the root namespace concern everybody; others the reporter's own, where that is known."""
    if rule.namespace == rules.root_namespace:
        return True
    side = "source" if known.get("context.reporter.kind") == "outbound" else "destination"
    home = known.get(f"{side}.namespace")
    return home is None or rule.namespace == home


def _may_hold(rule: CompiledRule, known: Mapping[str, str]) -> bool:
    if rule.predicate is None:
        return True
    return all(
        known[each.reference.name] in each.values
        for each in awaited(rule.predicate.term)
        if each.reference.key is None and each.reference.name in known
    )


def _references(rule: CompiledRule) -> Iterable[Reference]:
    yield from rule.predicate.references if rule.predicate else ()
    for phase in (Phase.GENERATE, Phase.REPORT):
        for call in rule.calls.get(phase, ()):
            yield from call.instance.references


def _headers(references: Iterable[Reference], attribute: str) -> tuple[str, ...]:
    """Names of headers that are asked for one by one; pseudo-headers come without asking."""
    names = {each.key.lower() for each in references if each.name == attribute and each.key}
    return tuple(sorted(name for name in names if not name.startswith(":")))


def _longest(policy: FailurePolicy) -> float:
    """Seconds until a handler's failure is certain, tries and waits together."""
    waits = sum(min(policy.base_wait * 2.0**each, policy.max_wait) for each in range(policy.retries))
    return policy.timeout * (policy.retries + 1) + waits + SLACK
