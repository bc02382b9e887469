"""Telemetry (telemetry.istio.io, telemetry.proto): what proxies tell of the traffic that passes, and whom.

Providers are named here and described in MeshConfig. Data only: read by planning, built by `galley.decode`.
"""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import attrs

from galley.kinds.selector import TargetReference, WorkloadSelector
from galley.schema import Becomes, NotYet, OneOf

_METRICS = "the standard metrics do not come from proxies yet; the Mixer handler `prometheus` makes them from reports"


class WorkloadMode(enum.Enum):
    """Which side of a call the workload is on."""

    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"
    CLIENT = "CLIENT"
    SERVER = "SERVER"


@attrs.frozen
class ProviderRef:
    name: Annotated[str, Becomes("the provider of that name in MeshConfig")] = ""


@attrs.frozen
class ModeSelector:
    mode: Annotated[WorkloadMode, Becomes("outbound listeners, inbound ones, or both")] = WorkloadMode.CLIENT_AND_SERVER


@attrs.frozen
class LiteralTag:
    value: Annotated[str, Becomes("`CustomTag.literal`")] = ""


@attrs.frozen
class EnvironmentTag:
    name: Annotated[str, Becomes("`CustomTag.environment`")] = ""
    default_value: Annotated[str, Becomes("the same")] = ""


@attrs.frozen
class HeaderTag:
    name: Annotated[str, Becomes("`CustomTag.request_header`")] = ""
    default_value: Annotated[str, Becomes("the same")] = ""


@attrs.frozen
class FormatterTag:
    value: Annotated[str, Becomes("`CustomTag.value`")] = ""


@attrs.frozen
class CustomTag:
    literal: Annotated[LiteralTag | None, OneOf("type")] = None
    environment: Annotated[EnvironmentTag | None, OneOf("type")] = None
    header: Annotated[HeaderTag | None, OneOf("type")] = None
    formatter: Annotated[FormatterTag | None, OneOf("type")] = None


@attrs.frozen
class Tracing:
    """What is not said here stays as wider objects have it."""

    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: Annotated[float | None, Becomes("`tracing.random_sampling`, else 1%")] = None
    disable_span_reporting: Annotated[bool | None, Becomes("no `tracing` at all: headers pass as they are")] = None
    custom_tags: Annotated[tuple[tuple[str, CustomTag], ...], Becomes("`tracing.custom_tags`")] = ()
    use_request_id_for_trace_sampling: Annotated[
        bool | None, Becomes("`request_id_extension`, unless true, which is the default")
    ] = None
    enable_istio_tags: Annotated[bool | None, Becomes("`istio.…` among `tracing.custom_tags`, by default")] = None
    disable_context_propagation: Annotated[bool | None, Becomes("`tracing.no_context_propagation`")] = None


class IstioMetric(enum.Enum):
    """Istio's standard metrics."""

    ALL_METRICS = "ALL_METRICS"
    REQUEST_COUNT = "REQUEST_COUNT"
    REQUEST_DURATION = "REQUEST_DURATION"
    REQUEST_SIZE = "REQUEST_SIZE"
    RESPONSE_SIZE = "RESPONSE_SIZE"
    TCP_OPENED_CONNECTIONS = "TCP_OPENED_CONNECTIONS"
    TCP_CLOSED_CONNECTIONS = "TCP_CLOSED_CONNECTIONS"
    TCP_SENT_BYTES = "TCP_SENT_BYTES"
    TCP_RECEIVED_BYTES = "TCP_RECEIVED_BYTES"
    GRPC_REQUEST_MESSAGES = "GRPC_REQUEST_MESSAGES"
    GRPC_RESPONSE_MESSAGES = "GRPC_RESPONSE_MESSAGES"


@attrs.frozen
class MetricSelector:
    """One metric, or all."""

    metric: Annotated[IstioMetric | None, OneOf("metric_match")] = None
    custom_metric: Annotated[str | None, OneOf("metric_match")] = None
    mode: WorkloadMode = WorkloadMode.CLIENT_AND_SERVER


class TagOperation(enum.Enum):
    UPSERT = "UPSERT"
    REMOVE = "REMOVE"


@attrs.frozen
class TagOverride:
    operation: TagOperation = TagOperation.UPSERT
    value: str = ""


@attrs.frozen
class MetricsOverrides:
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: tuple[tuple[str, TagOverride], ...] = ()


@attrs.frozen
class Metrics:
    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverrides, ...] = ()
    reporting_interval: datetime.timedelta | None = None


@attrs.frozen
class LogFilter:
    expression: Annotated[str, Becomes("`AccessLogFilter`: envoy.access_loggers.extension_filters.cel")] = ""


@attrs.frozen
class AccessLogging:
    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: Annotated[bool | None, Becomes("no `access_log` of these providers")] = None
    filter: LogFilter | None = None


@attrs.frozen
class Telemetry:
    """For the workloads of its namespace that the selector takes in; in the root namespace, for all."""

    selector: Annotated[WorkloadSelector | None, Becomes("of which proxies")] = None
    target_ref: Annotated[TargetReference | None, Becomes("routers of that Gateway")] = None
    target_refs: Annotated[tuple[TargetReference, ...], Becomes("routers of these Gateways")] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: Annotated[tuple[Metrics, ...], NotYet(why=_METRICS)] = ()
    access_logging: tuple[AccessLogging, ...] = ()
