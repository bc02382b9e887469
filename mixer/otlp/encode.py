"""Instances as OTLP's spans and log records (opentelemetry/proto/{trace,logs,common}/v1). Pure."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mixer.handler import Instance
from mixer.plain import shown_value

SCOPE = InstrumentationScope(name="mesh-adapter.mixer")
_MICROSECOND = datetime.timedelta(microseconds=1)
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)
_SEVERITIES = {
    "trace": SeverityNumber.SEVERITY_NUMBER_TRACE,
    "debug": SeverityNumber.SEVERITY_NUMBER_DEBUG,
    "info": SeverityNumber.SEVERITY_NUMBER_INFO,
    "default": SeverityNumber.SEVERITY_NUMBER_INFO,
    "notice": SeverityNumber.SEVERITY_NUMBER_INFO2,
    "warning": SeverityNumber.SEVERITY_NUMBER_WARN,
    "warn": SeverityNumber.SEVERITY_NUMBER_WARN,
    "error": SeverityNumber.SEVERITY_NUMBER_ERROR,
    "critical": SeverityNumber.SEVERITY_NUMBER_FATAL,
    "fatal": SeverityNumber.SEVERITY_NUMBER_FATAL,
}
_SPAN_FIELDS = {
    "apiProtocol": "network.protocol.name",
    "sourceName": "source.name",
    "sourceIp": "source.ip",
    "destinationName": "destination.name",
    "destinationIp": "destination.ip",
    "requestSize": "http.request.body.size",
    "requestTotalSize": "http.request.size",
    "responseSize": "http.response.body.size",
    "responseTotalSize": "http.response.size",
    "httpStatusCode": "http.response.status_code",
}
"""Fields of tracespan, and the attributes that OpenTelemetry's conventions (or, without one, Istio's) call them by."""


def resource(attributes: Mapping[str, str]) -> Resource:
    """Who tells: attributes of the whole export."""
    return Resource(attributes=key_values(attributes))


def key_values(values: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes, in the order they came."""
    return [KeyValue(key=name, value=any_value(value)) for name, value in values.items()]


def any_value(value: Any) -> AnyValue:
    """A Mixer value; what OTLP has no type for is text."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case Mapping():
            made = AnyValue()
            made.kvlist_value.values.extend(key_values(value))
            return made
        case _:
            return AnyValue(string_value=str(shown_value(value)))


def nanoseconds(time: datetime.datetime) -> int:
    """Since 1970."""
    return (time - _EPOCH) // _MICROSECOND * 1000


def log_record(instance: Instance, now: datetime.datetime) -> LogRecord:
    """A log entry: the instance's name as body and event, its variables as attributes."""
    severity = str(instance.fields.get("severity", ""))
    time = nanoseconds(instance.fields.get("timestamp") or now)
    return LogRecord(
        time_unix_nano=time,
        observed_time_unix_nano=nanoseconds(now),
        severity_text=severity,
        severity_number=_SEVERITIES.get(severity.lower(), SeverityNumber.SEVERITY_NUMBER_UNSPECIFIED),
        body=AnyValue(string_value=instance.name),
        event_name=instance.name,
        attributes=key_values(instance.fields.get("variables", {})),
    )


def span(instance: Instance, now: datetime.datetime) -> Span | None:
    """A trace span; None for a request that has no trace."""
    fields = instance.fields
    trace_id, span_id = _identifier(fields.get("traceId"), 16), _identifier(fields.get("spanId"), 8)
    if not trace_id or not span_id:
        return None
    client = bool(fields.get("clientSpan"))
    if client and fields.get("rewriteClientSpanId"):
        span_id = rewritten(span_id)
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_identifier(fields.get("parentSpanId"), 8),
        name=str(fields.get("spanName") or instance.name),
        kind=Span.SpanKind.SPAN_KIND_CLIENT if client else Span.SpanKind.SPAN_KIND_SERVER,
        start_time_unix_nano=nanoseconds(fields.get("startTime") or now),
        end_time_unix_nano=nanoseconds(fields.get("endTime") or now),
        attributes=key_values({**dict(_span_attributes(fields)), **fields.get("spanTags", {})}),
        status=_status(int(fields.get("httpStatusCode", 0)), client),
    )


def rewritten(span_id: bytes) -> bytes:
    """Another id that both ends can compute, as client and server spans must not share one."""
    return hashlib.sha256(b"client" + span_id).digest()[:8]


def _span_attributes(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field, name in _SPAN_FIELDS.items():
        if fields.get(field):
            yield name, fields[field]


def _identifier(text: Any, length: int) -> bytes:
    """Hexadecimal, shorter ones (B3 of 64 bits) padded from the left; empty if it is none or all zeros."""
    try:
        read = bytes.fromhex(str(text or "").rjust(2 * length, "0")) if text else b""
    except ValueError:
        return b""
    return read if len(read) == length and any(read) else b""


def _status(code: int, client: bool) -> Status:
    """An error from 500 on, and for clients from 400, as the conventions for HTTP say."""
    return Status(code=Status.STATUS_CODE_ERROR if code >= (400 if client else 500) else Status.STATUS_CODE_UNSET)


def traces(spans: Iterable[Span], source: Resource) -> ExportTraceServiceRequest:
    """ExportTraceServiceRequest."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add(resource=source).scope_spans.add(scope=SCOPE)
    made.spans.extend(spans)
    return request


def logs(records: Iterable[LogRecord], source: Resource) -> ExportLogsServiceRequest:
    """ExportLogsServiceRequest."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add(resource=source).scope_logs.add(scope=SCOPE).log_records.extend(records)
    return request
