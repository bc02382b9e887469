"""Conditions of access logs: what Envoy would refuse a listener for is refused before."""

from __future__ import annotations

import pytest

from galley.kinds.telemetry import AccessLogging, LogFilter, Telemetry
from mesh_adapter.log_conditions import check_conditions


def said(expression: str) -> list[str]:
    spec = Telemetry(access_logging=(AccessLogging(filter=LogFilter(expression)),))
    return [each.text for each in check_conditions(spec)]


@pytest.mark.parametrize(
    "expression",
    [
        "response.code >= 400",
        "response.code >= 400 && (connection.mtls || request.url_path.contains('v1'))",
        "has(request.headers['x-user']) ? request.headers['x-user'].startsWith('a') : false",
        "xds.cluster_name.matches('^outbound')",
    ],
)
def test_what_envoy_reads_passes(expression: str) -> None:
    assert not said(expression)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("response.code >=", "is no condition in CEL: 1:"),
        ('request.host | "x" == "y"', "is not CEL at 1:"),
        ("ip(source.address) == ip('1.1.1.1')", "calls ip at 1:"),
        ("string(response.code) == '200'", "calls string at 1:"),
        ("responses.code == 1", "names responses at 1:1, which is not known"),
    ],
)
def test_what_it_would_not_is_refused_with_the_place(expression: str, part: str) -> None:
    found = said(expression)
    assert found
    assert all(each.startswith("spec.accessLogging[0].filter.expression ") for each in found)
    assert any(part in each for each in found)
