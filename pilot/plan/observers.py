"""Decides what the providers of MeshConfig become: the clusters that they lead to, formats, defaults. Pure.

A provider whose service the mesh does not know becomes nothing: Envoy refuses a listener that names a cluster which is
not there. `galley.telemetry_findings` tells the operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from galley.kinds import mesh_config as kind
from galley.kinds.telemetry import CustomTag, Tracing
from galley.providers import described, mesh_config
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Service
from pilot.plan import names
from pilot.plan.index import Index

TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""The fields of Istio's log lines in their order, so that what reads those reads these."""
JSON = """{"start_time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", \
"protocol": "%PROTOCOL%", "response_code": "%RESPONSE_CODE%", "response_flags": "%RESPONSE_FLAGS%", \
"response_code_details": "%RESPONSE_CODE_DETAILS%", \
"connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%", \
"upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%", "bytes_received": "%BYTES_RECEIVED%", \
"bytes_sent": "%BYTES_SENT%", "duration": "%DURATION%", \
"upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%", \
"user_agent": "%REQ(USER-AGENT)%", "request_id": "%REQ(X-REQUEST-ID)%", "authority": "%REQ(:AUTHORITY)%", \
"upstream_host": "%UPSTREAM_HOST%", "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%", \
"upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%", "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%", \
"downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%", "requested_server_name": "%REQUESTED_SERVER_NAME%", \
"route_name": "%ROUTE_NAME%"}"""
"""The same fields by Istio's names, for a JSON log that names none."""
FLUSH_INTERVAL = timedelta(seconds=1)
SAMPLING = 1.0
ZIPKIN_PATH = "/api/v2/spans"
_NAMES: Mapping[type[object], tuple[ir.LogKind, str]] = {
    kind.EnvoyHttpGrpcV3LogProvider: (ir.LogKind.GRPC_HTTP, "http_envoy_accesslog"),
    kind.EnvoyTcpGrpcV3LogProvider: (ir.LogKind.GRPC_TCP, "tcp_envoy_accesslog"),
    kind.EnvoyOpenTelemetryLogProvider: (ir.LogKind.OTLP, "otel_envoy_accesslog"),
}
ISTIO_TAGS = tuple(
    ir.SpanTag(f"istio.{name}", ir.TagKind.ENVIRONMENT, variable, "unknown")
    for name, variable in (
        ("canonical_service", "MESH_APP"),
        ("canonical_revision", "MESH_VERSION"),
        ("namespace", "MESH_NAMESPACE"),
    )
)
"""By environment variables that `mesh-adapter sidecar` gives its Envoy, so that proxies go on sharing listeners."""


def access_log(index: Index, view: OutboundView, provider: object, condition: str) -> ir.AccessLog | None:
    """None for a provider that is not for logs, or leads nowhere."""
    if isinstance(provider, kind.EnvoyFileAccessLogProvider):
        text, json = _format(provider.log_format)
        return ir.AccessLog(
            ir.LogKind.FILE, provider.path, text=text or ("" if json else TEXT), json=json, condition=condition
        )
    if not isinstance(
        provider,
        kind.EnvoyHttpGrpcV3LogProvider | kind.EnvoyTcpGrpcV3LogProvider | kind.EnvoyOpenTelemetryLogProvider,
    ):
        return None
    cluster = _cluster(index, view, provider.service, provider.port, grpc=True)
    if cluster is None:
        return None
    log, default = _NAMES[type(provider)]
    text, json = _format(provider.log_format) if isinstance(provider, kind.EnvoyOpenTelemetryLogProvider) else ("", "")
    http = provider if isinstance(provider, kind.EnvoyHttpGrpcV3LogProvider) else kind.EnvoyHttpGrpcV3LogProvider()
    return ir.AccessLog(
        log,
        cluster=cluster,
        name=provider.log_name or default,
        text=(text or TEXT.rstrip("\n")) if log is ir.LogKind.OTLP else "",
        json=json,
        condition=condition,
        request_headers=http.additional_request_headers_to_log,
        response_headers=http.additional_response_headers_to_log,
        response_trailers=http.additional_response_trailers_to_log,
        filter_state=getattr(provider, "filter_state_objects_to_log", ()),
        flush_interval=FLUSH_INTERVAL,
    )


def _format(form: kind.LogFormat | None) -> tuple[str, str]:
    """Text and JSON, of which one is said or none; JSON without fields is one with Istio's."""
    if form is None or (not form.text and form.labels is None):
        return "", ""
    if form.labels is not None:
        return "", form.labels.text if form.labels.plain() else JSON
    return form.text if form.text.endswith("\n") else form.text + "\n", ""


def tracing(index: Index, view: OutboundView, provider: object, spec: Tracing) -> ir.Tracing | None:
    """None for a provider that is not for traces, or leads nowhere. `spec` is what holds when all is merged."""
    if not isinstance(provider, kind.ZipkinProvider | kind.OpenTelemetryProvider):
        return None
    zipkin = provider if isinstance(provider, kind.ZipkinProvider) else None
    cluster = _cluster(index, view, provider.service, provider.port, grpc=zipkin is None)
    if cluster is None:
        return None
    percentage = spec.random_sampling_percentage
    return ir.Tracing(
        tracer=ir.Tracer.ZIPKIN if zipkin else ir.Tracer.OPENTELEMETRY,
        cluster=cluster,
        authority=provider.service.rpartition("/")[2],
        sampling=SAMPLING if percentage is None else percentage,
        path=(zipkin.path or ZIPKIN_PATH) if zipkin else "",
        long_ids=not (zipkin and zipkin.enable64bit_trace_id),
        tags=(*(ISTIO_TAGS if spec.enable_istio_tags is not False else ()), *_tags(spec.custom_tags)),
        max_path_length=provider.max_tag_length,
        propagates=not spec.disable_context_propagation,
        by_request_id=spec.use_request_id_for_trace_sampling is not False,
    )


def _tags(tags: tuple[tuple[str, CustomTag], ...]) -> Iterator[ir.SpanTag]:
    for name, tag in tags:
        if tag.literal:
            yield ir.SpanTag(name, ir.TagKind.LITERAL, tag.literal.value)
        elif tag.environment:
            yield ir.SpanTag(name, ir.TagKind.ENVIRONMENT, tag.environment.name, tag.environment.default_value)
        elif tag.header:
            yield ir.SpanTag(name, ir.TagKind.HEADER, tag.header.name, tag.header.default_value)
        elif tag.formatter:
            yield ir.SpanTag(name, ir.TagKind.FORMAT, tag.formatter.value)


def provider_services(index: Index, namespace: str) -> Iterator[Service]:
    """All that MeshConfig's providers are, as far as clients of the namespace know them."""
    for provider in mesh_config(index.config).extension_providers:
        found = provider_service(index, getattr(described(provider), "service", ""), namespace)
        if found is not None:
            yield found


def provider_service(index: Index, named: str, namespace: str) -> Service | None:
    """The service that `NAMESPACE/HOST`, or a host, is for clients of the namespace."""
    where, _, host = named.rpartition("/")
    found = index.hosts.find(host, where or namespace)
    return found if found and found.is_visible_to(namespace) and where in ("", found.namespace) else None


def _cluster(index: Index, view: OutboundView, named: str, number: int, *, grpc: bool) -> str | None:
    service = provider_service(index, named, view.namespace)
    port = service.port(number) if service else None
    if service is None or port is None or (grpc and not port.protocol.is_http2):
        return None
    return names.outbound_cluster(service.host, number)
