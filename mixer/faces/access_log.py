"""Envoy's gRPC access log: what has passed, as bags for Report.

envoy/service/accesslog/v3/als.proto and envoy/data/accesslog/v3/accesslog.proto. One stream per Envoy worker; the first
message names the node. An Inlet gathers what comes and hands it to `report` of the dispatcher in batches, so a stream
costs neither a task nor a wait per entry.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from envoy_data_plane.envoy.data.accesslog import v3 as data
from envoy_data_plane.envoy.service.accesslog import v3 as service
from google.protobuf.message import DecodeError

from mixer.attributes import Value
from mixer.faces import jwt, peers
from mixer.faces.mixer_api import Enrich
from mixer.http2.server import Call, RpcError
from mixer.status import Code
from pilot.envoy import codec

PATH = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
Entries = codec.message(service.StreamAccessLogsMessage)
_HttpEntry = codec.message(data.HttpAccessLogEntry)
_METHODS = {
    number: value.name
    for number, value in enumerate(
        _HttpEntry.DESCRIPTOR.fields_by_name["request"].message_type.fields_by_name["request_method"].enum_type.values
    )
}

_FLAGS = {
    "failed_local_healthcheck": "LH",
    "no_healthy_upstream": "UH",
    "upstream_request_timeout": "UT",
    "local_reset": "LR",
    "upstream_remote_reset": "UR",
    "upstream_connection_failure": "UF",
    "upstream_connection_termination": "UC",
    "upstream_overflow": "UO",
    "no_route_found": "NR",
    "delay_injected": "DI",
    "fault_injected": "FI",
    "rate_limited": "RL",
    "rate_limit_service_error": "RLSE",
    "downstream_connection_termination": "DC",
    "upstream_retry_limit_exceeded": "URX",
    "stream_idle_timeout": "SI",
    "invalid_envoy_request_headers": "IH",
    "downstream_protocol_error": "DPE",
    "upstream_max_stream_duration_reached": "UMSDR",
    "response_from_cache_filter": "RFCF",
    "no_filter_config_found": "NFCF",
    "duration_timeout": "DT",
    "upstream_protocol_error": "UPE",
    "no_cluster_found": "NC",
    "overload_manager": "OM",
    "dns_resolution_failure": "DF",
    "downstream_remote_reset": "DR",
}
"""Envoy's letters of its response flags (%RESPONSE_FLAGS%)."""


class AccessLogs:
    """Opens an inlet per stream; `report` takes a batch of bags and must not raise or wait."""

    def __init__(self, report: Callable[[list[dict[str, Value]]], None], enrich: Enrich | None = None) -> None:
        self._report = report
        self._enrich = enrich

    def open(self, call: Call) -> AccessLogInlet:
        """For `mixer.http2.server.Routes.inlets`."""
        return AccessLogInlet(peers.told_by_pilot(call.metadata.get(peers.METADATA, "")), self._report, self._enrich)


class AccessLogInlet:
    """One stream of one Envoy worker."""

    def __init__(
        self,
        told: Mapping[str, Value],
        report: Callable[[list[dict[str, Value]]], None],
        enrich: Enrich | None,
    ) -> None:
        self._told: Mapping[str, Value] = told
        self._report = report
        self._enrich = enrich

    def received(self, body: bytes) -> None:
        """One StreamAccessLogsMessage. Raises RpcError for what is none."""
        try:
            message = Entries.FromString(body)
        except DecodeError as error:
            raise RpcError(Code.INVALID_ARGUMENT, f"no StreamAccessLogsMessage: {error}") from error
        if message.HasField("identifier"):
            self._told = {**peers.told_by_node(message.identifier.node, self._told), **self._told}
        bags = [http_attributes(entry, self._told) for entry in message.http_logs.log_entry]
        bags += [tcp_attributes(entry, self._told) for entry in message.tcp_logs.log_entry]
        if self._enrich is not None:
            for bag in bags:
                self._enrich(bag)
        if bags:
            self._report(bags)

    def ended(self) -> bytes:
        """StreamAccessLogsResponse, which is empty."""
        return b""

    def cancelled(self) -> None:
        """Nothing is held back."""


def http_attributes(entry: Any, told: Mapping[str, Value]) -> dict[str, Value]:
    """The bag of an HttpAccessLogEntry."""
    bag = _common(entry.common_properties, told)
    request, answer = entry.request, entry.response
    headers = {
        ":authority": request.authority,
        ":method": _METHODS.get(request.request_method, ""),
        ":path": request.path,
        **dict(request.request_headers),
    }
    for name, value in (
        ("user-agent", request.user_agent),
        ("referer", request.referer),
        ("x-request-id", request.request_id),
    ):
        if value:
            headers.setdefault(name, value)
    peers.add_headers(bag, headers)
    peers.add_path(bag, request.path)
    bag["request.method"] = headers[":method"]
    bag["request.host"] = request.authority.lower()
    bag["request.scheme"] = request.scheme
    bag["request.size"] = request.request_body_bytes
    bag["request.total_size"] = request.request_body_bytes + request.request_headers_bytes
    bag["response.code"] = answer.response_code.value
    bag["response.size"] = answer.response_body_bytes
    bag["response.total_size"] = answer.response_body_bytes + answer.response_headers_bytes
    bag["response.headers"] = dict(answer.response_headers)
    for name in ("grpc-status", "grpc-message"):
        if value := answer.response_trailers.get(name) or answer.response_headers.get(name):
            bag[f"response.{name.replace('-', '_')}"] = value
    bag["context.protocol"] = peers.protocol_of(headers)
    return bag


def tcp_attributes(entry: Any, told: Mapping[str, Value]) -> dict[str, Value]:
    """The bag of a TCPAccessLogEntry: one connection that was closed, or still lives (intermediate)."""
    common = entry.common_properties
    bag = _common(common, told)
    properties = entry.connection_properties
    bag["context.protocol"] = "tcp"
    bag["connection.event"] = "continue" if common.intermediate_log_entry else "close"
    bag["connection.received.bytes"] = bag["connection.received.bytes_total"] = properties.received_bytes
    bag["connection.sent.bytes"] = bag["connection.sent.bytes_total"] = properties.sent_bytes
    bag["connection.duration"] = _timedelta(common.duration)
    if common.stream_id:
        bag["connection.id"] = common.stream_id
    return bag


def _common(common: Any, told: Mapping[str, Value]) -> dict[str, Value]:
    bag: dict[str, Value] = dict(told)
    outbound = told.get("context.reporter.kind") == "outbound"
    if outbound and (host := peers.host_of_cluster(common.upstream_cluster)):
        bag["destination.service.host"] = host
    peers.add_address(bag, "source", common.downstream_remote_address)
    peers.add_address(
        bag, "destination", common.upstream_remote_address if outbound else common.downstream_local_address
    )
    tls = common.tls_properties
    for uri in tls.peer_certificate_properties.subject_alt_name[:1]:
        peers.add_identity(bag, "source", uri.uri)
    for uri in tls.local_certificate_properties.subject_alt_name[:1]:
        peers.add_identity(bag, "destination", uri.uri)
    bag.setdefault("connection.mtls", False)
    if tls.tls_sni_hostname:
        bag["connection.requested_server_name"] = tls.tls_sni_hostname
    begun = common.start_time.ToDatetime(tzinfo=datetime.UTC)
    took = _timedelta(common.time_to_last_downstream_tx_byte)
    bag["request.time"] = bag["context.time"] = begun
    bag["response.time"] = begun + took
    bag["response.duration"] = took
    bag["context.proxy_error_code"] = (
        ",".join(letters for flag, letters in _FLAGS.items() if getattr(common.response_flags, flag)) or "-"
    )
    jwt.add_claims(bag, common.metadata.filter_metadata)
    return bag


def _timedelta(value: Any) -> datetime.timedelta:
    return datetime.timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
