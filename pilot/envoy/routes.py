"""Prints route configurations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.config.route import v3 as library
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts import v3 as previous_hosts_library
from envoy_data_plane.envoy.extensions.retry.priority.previous_priorities import v3 as priorities_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.filters.cors import NAME as CORS
from pilot.envoy.filters.cors import cors_of_route
from pilot.envoy.filters.fault import NAME as FAULT
from pilot.envoy.filters.fault import fault_of_route
from pilot.envoy.load_balancing import hash_policies
from pilot.envoy.shares import fraction
from pilot.envoy.sources import origin_metadata
from pilot.envoy.strings import string_matcher

_RouteConfiguration = codec.message(library.RouteConfiguration)
_VirtualHost = codec.message(library.VirtualHost)
_HOSTS_FIELD = _RouteConfiguration.DESCRIPTOR.fields_by_name["virtual_hosts"].number
ENVOY_BODY_LIMIT = 4096
"""Envoy's default of max_direct_response_body_size_bytes: a longer body makes it refuse the whole configuration."""
_PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": codec.pack(codec.message(previous_hosts_library.PreviousHostsPredicate)()),
}
_PREVIOUS_PRIORITIES = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": codec.pack(codec.message(priorities_library.PreviousPrioritiesConfig)(update_frequency=2)),
}
"""Every second try of a request looks at the priorities anew, as in Istio."""


def route_configuration(value: ir.RouteConfiguration) -> Any:
    """envoy.config.route.v3.RouteConfiguration; direct responses longer than Envoy's usual limit raise it."""
    found = _without_hosts(value)
    found.virtual_hosts.extend(virtual_host(host) for host in value.virtual_hosts)
    return found


def encode_routes(value: ir.RouteConfiguration, host: Callable[[ir.VirtualHost], bytes]) -> bytes:
    """The same message as bytes, its virtual hosts being what `host` makes of each: fields may come in any order."""
    hosts = (codec.length_delimited(_HOSTS_FIELD, host(each)) for each in value.virtual_hosts)
    return b"".join((codec.encode(_without_hosts(value)), *hosts))


def _without_hosts(value: ir.RouteConfiguration) -> Any:
    found = _RouteConfiguration(
        name=value.name,
        validate_clusters={"value": False},
        ignore_port_in_host_matching=value.ignore_port,
    )
    longest = _longest_body(value)
    if longest > ENVOY_BODY_LIMIT:
        found.max_direct_response_body_size_bytes.value = longest
    return found


def _longest_body(value: ir.RouteConfiguration) -> int:
    """Bytes of the longest direct response."""
    actions = (route.action for host in value.virtual_hosts for route in host.routes)
    bodies = (each.body_bytes or each.body.encode() for each in actions if isinstance(each, ir.DirectResponse))
    return max(map(len, bodies), default=0)


def virtual_host(value: ir.VirtualHost) -> Any:
    """envoy.config.route.v3.VirtualHost."""
    return _VirtualHost(
        name=value.name,
        domains=value.domains,
        routes=[_route(route) for route in value.routes],
        include_request_attempt_count=True,
        **({"require_tls": "ALL"} if value.require_tls else {}),
    )


def _route(value: ir.Route) -> dict[str, Any]:
    return {
        "name": value.name,
        "match": _match(value.match),
        **_action(value.action),
        **(_header_operations(value.headers) if value.headers else {}),
        **({"typed_per_filter_config": _of_filters(value)} if value.fault or value.cors else {}),
        "stat_prefix": value.stat_prefix,
        **origin_metadata(value.origin),
    }


def _of_filters(value: ir.Route) -> dict[str, Any]:
    return {
        **({FAULT: fault_of_route(value.fault)} if value.fault else {}),
        **({CORS: cors_of_route(value.cors)} if value.cors else {}),
    }


def _action(value: ir.Action) -> dict[str, Any]:
    if isinstance(value, ir.Forward):
        return {"route": _forward(value)}
    if isinstance(value, ir.Redirect):
        return {"redirect": _redirect(value)}
    body = {"inline_bytes": value.body_bytes} if value.body_bytes else {"inline_string": value.body}
    return {"direct_response": {"status": value.status, "body": body}}


def _redirect(value: ir.Redirect) -> dict[str, Any]:
    return {
        "response_code": _REDIRECT_CODES[value.status],
        "host_redirect": value.host,
        "port_redirect": value.port,
        **({"scheme_redirect": value.scheme} if value.scheme else {}),
        **({"path_redirect": value.path} if value.path else {}),
        **({"prefix_rewrite": value.prefix_rewrite} if value.prefix_rewrite else {}),
    }


_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def _match(value: ir.RouteMatch) -> dict[str, Any]:
    return {
        **_path(value.path),
        "headers": [_header(header) for header in value.headers],
        "query_parameters": [_query_parameter(parameter) for parameter in value.query_parameters],
    }


def _path(value: ir.StringMatch) -> dict[str, Any]:
    if value.kind is ir.MatchKind.REGEX:
        return {"safe_regex": {"regex": value.value}}
    return {_PATHS[value.kind]: value.value, **({"case_sensitive": {"value": False}} if value.ignore_case else {})}


_PATHS = {ir.MatchKind.EXACT: "path", ir.MatchKind.PREFIX: "prefix", ir.MatchKind.ELEMENTS: "path_separated_prefix"}


def _header(value: ir.HeaderMatch) -> dict[str, Any]:
    """Inverted, an absent header counts as an empty one: Envoy would else let no request without it through."""
    inverted: dict[str, Any] = {"invert_match": True} if value.invert else {}
    if value.invert and value.match.kind is not ir.MatchKind.PRESENT:
        inverted["treat_missing_header_as_empty"] = True
    return {"name": value.name, **_value_match(value.match), **inverted}


def _query_parameter(value: ir.HeaderMatch) -> dict[str, Any]:
    return {"name": value.name, **_value_match(value.match)}


def _value_match(value: ir.StringMatch) -> dict[str, Any]:
    if value.kind is ir.MatchKind.PRESENT:
        return {"present_match": True}
    return {"string_match": string_matcher(value)}


def _forward(value: ir.Forward) -> dict[str, Any]:
    return {
        **_destination(value.clusters),
        "timeout": value.timeout,
        **_stream_duration(value.max_stream_duration),
        **({"retry_policy": _retry(value.retry)} if value.retry else {}),
        **({"prefix_rewrite": value.prefix_rewrite} if value.prefix_rewrite else {}),
        **({"regex_rewrite": _regex_rewrite(*value.regex_rewrite)} if value.regex_rewrite else {}),
        **({"host_rewrite_literal": value.host_rewrite} if value.host_rewrite else {}),
        "hash_policy": hash_policies(value.hash_policies),
        **({"cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"} if value.missing_status == 500 else {}),
        "request_mirror_policies": [_mirror(each) for each in value.mirrors],
    }


def _stream_duration(value: timedelta | None) -> dict[str, Any]:
    return {"max_stream_duration": {"max_stream_duration": value}} if value else {}


def _mirror(value: ir.Mirror) -> dict[str, Any]:
    """Copies are not traced: they would look like calls of the client's own."""
    return {
        "cluster": value.cluster,
        "runtime_fraction": {"default_value": fraction(value.per_million)},
        "trace_sampled": {"value": False},
    }


def _destination(clusters: tuple[ir.WeightedCluster, ...]) -> dict[str, Any]:
    if len(clusters) == 1 and clusters[0].headers is None and not clusters[0].host_rewrite:
        return {"cluster": clusters[0].cluster}
    return {
        "weighted_clusters": {
            "clusters": [
                {
                    "name": each.cluster,
                    "weight": {"value": each.weight},
                    **(_header_operations(each.headers) if each.headers else {}),
                    **({"host_rewrite_literal": each.host_rewrite} if each.host_rewrite else {}),
                }
                for each in clusters
            ]
        }
    }


def _regex_rewrite(pattern: str, substitution: str) -> dict[str, Any]:
    return {"pattern": {"regex": pattern}, "substitution": substitution}


def _retry(value: ir.RetryPolicy) -> dict[str, Any]:
    return {
        "retry_on": value.retry_on,
        "num_retries": {"value": value.attempts},
        "retriable_status_codes": value.retriable_status_codes,
        **({"per_try_timeout": value.per_try_timeout} if value.per_try_timeout else {}),
        **({"retry_host_predicate": [_PREVIOUS_HOSTS]} if value.previous_hosts else {}),
        **({"retry_priority": _PREVIOUS_PRIORITIES} if value.remote_localities else {}),
        "host_selection_retry_max_attempts": value.host_selection_attempts,
        **({"retry_back_off": {"base_interval": value.backoff}} if value.backoff else {}),
    }


def _header_operations(value: ir.HeaderOperations) -> dict[str, Any]:
    return {
        "request_headers_to_add": _additions(value.request_set, value.request_add),
        "request_headers_to_remove": value.request_remove,
        "response_headers_to_add": _additions(value.response_set, value.response_add),
        "response_headers_to_remove": value.response_remove,
    }


def _additions(replace: tuple[tuple[str, str], ...], append: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    actions = [(pair, "OVERWRITE_IF_EXISTS_OR_ADD") for pair in replace]
    actions += [(pair, "APPEND_IF_EXISTS_OR_ADD") for pair in append]
    return [{"header": {"key": key, "value": text}, "append_action": action} for (key, text), action in actions]
