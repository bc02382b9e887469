"""MeshConfig and Telemetry: what passes, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.objects import refusals, validated

MESH = "mesh.istio.io/v1alpha1"
TELEMETRY = "telemetry.istio.io/v1"


def provider(**what: Any) -> dict[str, Any]:
    return {"extensionProviders": [{"name": "a", **what}]}


def file_log(**log_format: Any) -> dict[str, Any]:
    return provider(envoyFileAccessLog={"path": "/dev/stdout", "logFormat": log_format})


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"accessLogFile": "/dev/stdout", "accessLogFormat": "%START_TIME(%s)% 100%% %REQ(X?:PATH):9%"},
        {"accessLogFile": "/dev/stdout", "accessLogFormat": '{"a": "%PROTOCOL%"}', "accessLogEncoding": "JSON"},
        {"defaultProviders": {"accessLogging": ["envoy"], "metrics": ["prometheus"]}},
        {**provider(zipkin={"service": "z", "port": 9411}), "defaultProviders": {"tracing": ["a"]}},
        provider(opentelemetry={"service": "shop/otel.example", "port": 4317}),
        file_log(labels={"a": ["%DURATION%", 1], "b": {"c": "%TRACE_ID%"}}),
    ],
)
def test_a_mesh_config_that_can_be_carried_out_passes(spec: dict[str, Any]) -> None:
    assert not validated("MeshConfig", spec, api_version=MESH).problems


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"accessLogFile": "log"}, "spec.accessLogFile 'log' is no absolute path"),
        ({"accessLogFormat": "50%"}, "spec.accessLogFormat has a % that begins no command operator, at '%'"),
        ({"accessLogFormat": "%NOPE%"}, "spec.accessLogFormat has %NOPE%, which Envoy does not know"),
        ({"accessLogFormat": "%REQ%"}, "spec.accessLogFormat has %REQ% without an argument"),
        ({"accessLogFormat": "%REQ()%"}, "spec.accessLogFormat has %REQ()% with an empty argument"),
        (
            {"accessLogFormat": "%PROTOCOL(x)%"},
            "spec.accessLogFormat has %PROTOCOL% with an argument, which it has not",
        ),
        ({"accessLogFormat": "[]", "accessLogEncoding": "JSON"}, "spec.accessLogFormat is no JSON object"),
        (
            {"accessLogFormat": "{", "accessLogEncoding": "JSON"},
            "spec.accessLogFormat is no JSON: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (provider(), "spec.extensionProviders[0] describes no provider"),
        ({"extensionProviders": [{"prometheus": {}}]}, "spec.extensionProviders[0].name is missing"),
        (
            {"extensionProviders": [{"name": "a", "prometheus": {}}] * 2},
            "spec.extensionProviders[1].name 'a' is given twice",
        ),
        (
            provider(zipkin={"service": "/z", "port": 1}),
            "spec.extensionProviders[0].zipkin.service names no namespace before '/'",
        ),
        (
            provider(zipkin={"service": "z"}),
            "spec.extensionProviders[0].zipkin.port port number 0 must be in the range 1..65535",
        ),
        (
            provider(zipkin={"service": "z", "port": 1, "path": "spans"}),
            "spec.extensionProviders[0].zipkin.path is no absolute path of a URL",
        ),
        (
            file_log(text="%"),
            "spec.extensionProviders[0].envoyFileAccessLog.logFormat.text "
            "has a % that begins no command operator, at '%'",
        ),
        (
            file_log(labels={"a": {"b": ["%X%"]}}),
            "spec.extensionProviders[0].envoyFileAccessLog.logFormat.labels.a.b[0] has %X%, which Envoy does not know",
        ),
        (
            {"defaultProviders": {"tracing": ["b"]}},
            "spec.defaultProviders.tracing[0] 'b' is none of the extensionProviders",
        ),
        (
            {"defaultProviders": {"tracing": ["envoy"]}},
            "spec.defaultProviders.tracing[0] 'envoy' is for something else",
        ),
    ],
)
def test_a_mesh_config_that_cannot_is_refused(spec: dict[str, Any], message: str) -> None:
    assert refusals("MeshConfig", spec, api_version=MESH) == [message]


def test_what_this_mesh_does_not_read_of_mesh_config_is_refused() -> None:
    (problem,) = refusals("MeshConfig", {"enableAutoMtls": True}, api_version=MESH)
    assert "enableAutoMtls" in problem


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {
                "selector": {"matchLabels": {"a": "b"}},
                "targetRef": {"group": "networking.istio.io", "kind": "Gateway", "name": "g"},
            },
            "spec sets selector and targetRef, of which only one may be set",
        ),
        (
            {"selector": {"matchLabels": {"a": "b*"}}},
            "spec.selector.matchLabels.a has a wildcard, which labels are not compared by",
        ),
        (
            {"targetRefs": [{"kind": "Service", "name": "a"}]},
            "spec.targetRefs[0] refers to core/Service: only proxies of Gateways can be found by a reference, "
            "and others are for Istio's waypoints, which are not here",
        ),
        (
            {"tracing": [{"providers": [{"name": "a"}, {"name": "b"}]}]},
            "spec.tracing[0].providers names several: spans go to one provider",
        ),
        ({"tracing": [{"providers": [{}]}]}, "spec.tracing[0].providers[0].name is missing"),
        (
            {"tracing": [{"randomSamplingPercentage": 101}]},
            "spec.tracing[0].randomSamplingPercentage percentage 101.0 is not in range 0..100",
        ),
        ({"tracing": [{"customTags": {"a": {}}}]}, "spec.tracing[0].customTags.a says nothing"),
        (
            {"tracing": [{"customTags": {"a": {"formatter": {"value": "%A%"}}}}]},
            "spec.tracing[0].customTags.a.formatter.value has %A%, which Envoy does not know",
        ),
        (
            {"tracing": [{"customTags": {"a": {"header": {}}}}]},
            "spec.tracing[0].customTags.a.header.name is missing",
        ),
        ({"accessLogging": [{"filter": {}}]}, "spec.accessLogging[0].filter.expression is missing"),
    ],
)
def test_a_telemetry_that_cannot_be_carried_out_is_refused(spec: dict[str, Any], message: str) -> None:
    assert refusals("Telemetry", spec, api_version=TELEMETRY) == [message]
