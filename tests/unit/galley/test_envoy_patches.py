"""Both forms of an EnvoyFilter come to the same patches."""

from __future__ import annotations

from typing import Any

import pytest

from galley.decode import decode
from galley.envoy_patches import HTTP_MANAGER, ROUTER, TCP_PROXY, patches_of
from galley.kinds.envoy_filter import EnvoyConfigObjectPatch, EnvoyFilter, FilterMatch, Operation, SubFilterMatch

CORS = SubFilterMatch("envoy.filters.http.cors")


def old(filter_type: str, position: dict[str, Any] | None, protocol: str = "ALL") -> list[EnvoyConfigObjectPatch]:
    body = {
        "filterName": "envoy.ext_authz",
        "filterType": filter_type,
        "filterConfig": {},
        "insertPosition": position,
        "listenerMatch": {"listenerProtocol": protocol, "listenerType": "GATEWAY"},
    }
    spec, findings = decode(EnvoyFilter, {"filters": [body]})
    assert all(each.warning for each in findings), findings
    return [each.patch for each in patches_of(spec)]


@pytest.mark.parametrize(
    ("filter_type", "position", "protocol", "places"),
    [
        ("HTTP", None, "ALL", [(Operation.INSERT_FIRST, FilterMatch(HTTP_MANAGER))]),
        (
            "HTTP",
            {"index": "LAST"},
            "ALL",
            [(Operation.INSERT_BEFORE, FilterMatch(HTTP_MANAGER, SubFilterMatch(ROUTER)))],
        ),
        (
            "HTTP",
            {"index": "AFTER", "relativeTo": "envoy.cors"},
            "HTTP",
            [(Operation.INSERT_AFTER, FilterMatch(HTTP_MANAGER, CORS))],
        ),
        ("NETWORK", {"index": "FIRST"}, "TCP", [(Operation.INSERT_FIRST, None)]),
        ("NETWORK", {"index": "LAST"}, "TCP", [(Operation.INSERT_BEFORE, FilterMatch(TCP_PROXY))]),
        (
            "NETWORK",
            {"index": "LAST"},
            "ALL",
            [(Operation.INSERT_BEFORE, FilterMatch(HTTP_MANAGER)), (Operation.INSERT_BEFORE, FilterMatch(TCP_PROXY))],
        ),
        (
            "NETWORK",
            {"index": "BEFORE", "relativeTo": "envoy.tcp_proxy"},
            "ALL",
            [(Operation.INSERT_BEFORE, FilterMatch(TCP_PROXY))],
        ),
    ],
)
def test_positions_of_istio_1_1_are_operations_now(
    filter_type: str, position: dict[str, Any], protocol: str, places: list[Any]
) -> None:
    found = []
    for each in old(filter_type, position, protocol):
        assert each.match is not None
        assert each.match.listener is not None
        assert each.patch is not None
        chain = each.match.listener.filter_chain
        found.append((each.patch.operation, chain.filter if chain else None))
        assert each.match.context.value == "GATEWAY"
    assert found == places


@pytest.mark.parametrize("filter_type", ["HTTP", "NETWORK"])
def test_a_filter_of_istio_1_1_gets_its_new_name_and_its_type(filter_type: str) -> None:
    (patch,) = old(filter_type, None)
    assert patch.patch is not None
    assert patch.patch.value is not None
    name = f"envoy.filters.{filter_type.lower()}.ext_authz"
    url = f"type.googleapis.com/envoy.extensions.filters.{filter_type.lower()}.ext_authz.v3.ExtAuthz"
    assert patch.patch.value.plain() == {"name": name, "typed_config": {"@type": url}}
