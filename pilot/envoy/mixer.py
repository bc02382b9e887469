"""Prints calls to Mixer: Envoy's external authorization for checks, its gRPC access logs for reports."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog_library
from envoy_data_plane.envoy.extensions.access_loggers.grpc import v3 as grpc_library
from envoy_data_plane.envoy.extensions.filters.http.ext_authz import v3 as http_library
from envoy_data_plane.envoy.extensions.filters.http.lua import v3 as lua_library
from envoy_data_plane.envoy.extensions.filters.network.ext_authz import v3 as network_library
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts import v3 as previous_hosts_library

from pilot import ir
from pilot.envoy import codec

CLUSTER = "mixer"
METADATA = "mesh-attributes"
STAT = "mixer"
TOKENS = "envoy.filters.http.jwt_authn"
"""The filter that leaves what it verified of tokens in metadata, which Mixer's `request.auth.*` come from."""

CHECK = "envoy.filters.http.ext_authz"
REMOVED = "mesh-removed-response-headers"
"""What Mixer's answer says in metadata, under the name of the filter that asked: names of headers."""

_REMOVING = f"""\
function envoy_on_response(handle)
  local told = handle:streamInfo():dynamicMetadata():get("{CHECK}")
  for _, name in ipairs(told and told["{REMOVED}"] or {{}}) do
    handle:headers():remove(name)
  end
end
"""

_UNREACHABLE = "connect-failure,refused-stream,reset,unavailable"

_PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": codec.pack(codec.message(previous_hosts_library.PreviousHostsPredicate)()),
}
_HttpCheck = codec.message(http_library.ExtAuthz)
_Lua = codec.message(lua_library.Lua)
_TcpCheck = codec.message(network_library.ExtAuthz)
_AccessLog = codec.message(accesslog_library.AccessLog)
_HttpLog = codec.message(grpc_library.HttpGrpcAccessLogConfig)
_TcpLog = codec.message(grpc_library.TcpGrpcAccessLogConfig)


def http_check(value: ir.Mixer) -> Any:
    """envoy.extensions.filters.http.ext_authz.v3.ExtAuthz. Without an answer a closed one is 503, as in Istio."""
    return _HttpCheck(
        grpc_service=_asked(value),
        transport_api_version="V3",
        failure_mode_allow=value.fail_open,
        status_on_error={"code": "ServiceUnavailable"},
        clear_route_cache=value.clear_route,
        validate_mutations=True,
        include_tls_session=True,
        metadata_context_namespaces=[TOKENS],
        stat_prefix=STAT,
    )


def response_headers_removed() -> Any:
    """envoy.extensions.filters.http.lua.v3.Lua: ext_authz can add to a service's answer and take nothing off it."""
    return _Lua(default_source_code={"inline_string": _REMOVING})


def tcp_check(value: ir.Mixer) -> Any:
    """envoy.extensions.filters.network.ext_authz.v3.ExtAuthz; a refused connection is closed."""
    return _TcpCheck(
        stat_prefix=STAT,
        grpc_service=_asked(value),
        transport_api_version="V3",
        failure_mode_allow=value.fail_open,
        include_tls_session=True,
    )


def http_log(value: ir.Mixer) -> Any:
    """envoy.config.accesslog.v3.AccessLog of requests."""
    config = _HttpLog(
        common_config=_common(value),
        additional_request_headers_to_log=value.request_headers,
        additional_response_headers_to_log=value.response_headers,
        additional_response_trailers_to_log=["grpc-status", "grpc-message"],
    )
    return _AccessLog(name="envoy.access_loggers.http_grpc", typed_config=codec.pack(config))


def tcp_log(value: ir.Mixer) -> Any:
    """envoy.config.accesslog.v3.AccessLog of connections."""
    config = _TcpLog(common_config=_common(value))
    return _AccessLog(name="envoy.access_loggers.tcp_grpc", typed_config=codec.pack(config))


def _common(value: ir.Mixer) -> dict[str, Any]:
    return {"log_name": STAT, "grpc_service": _service(value), "transport_api_version": "V3"}


def _asked(value: ir.Mixer) -> dict[str, Any]:
    """How Mixer is asked: within the deadline, and again at another of its addresses if one can't be reached."""
    retry = {
        "num_retries": {"value": value.retries},
        "retry_on": _UNREACHABLE,
        "retry_host_predicate": [_PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": 5,
    }
    return {
        **_service(value),
        "timeout": value.deadline,
        **({"retry_policy": retry} if value.retries else {}),
    }


def _service(value: ir.Mixer) -> dict[str, Any]:
    return {
        "envoy_grpc": {"cluster_name": CLUSTER},
        "initial_metadata": [{"key": METADATA, "value": value.attributes}],
    }
