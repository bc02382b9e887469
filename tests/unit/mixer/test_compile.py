"""Which traffic needs Mixer, by the rules in force and what is known of a listener."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from galley.config import ConfigObject
from mixer.compile import SLACK, remote_needs
from mixer.ruleset import RuleSet
from pilot.model.mixer import MixerNeeds
from tests.unit.mixer.configuration import accepted, handler, instance, rule, sound

INBOUND = {"context.reporter.kind": "inbound", "destination.namespace": "shop"}
DENY = (handler("no", "denier"), instance("nothing", "checknothing"), instance("told", "reportnothing"))
NOOP = handler("idle", "noop")


def needs(*rules: ConfigObject[object], known: Mapping[str, str] = INBOUND) -> MixerNeeds:
    found: RuleSet = sound(*rules, *DENY, NOOP, instance("calls", "quota", {"dimensions": {}}))
    return remote_needs(found, known)


def test_without_rules_nothing_is_needed() -> None:
    assert not needs()


def test_a_check_is_needed_and_closed_unless_every_rule_is_open() -> None:
    closed = rule("a", "", "no", ("nothing",))
    opened = rule("b", "", "no", ("nothing",), failPolicy={"policy": "FAIL_OPEN"})
    assert needs(closed).check
    assert not needs(closed).fail_open
    assert not needs(closed, opened).fail_open
    assert needs(opened).fail_open


def test_proxies_wait_for_as_long_as_the_most_patient_rule_may_take() -> None:
    slow = {"timeout": "1s", "maxRetry": 2, "baseRetryWait": "0.1s"}
    found = needs(rule("a", "", "no", ("nothing",)), rule("b", "", "no", ("nothing",), failPolicy=slow))
    assert found.deadline == timedelta(seconds=3.3 + SLACK)


def test_a_rule_of_another_service_or_namespace_is_not_asked() -> None:
    other = rule("a", 'destination.service.host == "b.example"', "no", ("nothing",))
    assert needs(other).check
    assert not needs(other, known={**INBOUND, "destination.service.host": "a.example"})
    assert not needs(rule("b", "", "no.istio-system", ("nothing.istio-system",), namespace="test"))


def test_header_operations_alone_are_asked_for() -> None:
    found = needs(rule("a", requestHeaderOperations=[{"name": "x", "values": ['"1"']}]))
    assert found.check
    assert found.changes_requests
    assert not found.strips_responses


def test_answers_are_stripped_only_where_a_rule_says_so() -> None:
    added, removed = {"name": "x", "values": ['"1"']}, {"name": "y", "operation": "REMOVE"}
    assert not needs(rule("a", responseHeaderOperations=[added])).strips_responses
    assert needs(rule("a", responseHeaderOperations=[added, removed])).strips_responses


def test_quotas_are_asked_for_where_requests_cost_some() -> None:
    quota = rule("a", "", "idle", ("calls",))
    assert not needs(quota)
    spec = accepted("QuotaSpec", "price", {"rules": [{"quotas": [{"quota": "calls", "charge": 2}]}]})
    bound = {"services": [{"service": "a.example"}], "quotaSpecs": [{"name": "price"}]}
    binding = accepted("QuotaSpecBinding", "price", bound)
    assert needs(quota, spec, binding).check
    assert not needs(quota, spec, binding, known={**INBOUND, "destination.service.host": "b.example"})
    outbound = {"context.reporter.kind": "outbound", "source.namespace": "shop"}
    assert not needs(quota, spec, binding, known=outbound)


def test_reports_name_the_headers_that_their_rules_read() -> None:
    found = needs(rule("a", 'request.headers["X-User"] == "u" && response.headers["x-b"] == "c"', "idle", ("told",)))
    assert found == MixerNeeds(report=True, request_headers=("x-user",), response_headers=("x-b",))
