"""Envoy's access log entries as attributes of reports."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mixer.attributes import Value
from mixer.faces.access_log import AccessLogs, Entries
from mixer.faces.peers import METADATA
from mixer.http2.server import Call, RpcError

COMMON: dict[str, Any] = {
    "downstream_remote_address": {"socket_address": {"address": "10.0.0.1", "port_value": 4000}},
    "downstream_local_address": {"socket_address": {"address": "10.0.0.2", "port_value": 15006}},
    "upstream_remote_address": {"socket_address": {"address": "10.0.0.3", "port_value": 8080}},
    "start_time": {"seconds": 1_800_000_000},
    "time_to_last_downstream_tx_byte": {"nanos": 12_000_000},
    "response_flags": {"upstream_overflow": True, "upstream_retry_limit_exceeded": True},
    "tls_properties": {
        "peer_certificate_properties": {"subject_alt_name": [{"uri": "spiffe://t/ns/a/sa/b"}]},
        "tls_sni_hostname": "web",
    },
}
HTTP = {
    "common_properties": COMMON,
    "request": {
        "request_method": "POST",
        "scheme": "http",
        "authority": "Web",
        "path": "/a?x=1",
        "user_agent": "curl",
        "request_id": "9",
        "request_headers_bytes": 10,
        "request_body_bytes": 5,
        "request_headers": {"content-type": "application/grpc"},
    },
    "response": {
        "response_code": {"value": 503},
        "response_headers_bytes": 20,
        "response_body_bytes": 7,
        "response_trailers": {"grpc-status": "14"},
    },
}
TCP = {
    "common_properties": {**COMMON, "duration": {"seconds": 3}, "stream_id": "77"},
    "connection_properties": {"received_bytes": 11, "sent_bytes": 22},
}


def bags(message: dict[str, Any], told: str = "") -> list[dict[str, Value]]:
    gathered: list[dict[str, Value]] = []
    inlet = AccessLogs(gathered.extend).open(Call("", {METADATA: told}, None, ""))
    inlet.received(Entries(**message).SerializeToString())
    assert inlet.ended() == b""
    return gathered


def test_a_request_that_has_passed() -> None:
    (bag,) = bags({"http_logs": {"log_entry": [HTTP]}}, "context.reporter.kind=inbound")
    assert (bag["source.ip"], bag["destination.port"]) == (b"\n\0\0\1", 15006)
    assert (bag["source.principal"], bag["source.namespace"], bag["connection.mtls"]) == ("t/ns/a/sa/b", "a", True)
    assert (bag["request.method"], bag["request.host"], bag["request.url_path"]) == ("POST", "web", "/a")
    assert (bag["request.useragent"], bag["request.id"]) == ("curl", "9")
    assert (bag["request.size"], bag["request.total_size"]) == (5, 15)
    assert (bag["response.code"], bag["response.size"], bag["response.total_size"]) == (503, 7, 27)
    assert bag["response.duration"] == datetime.timedelta(milliseconds=12)
    assert (bag["response.grpc_status"], bag["context.protocol"]) == ("14", "grpc")
    assert bag["context.proxy_error_code"] == "UO,URX"
    assert bag["context.reporter.kind"] == "inbound"


def test_the_callers_proxy_tells_where_it_went() -> None:
    (bag,) = bags({"http_logs": {"log_entry": [HTTP]}}, "context.reporter.kind=outbound")
    assert (bag["destination.ip"], bag["destination.port"]) == (b"\n\0\0\3", 8080)


def test_a_connection_that_was_closed() -> None:
    (bag,) = bags({"tcp_logs": {"log_entry": [TCP]}})
    assert (bag["context.protocol"], bag["connection.event"], bag["connection.id"]) == ("tcp", "close", "77")
    assert (bag["connection.received.bytes"], bag["connection.sent.bytes"]) == (11, 22)
    assert bag["connection.duration"] == datetime.timedelta(seconds=3)


def test_nothing_is_reported_of_nothing_and_nonsense_ends_the_stream() -> None:
    assert bags({"identifier": {"log_name": "mesh"}}) == []
    with pytest.raises(RpcError, match="StreamAccessLogsMessage"):
        AccessLogs(lambda _: None).open(Call("", {}, None, "")).received(b"\xff")
