"""Envoy's config dump as rows of a table. Pure: JSON in, text out; for `proxy-config`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

Json = Mapping[str, Any]


@attrs.frozen
class ProxyDump:
    """Resources of the four kinds, as plain JSON."""

    cluster: tuple[Json, ...] = ()
    endpoint: tuple[Json, ...] = ()
    listener: tuple[Json, ...] = ()
    route: tuple[Json, ...] = ()

    @classmethod
    def of(cls, dump: Json) -> ProxyDump:
        """From the JSON of `/config_dump?include_eds`; dynamic and static resources alike. ValueError if it is none."""
        if not isinstance(dump, Mapping) or not isinstance(dump.get("configs"), list):
            raise ValueError("there is no list `configs` in it; Envoy's /config_dump?include_eds has one")
        found: dict[str, list[Json]] = {"cluster": [], "endpoint": [], "listener": [], "route": []}
        for section in dump["configs"]:
            for singular, resource in _resources(section):
                found[singular].append(resource)
        return cls(**{name: tuple(sorted(members, key=_name)) for name, members in found.items()})


def _resources(section: Json) -> Iterator[tuple[str, Json]]:
    for key in ("static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters"):
        for each in section.get(key, []):
            yield "cluster", each["cluster"]
    for each in section.get("static_listeners", []):
        yield "listener", each["listener"]
    for each in section.get("dynamic_listeners", []):
        state = each.get("active_state") or each.get("warming_state")
        if state:
            yield "listener", state["listener"]
    for key in ("static_route_configs", "dynamic_route_configs"):
        for each in section.get(key, []):
            yield "route", each["route_config"]
    for key in ("static_endpoint_configs", "dynamic_endpoint_configs"):
        for each in section.get(key, []):
            if each.get("endpoint_config"):
                yield "endpoint", each["endpoint_config"]


def _name(resource: Json) -> str:
    return str(resource.get("name") or resource.get("cluster_name") or "")


@attrs.frozen
class Filter:
    """What the operator wants to see; empty and 0 let everything through."""

    fqdn: str = ""
    port: int = 0
    name: str = ""

    def apply(self, singular: str, dump: ProxyDump) -> list[Json]:
        resources: tuple[Json, ...] = getattr(dump, singular)
        return [each for each in resources if self._passes(singular, each)]

    def _passes(self, singular: str, resource: Json) -> bool:
        if self.name and _name(resource) != self.name:
            return False
        if singular == "listener":
            return not self.port or _socket(resource)[1] == str(self.port)
        if singular == "route":
            domains = [domain for host in resource.get("virtual_hosts", []) for domain in host["domains"]]
            return not self.fqdn or self.fqdn in domains
        host, port, _, _ = cluster_parts(_name(resource))
        return (not self.fqdn or host == self.fqdn) and (not self.port or port == str(self.port))


def cluster_parts(name: str) -> tuple[str, str, str, str]:
    """Host, port, subset and direction of `outbound|80|v1|web.example`; a name of another shape is the host."""
    parts = name.split("|")
    if len(parts) != 4:
        return name, "-", "-", "-"
    direction, port, subset, host = parts
    return host or "-", port or "-", subset or "-", direction


def cluster_rows(cluster: Json) -> list[list[str]]:
    host, port, subset, direction = cluster_parts(_name(cluster))
    rule = cluster.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    return [[host, port, subset, direction, _discovery(cluster), rule.removeprefix("DestinationRule ")]]


def _discovery(cluster: Json) -> str:
    """One of Envoy's own kinds, or the last word of the extension's name."""
    extension = str(cluster.get("cluster_type", {}).get("name", ""))
    return extension.rpartition(".")[2].upper() or str(cluster.get("type", "STATIC"))


def endpoint_rows(assignment: Json) -> list[list[str]]:
    rows = []
    for locality in assignment.get("endpoints", []):
        for each in locality.get("lb_endpoints", []):
            address = each.get("endpoint", {}).get("address", {}).get("socket_address", {})
            weight = str(each.get("load_balancing_weight", 1))
            shown = f"{address.get('address', '?')}:{address.get('port_value', '?')}"
            rows.append([shown, each.get("health_status", "HEALTHY"), weight, _name(assignment)])
    return rows


def listener_rows(listener: Json) -> list[list[str]]:
    """One for each filter chain; a listener that gRPC clients ask for by its name has its manager where others do."""
    address, port = _socket(listener)
    if "api_listener" in listener:
        manager = {"filters": [{"typed_config": listener["api_listener"]["api_listener"]}]}
        return [[_name(listener), address, port, "ALL", _chain_destination(manager)]]
    return [
        [_name(listener), address, port, _chain_match(chain), _chain_destination(chain)]
        for chain in listener.get("filter_chains", [])
    ]


def route_rows(route: Json) -> list[list[str]]:
    return [
        [
            _name(route),
            host["name"],
            _shortened(host["domains"]),
            _route_match(each.get("match", {})),
            each.get("metadata", {})
            .get("filter_metadata", {})
            .get("istio", {})
            .get("config", "")
            .removeprefix("VirtualService "),
            _route_destination(each),
        ]
        for host in route.get("virtual_hosts", [])
        for each in host.get("routes", [])
    ]


ROWS: Mapping[str, Callable[[Json], list[list[str]]]] = {
    "cluster": cluster_rows,
    "endpoint": endpoint_rows,
    "listener": listener_rows,
    "route": route_rows,
}


def _socket(listener: Json) -> tuple[str, str]:
    address = listener.get("address", {}).get("socket_address", {})
    return str(address.get("address", "-")), str(address.get("port_value", "-"))


def _chain_match(chain: Json) -> str:
    protocols = chain.get("filter_chain_match", {}).get("application_protocols", [])
    return ",".join(protocols) or "ALL"


def _chain_destination(chain: Json) -> str:
    for each in chain.get("filters", []):
        config = each.get("typed_config", {})
        if "rds" in config:
            return f"Route: {config['rds']['route_config_name']}"
        if "route_config" in config:
            return f"Inline Route: {config['route_config'].get('name', '')}"
        if "cluster" in config:
            return f"Cluster: {config['cluster']}"
        if "weighted_clusters" in config:
            return f"Clusters: {_weights(config['weighted_clusters']['clusters'])}"
    return "-"


def _route_match(match: Json) -> str:
    for key, shown in (("path", "{}"), ("prefix", "{}*")):
        if key in match:
            return shown.format(match[key]) + ("" if not match.get("headers") else " +headers")
    regex = match.get("safe_regex", {}).get("regex", "")
    return f"regex {regex}" if regex else "/*"


def _route_destination(route: Json) -> str:
    action = route.get("route", {})
    if "cluster" in action:
        return str(action["cluster"])
    if "weighted_clusters" in action:
        return _weights(action["weighted_clusters"]["clusters"])
    if "direct_response" in route:
        return f"{route['direct_response']['status']} direct"
    return "-"


def _weights(clusters: list[Json]) -> str:
    return ", ".join(f"{each['name']} {each.get('weight', 0)}" for each in clusters)


def _shortened(domains: list[str], most: int = 2) -> str:
    rest = len(domains) - most
    return ", ".join(domains[:most]) + (f" + {rest} more" if rest > 0 else "")
