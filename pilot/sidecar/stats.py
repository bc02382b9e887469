"""What Envoy counts and how its metrics are labelled. Pure; a part of the bootstrap.

Envoy's own rules take a cluster's name to end at the first dot, which cuts `outbound|80||web.service.consul` in two and
makes a metric of every service. So the names with hosts in them end here where a known statistic begins.
"""

from __future__ import annotations

from typing import Any

_OF_A_CLUSTER = (
    "upstream_",
    "membership_",
    "circuit_breakers",
    "lb_",
    r"default\.total_match_count",
    "assignment_",
    "outlier_detection",
    "health_check",
    "update_",
    "ssl",
    "tls",
    "bind_errors",
    "max_host_weight",
    "retry_",
    "original_dst_",
    "warming_state",
    "version",
    "init_fetch_timeout",
    "http1",
    "http2",
    "http3",
    "client_ssl_socket_factory",
    r"internal\.upstream_rq",
    r"external\.upstream_rq",
    r"canary\.upstream_rq",
    "zone",
)
_OF_HTTP = (
    "downstream_",
    "rq_",
    "rs_",
    "no_",
    "rds",
    "tracing",
    "rbac",
    "ext_authz",
    "fault",
    "jwt_authn",
    "ratelimit",
    "http_local_rate_limit",
    "passthrough_",
    "user_agent",
)
_OF_TCP = ("downstream_", "upstream_", "idle_timeout", "max_downstream_connection_duration", "on_demand_")
_ENVOYS_OWN_TAGS = (
    "envoy.listener_address",
    "envoy.response_code",
    "envoy.response_code_class",
    "envoy.rds_route_config",
    "envoy.ratelimit_prefix",
    "envoy.rbac_prefix",
    "envoy.rbac_http_prefix",
)


def stats_config() -> dict[str, Any]:
    """envoy.config.metrics.v3.StatsConfig.

    Left out: the same count once more per worker thread, and per origin of the response (internal, external, canary),
    which nobody asks a sidecar for and which would double what each cluster costs.
    """
    return {
        "use_all_default_tags": False,
        "stats_tags": [
            {"tag_name": "envoy.cluster_name", "regex": _ends_before("cluster", _OF_A_CLUSTER)},
            {
                "tag_name": "envoy.http_conn_manager_prefix",
                "regex": _ends_before(r"(?:listener\..+?\.)?http", _OF_HTTP),
            },
            {"tag_name": "envoy.tcp_prefix", "regex": _ends_before("tcp", _OF_TCP)},
            *({"tag_name": name} for name in _ENVOYS_OWN_TAGS),
        ],
        "stats_matcher": {
            "exclusion_list": {
                "patterns": [
                    {"contains": ".worker_"},
                    {"contains": ".internal.upstream_rq"},
                    {"contains": ".external.upstream_rq"},
                    {"contains": ".canary.upstream_rq"},
                ]
            }
        },
    }


def _ends_before(kind: str, statistics: tuple[str, ...]) -> str:
    """A rule in Envoy's form: the first group is cut from the statistic's name, the second is the label's value."""
    return rf"^{kind}\.((.+?)\.)(?:{'|'.join(statistics)})"
