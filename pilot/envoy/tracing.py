"""Prints what a connection manager tells of requests as spans."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.trace import v3 as library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library
from envoy_data_plane.envoy.extensions.request_id.uuid import v3 as uuid_library
from envoy_data_plane.envoy.extensions.tracers.opentelemetry.resource_detectors import v3 as detectors_library

from pilot import ir
from pilot.envoy import codec

_Tracing = codec.message(manager_library.HttpConnectionManagerTracing)
_Zipkin = codec.message(library.ZipkinConfig)
_Otel = codec.message(library.OpenTelemetryConfig)
_UuidRequestId = codec.message(uuid_library.UuidRequestIdConfig)
_DETECTOR = {
    "name": "envoy.tracers.opentelemetry.resource_detectors.environment",
    "typed_config": codec.pack(codec.message(detectors_library.EnvironmentResourceDetectorConfig)()),
}
"""Who the proxy is, by OTEL_RESOURCE_ATTRIBUTES of its environment: so that proxies share what they are told."""


def tracing(value: ir.Tracing) -> Any:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing."""
    found = _Tracing(
        client_sampling={"value": 100},
        random_sampling={"value": value.sampling},
        overall_sampling={"value": 100},
        custom_tags=[_tag(each) for each in value.tags],
        provider={"name": f"envoy.tracers.{value.tracer.value}", "typed_config": codec.pack(_provider(value))},
        no_context_propagation=not value.propagates,
    )
    if value.max_path_length:
        found.max_path_tag_length.value = value.max_path_length
    return found


def request_id(value: ir.Tracing) -> dict[str, Any]:
    """The field `request_id_extension`, where the request's id is to carry no decision about its trace."""
    if value.by_request_id:
        return {}
    config = _UuidRequestId()
    config.use_request_id_for_trace_sampling.value = False
    return {"request_id_extension": {"typed_config": codec.pack(config)}}


def _provider(value: ir.Tracing) -> Any:
    if value.tracer is ir.Tracer.ZIPKIN:
        return _Zipkin(
            collector_cluster=value.cluster,
            collector_endpoint=value.path,
            collector_endpoint_version="HTTP_JSON",
            collector_hostname=value.authority,
            trace_id_128bit=value.long_ids,
            shared_span_context={"value": False},
        )
    service = {"envoy_grpc": {"cluster_name": value.cluster, "authority": value.authority}}
    return _Otel(grpc_service=service, resource_detectors=[_DETECTOR])


def _tag(value: ir.SpanTag) -> dict[str, Any]:
    if value.kind is ir.TagKind.LITERAL:
        return {"tag": value.name, "literal": {"value": value.value}}
    if value.kind is ir.TagKind.FORMAT:
        return {"tag": value.name, "value": value.value}
    return {"tag": value.name, value.kind.value: {"name": value.value, "default_value": value.default}}
