"""Whether Envoy can read a format with command operators: it refuses a whole listener for one word that it can't.

`%COMMAND%`, `%COMMAND(argument)%`, `%COMMAND(argument):LENGTH%`; `%%` is a percent sign. Commands are those of Envoy's
documentation of access logs that need no formatter of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from galley.document import Path
from galley.finding import Finding

_WITH_ARGUMENT = frozenset(
    [
        "REQ",
        "RESP",
        "TRAILER",
        "DYNAMIC_METADATA",
        "CLUSTER_METADATA",
        "UPSTREAM_METADATA",
        "FILTER_STATE",
        "UPSTREAM_FILTER_STATE",
        "ENVIRONMENT",
        "QUERY_PARAM",
        "COMMON_DURATION",
    ]
)
_MAY_HAVE = frozenset(
    [
        "START_TIME",
        "START_TIME_LOCAL",
        "EMIT_TIME",
        "EMIT_TIME_LOCAL",
        "GRPC_STATUS",
        "PATH",
        "QUERY_PARAMS",
        "DOWNSTREAM_PEER_CERT_V_START",
        "DOWNSTREAM_PEER_CERT_V_END",
        "UPSTREAM_PEER_CERT_V_START",
        "UPSTREAM_PEER_CERT_V_END",
        "REQUESTED_SERVER_NAME",
        "UPSTREAM_HOSTS_ATTEMPTED",
    ]
)
_BARE = frozenset(
    [
        "ACCESS_LOG_TYPE",
        "BYTES_RECEIVED",
        "BYTES_RETRANSMITTED",
        "BYTES_SENT",
        "CONNECTION_ID",
        "CONNECTION_TERMINATION_DETAILS",
        "CUSTOM_FLAGS",
        "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_HANDSHAKE_DURATION",
        "DOWNSTREAM_HEADER_BYTES_RECEIVED",
        "DOWNSTREAM_HEADER_BYTES_SENT",
        "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_DNS_SAN",
        "DOWNSTREAM_LOCAL_PORT",
        "DOWNSTREAM_LOCAL_SUBJECT",
        "DOWNSTREAM_LOCAL_URI_SAN",
        "DOWNSTREAM_PEER_CERT",
        "DOWNSTREAM_PEER_DNS_SAN",
        "DOWNSTREAM_PEER_FINGERPRINT_1",
        "DOWNSTREAM_PEER_FINGERPRINT_256",
        "DOWNSTREAM_PEER_ISSUER",
        "DOWNSTREAM_PEER_SERIAL",
        "DOWNSTREAM_PEER_SUBJECT",
        "DOWNSTREAM_PEER_URI_SAN",
        "DOWNSTREAM_REMOTE_ADDRESS",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_REMOTE_PORT",
        "DOWNSTREAM_TLS_CIPHER",
        "DOWNSTREAM_TLS_SESSION_ID",
        "DOWNSTREAM_TLS_VERSION",
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
        "DOWNSTREAM_WIRE_BYTES_RECEIVED",
        "DOWNSTREAM_WIRE_BYTES_SENT",
        "DURATION",
        "FILTER_CHAIN_NAME",
        "GRPC_STATUS_NUMBER",
        "HOSTNAME",
        "LOCAL_REPLY_BODY",
        "PROTOCOL",
        "REQUEST_DURATION",
        "REQUEST_HEADERS_BYTES",
        "REQUEST_TX_DURATION",
        "RESPONSE_CODE",
        "RESPONSE_CODE_DETAILS",
        "RESPONSE_DURATION",
        "RESPONSE_FLAGS",
        "RESPONSE_FLAGS_LONG",
        "RESPONSE_HEADERS_BYTES",
        "RESPONSE_TRAILERS_BYTES",
        "RESPONSE_TX_DURATION",
        "ROUNDTRIP_DURATION",
        "ROUTE_NAME",
        "STREAM_ID",
        "TLS_JA3_FINGERPRINT",
        "TLS_JA4_FINGERPRINT",
        "TRACE_ID",
        "UNIQUE_ID",
        "UPSTREAM_CLUSTER",
        "UPSTREAM_CLUSTER_RAW",
        "UPSTREAM_CONNECTION_ID",
        "UPSTREAM_CONNECTION_POOL_READY_DURATION",
        "UPSTREAM_HEADER_BYTES_RECEIVED",
        "UPSTREAM_HEADER_BYTES_SENT",
        "UPSTREAM_HOST",
        "UPSTREAM_HOST_NAME",
        "UPSTREAM_LOCAL_ADDRESS",
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "UPSTREAM_LOCAL_PORT",
        "UPSTREAM_LOCAL_URI_SAN",
        "UPSTREAM_PEER_CERT",
        "UPSTREAM_PEER_ISSUER",
        "UPSTREAM_PEER_SUBJECT",
        "UPSTREAM_PEER_URI_SAN",
        "UPSTREAM_PROTOCOL",
        "UPSTREAM_REMOTE_ADDRESS",
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "UPSTREAM_REMOTE_PORT",
        "UPSTREAM_REQUEST_ATTEMPT_COUNT",
        "UPSTREAM_TLS_CIPHER",
        "UPSTREAM_TLS_SESSION_ID",
        "UPSTREAM_TLS_VERSION",
        "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "UPSTREAM_WIRE_BYTES_RECEIVED",
        "UPSTREAM_WIRE_BYTES_SENT",
        "VIRTUAL_CLUSTER_NAME",
    ]
)
_OPERATOR = re.compile(r"%(?:%|([A-Z0-9_]+)(?:\(([^()\x00\r\n]*)\))?(?::([0-9]+))?%)")


def check_log_format(text: str, path: Path) -> Iterator[Finding]:
    """A format that is one text."""
    rest = _OPERATOR.sub("", text)
    if "%" in rest:
        at = rest[rest.index("%") :][:40]
        yield Finding(path, f"has a % that begins no command operator, at {at!r}", "write %% for a percent sign")
    for command, argument in ((found[1], found[2]) for found in _OPERATOR.finditer(text) if found[1]):
        if command not in _WITH_ARGUMENT | _MAY_HAVE | _BARE:
            yield Finding(path, f"has %{command}%, which Envoy does not know", "see Envoy's command operators")
        elif argument is None and command in _WITH_ARGUMENT:
            yield Finding(path, f"has %{command}% without an argument", f"write %{command}(…)%")
        elif argument is not None and command in _BARE:
            yield Finding(path, f"has %{command}% with an argument, which it has not", f"write %{command}%")
        elif command in _WITH_ARGUMENT and not argument:
            yield Finding(path, f"has %{command}()% with an empty argument", f"write %{command}(…)%")


def check_json_format(data: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    """A JSON object of formats, however deep."""
    for key, value in data.items():
        yield from _check_value(value, (*path, key))


def _check_value(value: object, path: Path) -> Iterator[Finding]:
    if isinstance(value, str):
        yield from check_log_format(value, path)
    elif isinstance(value, Mapping):
        yield from check_json_format(value, path)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _check_value(each, (*path, index))
