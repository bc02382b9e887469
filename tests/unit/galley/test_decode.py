"""The decoder: protobuf JSON's rules, and every error of an object at once."""

from __future__ import annotations

import datetime
from typing import Any

import attrs
import pytest

from galley.decode import decode
from galley.kinds import destination_rule, envoy_filter, virtual_service
from galley.kinds.destination_rule import ConsistentHashLB, DestinationRule, Failover, OutlierDetection, SimpleLB
from galley.kinds.envoy_filter import Patch
from galley.kinds.virtual_service import (
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    L4MatchAttributes,
    StringMatch,
    VirtualService,
)
from galley.schema import Struct

MESSAGES = [
    each
    for module in (virtual_service, destination_rule, envoy_filter)
    for each in vars(module).values()
    if isinstance(each, type) and attrs.has(each) and each.__module__ == module.__name__
]


def texts(message: type[Any], data: object) -> list[str]:
    return [finding.text for finding in decode(message, data, ("spec",))[1]]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_every_message_decodes_from_nothing_to_its_defaults(message: type[Any]) -> None:
    assert decode(message, {}) == (message(), [])


def test_a_whole_virtual_service_is_decoded() -> None:
    data = {
        "hosts": ["reviews"],
        "http": [
            {
                "match": [{"headers": {"b": {"exact": "2"}, "a": {"prefix": "1"}}, "ignoreUriCase": True}],
                "route": [{"destination": {"host": "reviews", "port": {"number": 80}}, "weight": 100}],
                "timeout": "1m30s",
                "retries": {"attempts": 3, "perTryTimeout": "0.5s"},
            }
        ],
    }
    spec, findings = decode(VirtualService, data)
    assert not findings
    (route,) = spec.http
    assert route.match[0].headers == (("a", StringMatch(prefix="1")), ("b", StringMatch(exact="2")))
    assert route.timeout == datetime.timedelta(seconds=90)
    assert route.retries == HTTPRetry(attempts=3, per_try_timeout=datetime.timedelta(seconds=0.5))
    assert hash(spec) == hash(decode(VirtualService, data)[0])


def test_both_of_protobufs_names_are_accepted() -> None:
    camel, _ = decode(OutlierDetection, {"consecutive5xxErrors": 3})
    snake, _ = decode(OutlierDetection, {"consecutive_5xx_errors": 3})
    assert camel == snake == OutlierDetection(consecutive_5xx_errors=3)


def test_a_field_under_both_of_its_names_is_refused() -> None:
    assert texts(HTTPRetry, {"perTryTimeout": "1s", "per_try_timeout": "2s"}) == [
        "spec.per_try_timeout is given twice, under both of its names"
    ]


def test_a_wire_name_that_is_a_python_word() -> None:
    assert decode(Failover, {"from": "a", "to": "b"}) == (Failover("a", "b"), [])


@pytest.mark.parametrize("written", [3, 3.0, "3"])
def test_integers_are_read_in_each_of_protobufs_forms(written: object) -> None:
    assert decode(HTTPRetry, {"attempts": written}) == (HTTPRetry(attempts=3), [])


def test_null_is_absent() -> None:
    assert decode(HTTPRoute, {"timeout": None, "match": None, "fault": None}) == (HTTPRoute(), [])


def test_a_oneof_takes_one_member_only() -> None:
    assert texts(StringMatch, {"exact": "a", "prefix": "b"}) == [
        "spec sets exact and prefix, of which only one may be set"
    ]


def test_a_map_with_a_key_that_is_no_string() -> None:
    (finding,) = decode(DestinationRule, {"subsets": [{"labels": {1: "a"}}]})[1]
    assert finding.text.endswith("expected a string as its key, got 1")
    assert finding.mend == 'quote the key: "1"'


@pytest.mark.parametrize(
    ("message", "data", "text", "mend"),
    [
        (HTTPRouteDestination, {"weight": "ninety"}, "spec.weight expected an integer, got 'ninety'", ""),
        (HTTPRouteDestination, {"weight": 1.5}, "spec.weight expected an integer, got 1.5", ""),
        (HTTPRouteDestination, {"weight": True}, "spec.weight expected an integer, got True", ""),
        (
            HTTPRouteDestination,
            {"weight": 2**31},
            "spec.weight expected an integer from -2147483648 to 2147483647, got 2147483648",
            "",
        ),
        (HTTPRouteDestination, {"weigth": 9}, "spec.weigth is not a known field", "did you mean weight?"),
        (
            HTTPRouteDestination,
            {"zzz": 9},
            "spec.zzz is not a known field",
            "known fields are destination, headers, weight",
        ),
        (HTTPRouteDestination, {"destination": "a"}, "spec.destination expected a mapping, got 'a'", ""),
        (VirtualService, {"hosts": "a"}, "spec.hosts expected a list, got 'a'", ""),
        (VirtualService, {"hosts": [7]}, "spec.hosts[0] expected a string, got 7", 'put it in quotes: "7"'),
        (VirtualService, {"hosts": [None]}, "spec.hosts[0] expected a string, got nothing", ""),
        (VirtualService, ["a"], "spec expected a mapping, got a list", ""),
        (HTTPRoute, {"timeout": 3}, "spec.timeout expected a duration, got 3", "give it a unit: 3s"),
        (
            HTTPRoute,
            {"timeout": "soon"},
            "spec.timeout expected a duration, got 'soon'",
            "write it like 3s, 0.5s, 100ms or 1m30s",
        ),
        (
            L4MatchAttributes,
            {"sourceSubnet": "10.0.0.1"},
            "spec.sourceSubnet is not supported by this version of mesh-adapter: "
            "connections come from the workload beside the proxy",
            "remove it",
        ),
        (
            OutlierDetection,
            {"interval": []},
            "spec.interval expected a duration, got a list",
            "write it like 3s, 0.5s, 100ms or 1m30s",
        ),
        (
            OutlierDetection,
            {"splitExternalLocalOriginErrors": "x" * 99},
            f"spec.splitExternalLocalOriginErrors expected true or false, got '{'x' * 38}…",
            "",
        ),
    ],
)
def test_a_bad_field_is_told_with_path_expectation_and_mend(
    message: type[Any], data: object, text: str, mend: str
) -> None:
    (finding,) = decode(message, data, ("spec",))[1]
    assert (finding.text, finding.mend, finding.warning) == (text, mend, False)


def test_an_unknown_enum_value_lists_the_known() -> None:
    settings = destination_rule.LoadBalancerSettings
    assert texts(settings, {"simple": "FASTEST"}) == [
        "spec.simple expected one of UNSPECIFIED, LEAST_CONN, RANDOM, ROUND_ROBIN, LEAST_REQUEST, got 'FASTEST'"
    ]
    assert texts(settings, {"simple": "PASSTHROUGH"}) == [
        "spec.simple PASSTHROUGH is not supported by this version of mesh-adapter: a client names the service to its"
        " proxy, so there is no original destination to pass through to"
    ]
    assert decode(settings, {"simple": "RANDOM"})[0].simple is SimpleLB.RANDOM


def test_a_deprecated_field_is_read_and_warned_of() -> None:
    value, (finding,) = decode(OutlierDetection, {"consecutiveErrors": 4}, ("spec",))
    assert value.consecutive_errors == 4
    assert finding.warning
    assert finding.text == "spec.consecutiveErrors is deprecated"
    assert finding.mend == "use consecutiveGatewayErrors or consecutive5xxErrors"


def test_all_errors_are_told_and_the_rest_is_kept() -> None:
    data = {"hosts": ["a", 1], "gateway": [], "http": [{"name": "x", "timeout": "soon", "route": [{"weight": "w"}]}]}
    spec, findings = decode(VirtualService, data)
    assert [finding.text.split(" ")[0] for finding in findings] == [
        "hosts[1]",
        "gateway",
        "http[0].timeout",
        "http[0].route[0].weight",
    ]
    assert spec.http[0].name == "x"


def test_each_scalar_type_of_later_messages_is_decodable_already() -> None:
    hash_policy, findings = decode(ConsistentHashLB, {"httpCookie": {"name": "c", "ttl": "0s"}, "ringHash": {}})
    assert not findings
    assert hash_policy.http_cookie is not None
    assert texts(destination_rule.RetryBudget, {"percent": "x"}) == ["spec.percent expected a number, got 'x'"]
    assert texts(destination_rule.RetryBudget, {"percent": float("inf")}) == ["spec.percent expected a number, got inf"]


def test_no_document_has_a_derived_field() -> None:
    _, findings = decode(StringMatch, {"elements": "/a"})
    assert [each.text for each in findings] == ["elements is not a known field"]


def test_json_that_others_give_a_meaning_to_is_kept_as_it_was_written() -> None:
    data = {"b": [1, 2.5, None, {"c": True}], "a": "ü"}
    value, findings = decode(Patch, {"value": data})
    assert not findings
    assert value.value is not None
    assert value.value.plain() == data


def test_true_and_one_are_two_values() -> None:
    assert len({Struct.of({"a": True}), Struct.of({"a": 1}), Struct.of({"a": 1.0})}) == 3
