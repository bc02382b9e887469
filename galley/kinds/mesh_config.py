"""MeshConfig (istio.mesh.v1alpha1, config.proto): what holds for the whole mesh and is no object of its own in Istio.

Istio keeps it in a ConfigMap; here it is an object like all others, `mesh.istio.io/v1alpha1`, so that it is checked,
watched and kept when a new version is broken. Only what this control plane reads is known; the rest is refused.
Data only: read by planning, built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.schema import Becomes, NotYet, OneOf, Struct, UInt32

TRUST_DOMAIN = "cluster.local"
ROOT_NAMESPACE = "istio-system"
_BY_GRPC = "spans go by gRPC; name the collector's OTLP gRPC port and leave `http` out"


class AccessLogEncoding(enum.Enum):
    """How the lines of `accessLogFile` are written."""

    TEXT = "TEXT"
    JSON = "JSON"


@attrs.frozen
class ZipkinProvider:
    """Spans to Zipkin's collector by HTTP."""

    service: Annotated[str, Becomes("`ZipkinConfig.collector_cluster`")] = ""
    port: Annotated[UInt32, Becomes("the same")] = 0
    max_tag_length: Annotated[UInt32, Becomes("`tracing.max_path_tag_length`")] = 0
    enable64bit_trace_id: Annotated[bool, Becomes("`trace_id_128bit: false`")] = False
    path: Annotated[str, Becomes("`collector_endpoint`, else /api/v2/spans")] = ""


@attrs.frozen
class OpenTelemetryProvider:
    """Spans to a collector by OTLP over gRPC."""

    service: Annotated[str, Becomes("`OpenTelemetryConfig.grpc_service`")] = ""
    port: Annotated[UInt32, Becomes("the same")] = 0
    max_tag_length: Annotated[UInt32, Becomes("`tracing.max_path_tag_length`")] = 0
    http: Annotated[Struct | None, NotYet(why=_BY_GRPC)] = None


@attrs.frozen
class LogFormat:
    """Text, or a JSON object; both with Envoy's command operators."""

    text: Annotated[str, OneOf("log_format"), Becomes("`text_format_source`")] = ""
    labels: Annotated[Struct | None, OneOf("log_format"), Becomes("`json_format`")] = None


@attrs.frozen
class EnvoyFileAccessLogProvider:
    """Lines to a file; /dev/stdout is the proxy's own output."""

    path: Annotated[str, Becomes("`FileAccessLog.path`")] = ""
    log_format: Annotated[LogFormat | None, Becomes("`FileAccessLog.log_format`")] = None


@attrs.frozen
class EnvoyHttpGrpcV3LogProvider:
    """Entries of HTTP requests to Envoy's access log service."""

    service: Annotated[str, Becomes("`common_config.grpc_service`")] = ""
    port: Annotated[UInt32, Becomes("the same")] = 0
    log_name: Annotated[str, Becomes("`common_config.log_name`, else http_envoy_accesslog")] = ""
    filter_state_objects_to_log: Annotated[tuple[str, ...], Becomes("the same")] = ()
    additional_request_headers_to_log: Annotated[tuple[str, ...], Becomes("the same")] = ()
    additional_response_headers_to_log: Annotated[tuple[str, ...], Becomes("the same")] = ()
    additional_response_trailers_to_log: Annotated[tuple[str, ...], Becomes("the same")] = ()


@attrs.frozen
class EnvoyTcpGrpcV3LogProvider:
    """Entries of connections to Envoy's access log service."""

    service: Annotated[str, Becomes("`common_config.grpc_service`")] = ""
    port: Annotated[UInt32, Becomes("the same")] = 0
    log_name: Annotated[str, Becomes("`common_config.log_name`, else tcp_envoy_accesslog")] = ""
    filter_state_objects_to_log: Annotated[tuple[str, ...], Becomes("the same")] = ()


@attrs.frozen
class EnvoyOpenTelemetryLogProvider:
    """Log records to a collector by OTLP over gRPC."""

    service: Annotated[str, Becomes("`OpenTelemetryAccessLogConfig.grpc_service`")] = ""
    port: Annotated[UInt32, Becomes("the same")] = 0
    log_name: Annotated[str, Becomes("`log_name`, else otel_envoy_accesslog")] = ""
    log_format: Annotated[LogFormat | None, Becomes("`body` and `attributes`")] = None


@attrs.frozen
class PrometheusProvider:
    """Istio's standard metrics where proxies are scraped."""


@attrs.frozen
class ExtensionProvider:
    """Something outside that Telemetry objects name."""

    name: Annotated[str, Becomes("what Telemetry and `defaultProviders` call it")] = ""
    zipkin: Annotated[ZipkinProvider | None, OneOf("provider"), Becomes("envoy.tracers.zipkin")] = None
    opentelemetry: Annotated[
        OpenTelemetryProvider | None, OneOf("provider"), Becomes("envoy.tracers.opentelemetry")
    ] = None
    envoy_file_access_log: Annotated[
        EnvoyFileAccessLogProvider | None, OneOf("provider"), Becomes("envoy.access_loggers.file")
    ] = None
    envoy_http_als: Annotated[
        EnvoyHttpGrpcV3LogProvider | None, OneOf("provider"), Becomes("envoy.access_loggers.http_grpc")
    ] = None
    envoy_tcp_als: Annotated[
        EnvoyTcpGrpcV3LogProvider | None, OneOf("provider"), Becomes("envoy.access_loggers.tcp_grpc")
    ] = None
    envoy_otel_als: Annotated[
        EnvoyOpenTelemetryLogProvider | None, OneOf("provider"), Becomes("envoy.access_loggers.open_telemetry")
    ] = None
    prometheus: Annotated[PrometheusProvider | None, OneOf("provider"), Becomes("envoy.access_loggers.stats")] = None


@attrs.frozen
class DefaultProviders:
    """By name, where no Telemetry object names others."""

    tracing: Annotated[tuple[str, ...], Becomes("`HttpConnectionManager.tracing`")] = ()
    metrics: Annotated[tuple[str, ...], Becomes("Istio's standard metrics")] = ()
    access_logging: Annotated[tuple[str, ...], Becomes("`access_log`")] = ()


class Normalization(enum.Enum):
    """What is done to paths before policies, routes and workloads see them; each does what the one before does.

    BASE resolves `.` and `..` and makes slashes of backslashes; MERGE_SLASHES makes one of several;
    DECODE_AND_MERGE_SLASHES makes slashes of `%2F` and `%5C` first. DEFAULT is the last where an AuthorizationPolicy
    of the workload looks at paths, else BASE.
    """

    DEFAULT = "DEFAULT"
    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


@attrs.frozen
class ProxyPathNormalization:
    """How paths are normalized where peers and clients come in."""

    normalization: Annotated[
        Normalization, Becomes("`normalize_path`, `merge_slashes`, `path_with_escaped_slashes_action`")
    ] = Normalization.DEFAULT


@attrs.frozen
class MeshConfig:
    """One object without a namespace; of several the first by name counts."""

    trust_domain: Annotated[str, Becomes("in the names that peers' certificates are expected to carry")] = TRUST_DOMAIN
    trust_domain_aliases: Annotated[tuple[str, ...], Becomes("further such names: their workloads are ours")] = ()
    root_namespace: Annotated[str, Becomes("nothing: whose objects hold for the whole mesh")] = ROOT_NAMESPACE
    access_log_file: Annotated[str, Becomes("a file access log where nothing else is said of logs")] = ""
    access_log_format: Annotated[str, Becomes("its format: text, or a JSON object")] = ""
    access_log_encoding: Annotated[AccessLogEncoding, Becomes("which of the two")] = AccessLogEncoding.TEXT
    extension_providers: Annotated[tuple[ExtensionProvider, ...], Becomes("what they are named for")] = ()
    default_providers: DefaultProviders | None = None
    path_normalization: ProxyPathNormalization | None = None
