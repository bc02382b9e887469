"""Prints access logs."""

from __future__ import annotations

import json
from typing import Any

from envoy_data_plane.envoy.config.accesslog import v3 as library
from envoy_data_plane.envoy.extensions.access_loggers.file import v3 as file_library
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel import v3 as cel_library
from envoy_data_plane.envoy.extensions.access_loggers.grpc import v3 as grpc_library
from envoy_data_plane.envoy.extensions.access_loggers.open_telemetry import v3 as otel_library

from pilot import ir
from pilot.envoy import codec

_AccessLog = codec.message(library.AccessLog)
_File = codec.message(file_library.FileAccessLog)
_Expression = codec.message(cel_library.ExpressionFilter)
_HttpGrpc = codec.message(grpc_library.HttpGrpcAccessLogConfig)
_TcpGrpc = codec.message(grpc_library.TcpGrpcAccessLogConfig)
_Otel = codec.message(otel_library.OpenTelemetryAccessLogConfig)


def access_log(value: ir.AccessLog) -> Any:
    """envoy.config.accesslog.v3.AccessLog."""
    found = _AccessLog(name=f"envoy.access_loggers.{value.kind.value}", typed_config=codec.pack(_config(value)))
    if value.condition:
        extension = found.filter.extension_filter
        extension.name = "envoy.access_loggers.extension_filters.cel"
        extension.typed_config.CopyFrom(codec.pack(_Expression(expression=value.condition)))
    return found


def _config(value: ir.AccessLog) -> Any:
    if value.kind is ir.LogKind.FILE:
        form: dict[str, Any] = {"log_format": _format(value)}
        return codec.from_json(_File, {"path": value.path, **form})
    if value.kind is ir.LogKind.OTLP:
        return _otel(value)
    if value.kind is ir.LogKind.GRPC_TCP:
        return _TcpGrpc(common_config=_common(value))
    return _HttpGrpc(
        common_config=_common(value),
        additional_request_headers_to_log=value.request_headers,
        additional_response_headers_to_log=value.response_headers,
        additional_response_trailers_to_log=value.response_trailers,
    )


def _format(value: ir.AccessLog) -> dict[str, Any]:
    if value.json:
        return {"json_format": json.loads(value.json)}
    return {"text_format_source": {"inline_string": value.text}}


def _common(value: ir.AccessLog) -> dict[str, Any]:
    return {
        "log_name": value.name,
        "grpc_service": {"envoy_grpc": {"cluster_name": value.cluster}},
        "transport_api_version": "V3",
        "filter_state_objects_to_log": value.filter_state,
        "buffer_flush_interval": value.flush_interval,
    }


def _otel(value: ir.AccessLog) -> Any:
    """The line is the record's body; named fields are its attributes."""
    found = _Otel(
        log_name=value.name,
        grpc_service={"envoy_grpc": {"cluster_name": value.cluster}},
        buffer_flush_interval=value.flush_interval,
    )
    if value.json:
        for key, form in json.loads(value.json).items():
            found.attributes.values.add(key=key, value=_any(form))
    else:
        found.body.string_value = value.text.rstrip("\n")
    return found


def _any(form: object) -> dict[str, Any]:
    """opentelemetry.proto.common.v1.AnyValue; what is no text is told as its JSON."""
    return {"string_value": form if isinstance(form, str) else json.dumps(form, ensure_ascii=False)}
