"""Merging by Istio's rules, inside of Any too."""

from __future__ import annotations

from typing import Any

import pytest

from pilot.envoy import codec
from pilot.envoy.patches.merge import merge
from tests.unit.pilot.envoy.patches.messages import CLUSTER, HTTP, HTTP_FILTER, read

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
TYPED = f"type.googleapis.com/{OPTIONS}"


def merged(cls: Any, target: dict[str, Any], patch: dict[str, Any], **how: bool) -> Any:
    message = read(cls, target)
    merge(message, read(cls, patch), **how)
    return codec.to_json(message)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"name": "a"}, {"alt_stat_name": "b"}, {"name": "a", "alt_stat_name": "b"}),
        ({"connect_timeout": "1.500s"}, {"connect_timeout": "2s"}, {"connect_timeout": "2s"}),
        (
            {"max_requests_per_connection": 7},
            {"max_requests_per_connection": 0},
            {"max_requests_per_connection": 0},
        ),
        (
            {"outlier_detection": {"interval": "1s", "consecutive_5xx": 3}},
            {"outlier_detection": {"interval": "2s"}},
            {"outlier_detection": {"interval": "2s", "consecutive_5xx": 3}},
        ),
        (
            {"circuit_breakers": {"thresholds": [{"max_retries": 1}]}},
            {"circuit_breakers": {"thresholds": [{"max_retries": 2}]}},
            {"circuit_breakers": {"thresholds": [{"max_retries": 1}, {"max_retries": 2}]}},
        ),
        ({}, {"upstream_connection_options": {}}, {"upstream_connection_options": {}}),
        (
            {"ring_hash_lb_config": {"minimum_ring_size": 1}},
            {"maglev_lb_config": {"table_size": 7}},
            {"maglev_lb_config": {"table_size": "7"}},
        ),
        (
            {
                "typed_extension_protocol_options": {
                    OPTIONS: {"@type": TYPED, "auto_config": {}},
                    "other": {"@type": TYPED},
                }
            },
            {"typed_extension_protocol_options": {OPTIONS: {"@type": TYPED}}},
            {"typed_extension_protocol_options": {OPTIONS: {"@type": TYPED}, "other": {"@type": TYPED}}},
        ),
    ],
)
def test_what_the_patch_sets_wins(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    assert merged(CLUSTER, target, patch) == result


def test_lists_are_replaced_where_that_is_asked_for() -> None:
    one, two = ({"circuit_breakers": {"thresholds": [{"max_retries": each}]}} for each in (1, 2))
    assert merged(CLUSTER, one, two, replace_lists=True) == two


def test_the_same_type_is_merged_into_and_another_takes_its_place() -> None:
    buffer, lua = f"{HTTP}.router.v3.Router", f"{HTTP}.lua.v3.Lua"
    target = {"name": "a", "typed_config": {"@type": buffer, "start_child_span": True}}
    same = {"typed_config": {"@type": buffer, "suppress_envoy_headers": True}}
    assert merged(HTTP_FILTER, target, same)["typed_config"] == {
        "@type": buffer,
        "start_child_span": True,
        "suppress_envoy_headers": True,
    }
    assert merged(HTTP_FILTER, target, {"typed_config": {"@type": lua}})["typed_config"] == {"@type": lua}
