"""Values that are no messages of Envoy's are refused with the path of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from galley.decode import decode
from galley.kinds.envoy_filter import ApplyTo, EnvoyFilter
from galley.schema import Struct
from pilot.envoy.patches.values import check_values, message
from tests.unit.pilot.envoy.patches.messages import ADDRESS, HTTP, LUA, ROUTER, TCP_PROXY, manager

VALUE = "spec.configPatches[0].patch.value"
LUA_URL = f"{HTTP}.lua.v3.Lua"


def findings(apply_to: str, value: Any, operation: str = "ADD") -> list[str]:
    body = {"applyTo": apply_to, "patch": {"operation": operation, "value": value}}
    spec, found = decode(EnvoyFilter, {"configPatches": [body]})
    assert not found
    return [each.text for each in check_values(spec)]


@pytest.mark.parametrize(
    ("apply_to", "value"),
    [
        ("HTTP_FILTER", LUA),
        ("HTTP_FILTER", {"name": "a", "typed_config": {"@type": LUA_URL, "sourceCodes": {"a": {"inlineString": "b"}}}}),
        (
            "HTTP_FILTER",
            {"name": "a", "typed_config": {"@type": "xds.type.v3.TypedStruct", "type_url": "x", "value": {"any": [1]}}},
        ),
        ("HTTP_FILTER", {"name": "a", "config_discovery": {"type_urls": [LUA_URL]}}),
        ("NETWORK_FILTER", manager(LUA, ROUTER)),
        ("FILTER_CHAIN", {"filters": [TCP_PROXY]}),
        ("LISTENER", {"name": "a", "address": ADDRESS, "filter_chains": [{"filters": [TCP_PROXY]}]}),
        ("CLUSTER", {"name": "a", "connect_timeout": "0.25s", "metadata": {"filter_metadata": {"a": {"b": [1, "c"]}}}}),
    ],
)
def test_what_envoy_knows_passes(apply_to: str, value: Any) -> None:
    assert findings(apply_to, value) == []


@pytest.mark.parametrize(
    ("apply_to", "value", "said"),
    [
        ("CLUSTER", {"name": "a", "connectTimeot": "1s"}, f"{VALUE}.connectTimeot is not a known field of Cluster"),
        ("CLUSTER", {"name": "a", "connect_timeout": 1}, f"{VALUE}.connect_timeout can't be read"),
        ("CLUSTER", {"name": "a", "lb_policy": "FAIR"}, f"{VALUE}.lb_policy can't be read: Invalid enum value FAIR"),
        ("CLUSTER", {"name": "a", "circuit_breakers": []}, f"{VALUE}.circuit_breakers is not a mapping"),
        (
            "CLUSTER",
            {"name": "a", "circuit_breakers": {"thresholds": [{}, {"max_retries": "many"}]}},
            f"{VALUE}.circuit_breakers.thresholds[1].max_retries can't be read",
        ),
        (
            "HTTP_FILTER",
            {"name": "a", "typed_config": {"@type": LUA_URL, "inline_cod": ""}},
            f"{VALUE}.typed_config.inline_cod is not a known field of Lua",
        ),
        (
            "HTTP_FILTER",
            {"name": "a", "typed_config": {"@type": "envoy.filters.Unheard"}},
            f"{VALUE}.typed_config[\"@type\"] names 'envoy.filters.Unheard', which is not a known type",
        ),
        (
            "HTTP_FILTER",
            {"name": "a", "typed_config": {"@type": "os.path"}},
            f"{VALUE}.typed_config[\"@type\"] names 'os.path', which is not a known type",
        ),
        ("HTTP_FILTER", {"name": "a", "typed_config": {}}, f'{VALUE}.typed_config has no "@type"'),
        (
            "HTTP_FILTER",
            {"typed_config": LUA["typed_config"]},
            f"{VALUE} would be refused by Envoy: the HTTP filter has no name",
        ),
        ("HTTP_FILTER", {"name": "a"}, f"{VALUE} would be refused by Envoy: HTTP filter a has no typed_config"),
        ("CLUSTER", {"type": "STATIC"}, f"{VALUE} would be refused by Envoy: the cluster has no name"),
        ("LISTENER", {"name": "a"}, f"{VALUE} would be refused by Envoy: listener a has no address"),
        ("VIRTUAL_HOST", {"name": "a"}, f"{VALUE} would be refused by Envoy: virtual host a has no domains"),
        (
            "HTTP_ROUTE",
            {"name": "a", "match": {"prefix": "/"}},
            f"{VALUE} would be refused by Envoy: route a has no action",
        ),
        (
            "HTTP_ROUTE",
            {"name": "a", "redirect": {}, "route": {"cluster": "b"}, "match": {"path": "/"}},
            f'{VALUE} is no Route: Message type "envoy.config.route.v3.Route" should not have multiple',
        ),
    ],
)
def test_what_it_does_not_know_is_refused_with_its_path(apply_to: str, value: Any, said: str) -> None:
    found = findings(apply_to, value)
    assert len(found) == 1
    assert found[0].startswith(said), found


def test_what_is_merged_need_not_be_whole() -> None:
    assert findings("HTTP_FILTER", {"typed_config": {"@type": LUA_URL}}, "MERGE") == []
    assert findings("CLUSTER", {"connect_timeout": "1s"}, "MERGE") == []


def test_a_value_is_read_once() -> None:
    value = Struct.of({"name": "a"})
    assert message(ApplyTo.CLUSTER, value) is message(ApplyTo.CLUSTER, Struct.of({"name": "a"}))
    with pytest.raises(ValueError, match="the value of a CLUSTER can't be read"):
        message(ApplyTo.CLUSTER, Struct.of({"nam": "a"}))
