"""A config dump as Envoy's admin interface gives it: what the bootstrap says, what xDS told, what still warms."""

from __future__ import annotations

from typing import Any

ADMIN = "type.googleapis.com/envoy.admin.v3."
SINCE = "2026-03-01T10:41:07.120Z"


def origin(text: str) -> dict[str, Any]:
    """The metadata that names the object behind a resource."""
    return {"filter_metadata": {"istio": {"config": text}}}


def destination(cluster: str) -> dict[str, Any]:
    return {"route": {"cluster": cluster}}


def lb_endpoint(address: str, port: int, **more: Any) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}, **more}


def filter_chain(config: dict[str, Any], *protocols: str) -> dict[str, Any]:
    match = {"filter_chain_match": {"application_protocols": list(protocols)}} if protocols else {}
    return {**match, "filters": [{"name": "f", "typed_config": config}]}


def listener(name: str, port: int, *chains: dict[str, Any]) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": name, "address": address, "filter_chains": list(chains)}


CLUSTERS = {
    "@type": ADMIN + "ClustersConfigDump",
    "version_info": "7",
    "static_clusters": [{"cluster": {"name": "xds", "type": "STRICT_DNS"}, "last_updated": SINCE}],
    "dynamic_active_clusters": [
        {
            "version_info": "7",
            "cluster": {
                "name": "outbound|80|v1|web.example",
                "type": "EDS",
                "metadata": origin("DestinationRule default/web"),
            },
            "last_updated": SINCE,
        },
        {"version_info": "7", "cluster": {"name": "inbound|8080||"}, "last_updated": SINCE},
    ],
    "dynamic_warming_clusters": [
        {"version_info": "8", "cluster": {"name": "outbound|80||new.example", "type": "EDS"}, "last_updated": SINCE}
    ],
}
ENDPOINTS = {
    "@type": ADMIN + "EndpointsConfigDump",
    "static_endpoint_configs": [
        {"endpoint_config": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [lb_endpoint("127.0.0.1", 15010)]}]}}
    ],
    "dynamic_endpoint_configs": [
        {
            "endpoint_config": {
                "cluster_name": "outbound|80|v1|web.example",
                "endpoints": [
                    {
                        "locality": {"region": "r1"},
                        "lb_endpoints": [
                            lb_endpoint("10.0.0.1", 8080, health_status="HEALTHY", load_balancing_weight=3),
                            lb_endpoint("10.0.0.2", 8080, health_status="UNHEALTHY"),
                        ],
                    }
                ],
            }
        },
        {},
    ],
}
LISTENERS = {
    "@type": ADMIN + "ListenersConfigDump",
    "static_listeners": [{"listener": listener("metrics", 15090, filter_chain({"route_config": {"name": "stats"}}))}],
    "dynamic_listeners": [
        {
            "name": "virtualOutbound",
            "active_state": {
                "version_info": "7",
                "listener": listener(
                    "virtualOutbound", 15001, filter_chain({"rds": {"route_config_name": "15001"}}, "http/1.1", "h2c")
                ),
            },
        },
        {
            "name": "db",
            "warming_state": {
                "listener": listener(
                    "db",
                    5432,
                    filter_chain({"cluster": "outbound|5432||db.example"}),
                    filter_chain({"weighted_clusters": {"clusters": [{"name": "a", "weight": 9}, {"name": "b"}]}}),
                    {"filters": []},
                )
            },
        },
        {"name": "broken", "error_state": {"details": "address in use"}},
    ],
}
ROUTES = {
    "@type": ADMIN + "RoutesConfigDump",
    "static_route_configs": [
        {"route_config": {"name": "stats", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": []}]}}
    ],
    "dynamic_route_configs": [
        {
            "version_info": "7",
            "route_config": {
                "name": "15001",
                "virtual_hosts": [
                    {
                        "name": "web.example:80",
                        "domains": ["web.example", "web.example:80", "web", "web:80"],
                        "routes": [
                            {
                                "match": {"prefix": "/api", "headers": [{"name": "x-user"}]},
                                "metadata": origin("VirtualService default/web"),
                                "route": {
                                    "weighted_clusters": {
                                        "clusters": [{"name": "one", "weight": 90}, {"name": "two", "weight": 10}]
                                    }
                                },
                            },
                            {"match": {"path": "/exact"}, **destination("exact")},
                            {"match": {"safe_regex": {"regex": "/v[0-9]+"}}, **destination("regex")},
                            {"match": {"connect_matcher": {}}, "redirect": {"host_redirect": "x"}},
                            {"match": {"prefix": "/"}, "direct_response": {"status": 503}},
                        ],
                    }
                ],
            },
        }
    ],
}
DUMP: dict[str, Any] = {
    "configs": [
        {"@type": ADMIN + "BootstrapConfigDump", "bootstrap": {"node": {"id": "n"}}},
        CLUSTERS,
        ENDPOINTS,
        LISTENERS,
        {"@type": ADMIN + "ScopedRoutesConfigDump"},
        ROUTES,
        {"@type": ADMIN + "SecretsConfigDump"},
    ]
}
