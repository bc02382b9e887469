"""Turns Consul's JSON into the model. Pure; the mapping that it implements is the table in docs/reference/consul.md.

Called by the readers of `adapters.consul.watch` with the bodies of answers. In two steps, since one service of ours may
live in several datacenters: a body becomes instances, the instances of all datacenters become services.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from adapters.consul.nomad_id import nomad_labels
from adapters.instance import DEFAULT_MESH_PORT, DEFAULT_NAMESPACE, Instance, meta_port, services_of, tag_labels
from adapters.platform import Problem
from pilot.model.service import Endpoint, Health, Locality, Service, ServiceKey, labels

CONNECT_PROXY = "connect-proxy"
PEER_LABEL = "consul.peer"
OWN_SERVICE = "consul"
"""The service under which Consul's servers list themselves."""

NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LOCAL = ("lan_ipv4", "lan", "lan_ipv6")
_REMOTE = ("wan", "wan_ipv4", "wan_ipv6")

Json = Mapping[str, Any]
InstanceKey = tuple[str, str]
"""Node and service ID: what Consul knows an instance by inside a datacenter (the same ID may live on two nodes)."""


class UnreadableError(Exception):
    """A body is not what this endpoint of Consul answers."""


@attrs.frozen
class Reading:
    """What one read of /v1/health/service/NAME told.

    `versions` has every instance that Consul lists under the name, also those that are left out, with the index at
    which Consul last changed it: a sweep compares with it. `digest` is of the whole answer, for the same purpose.
    `index` is Consul's index of the answer: every change of the service up to it is in.
    """

    name: str
    instances: tuple[Instance, ...]
    versions: Mapping[InstanceKey, int]
    problems: tuple[Problem, ...] = ()
    digest: int = 0
    index: int = 0


@attrs.frozen
class Selection:
    """Which registrations count, and what names their namespace.

    `meta:KEY`, `tag:KEY` or `name:SEPARATOR`; `kv:PREFIX` is for `adapters.consul.namespaces`.
    """

    namespace: str = "meta:namespace"
    native: bool = True
    proxies: bool = False

    @classmethod
    def checked(cls, namespace: str, native: bool, proxies: bool) -> Selection:
        """ValueError if `namespace` is none of the four."""
        how, _, key = namespace.partition(":")
        if how not in ("meta", "tag", "name", "kv") or not key.strip("/" if how == "kv" else ""):
            raise ValueError(f"namespace is {namespace!r}: write meta:KEY, tag:KEY, name:SEPARATOR or kv:PREFIX")
        return cls(namespace, native, proxies)

    @property
    def prefix(self) -> str:
        """Of the keys that name namespaces, without slashes around it; empty if something else does."""
        how, _, key = self.namespace.partition(":")
        return key.strip("/") if how == "kv" else ""

    def takes(self, name: str, service: Json) -> bool:
        """Whether a registration is an instance: Consul itself, gateways, and what was chosen out are not."""
        kind = service.get("Kind") or ""
        if name == OWN_SERVICE or (kind and not (kind == CONNECT_PROXY and self.proxies)):
            return False
        return self.native or not (service.get("Connect") or {}).get("Native")

    def namespace_of(self, name: str, tags: Iterable[str], meta: Mapping[str, str]) -> str:
        """What names the namespace says; empty if it says nothing."""
        how, _, key = self.namespace.partition(":")
        if how == "name":
            before, found, _ = name.partition(key)
            return before if found else ""
        if how == "kv":
            return ""
        return str(meta.get(key) or "") if how == "meta" else dict(tag_labels(tags, {})).get(key, "")


def read_service(
    name: str,
    body: bytes,
    *,
    local: bool,
    warning: bool,
    platform: str,
    index: int | None = None,
    selection: Selection = Selection(),
    priority: int = 0,
    peer: str = "",
) -> Reading:
    """The instances in an answer of /v1/health/service/NAME. UnreadableError if it is no such answer.

    `local`: whether they live in the agent's own datacenter (else their WAN addresses count). `warning`: whether an
    instance with a check in warning takes traffic. `priority` is that of their datacenter. `peer`: the cluster that
    exported them to ours, whose names of datacenters and nodes may be ours too.
    """
    instances: list[Instance] = []
    versions: dict[InstanceKey, int] = {}
    problems: list[Problem] = []
    for entry in _array(body):
        try:
            node, service = entry["Node"], entry["Service"]
            key = (str(node["Node"]), str(service["ID"]))
            versions[key] = int(service.get("ModifyIndex") or 0)
            if not selection.takes(name, service):
                continue
            instance, faults = _instance(entry, name, local, warning, platform)
            if instance is not None:
                instance, fault = _placed(instance, name, service, selection, priority)
                instance = _imported(instance, peer) if peer else instance
                faults += fault
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            where = f"consul {name} ({_spot(entry)})"
            problems.append(Problem(where, f"not an instance: {fault!r}", "look at what registered it"))
            continue
        problems += faults
        if instance is not None:
            instances.append(instance)
    return Reading(name, tuple(instances), versions, tuple(problems), hash(body), index or 0)


def services(name: str, instances: Sequence[Instance], origin: str) -> tuple[tuple[Service, ...], tuple[Problem, ...]]:
    """The services that instances of one name make up: one a namespace. Instances come in the order to keep."""
    return services_of(instances, lambda namespace: ServiceKey(namespace, f"{name}.service.consul"), origin, name)


def service_names(body: bytes) -> Mapping[str, tuple[str, ...]]:
    """Names and tags in an answer of /v1/catalog/services, without Consul itself."""
    found = _parsed(body)
    if not isinstance(found, dict):
        raise UnreadableError("the list of services is no object")
    return {name: tuple(sorted(tags or ())) for name, tags in found.items() if name != OWN_SERVICE}


def nodes(body: bytes) -> Mapping[str, str]:
    """Nodes in an answer of /v1/catalog/nodes, each with a text that is another when something about it changed."""
    return {str(node.get("Node")): json.dumps(node, sort_keys=True) for node in _array(body)}


def datacenter_of(body: bytes) -> str:
    """The datacenter that an answer of /v1/catalog/nodes is from; empty if it lists no node."""
    return next((str(node.get("Datacenter") or "") for node in _array(body)), "")


def versions_on_node(body: bytes) -> Mapping[InstanceKey, tuple[str, int]]:
    """Instances in an answer of /v1/catalog/node-services/NODE: the service's name, and when Consul changed it."""
    found = _parsed(body)
    if not isinstance(found, dict) or not found:
        return {}
    node = str((found.get("Node") or {}).get("Node"))
    listed = found.get("Services") or ()
    return {(node, str(s.get("ID"))): (str(s.get("Service")), int(s.get("ModifyIndex") or 0)) for s in listed}


def _instance(
    entry: Json, name: str, local: bool, warning: bool, platform: str
) -> tuple[Instance | None, tuple[Problem, ...]]:
    node, service = entry["Node"], entry["Service"]
    meta: Mapping[str, str] = service.get("Meta") or {}
    datacenter = str(node.get("Datacenter") or "")
    where = f"consul {datacenter}/{name} ({node['Node']}/{service['ID']})"
    address, port = _address(node, service, local)
    faults: list[Problem] = []
    mesh_port = meta_port(meta, "mesh-port", where, faults) or DEFAULT_MESH_PORT
    port = meta_port(meta, "sidecar-port", where, faults) or port
    if not address or not 0 < port <= 65535:
        faults.append(Problem(where, _unusable(service, address, port), "register an address and a port"))
        return None, tuple(faults)
    health = _health(entry.get("Checks") or (), warning)
    endpoint = Endpoint(
        address=address,
        ports=(),
        instance=f"{datacenter}/{node['Node']}/{service['ID']}",
        labels=tag_labels(service.get("Tags") or (), {**meta, **nomad_labels(str(service["ID"]), name)}),
        locality=Locality(datacenter, meta.get("zone") or (node.get("Meta") or {}).get("zone") or ""),
        weight=_weight(service, entry.get("Checks") or ()),
        health=health,
        service_account=meta.get("service-account") or name,
        platform=platform,
    )
    virtual = (service.get("TaggedAddresses") or {}).get("consul-virtual") or {}
    addresses = (str(virtual["Address"]),) if local and virtual.get("Address") else ()
    found = Instance(endpoint, port, DEFAULT_NAMESPACE, mesh_port, meta.get("protocol") or "", addresses)
    return found, tuple(faults)


def _placed(
    instance: Instance, name: str, service: Json, selection: Selection, priority: int
) -> tuple[Instance, tuple[Problem, ...]]:
    """The instance in its namespace, and with its datacenter's priority."""
    said = selection.namespace_of(name, service.get("Tags") or (), service.get("Meta") or {})
    faults: tuple[Problem, ...] = ()
    if said and not NAMESPACE.fullmatch(said):
        where = f"consul {name} ({instance.endpoint.instance}) namespace"
        mend = "use small letters, digits and dashes; at most 63"
        faults, said = (Problem(where, f"{said[:80]!r} is no namespace: it is in {DEFAULT_NAMESPACE}", mend),), ""
    endpoint = attrs.evolve(instance.endpoint, priority=priority) if priority else instance.endpoint
    return attrs.evolve(instance, endpoint=endpoint, namespace=said or DEFAULT_NAMESPACE), faults


def _imported(instance: Instance, peer: str) -> Instance:
    """An instance of a peer, which can be told from ours by a label and its identity."""
    before = instance.endpoint
    endpoint = attrs.evolve(
        before, instance=f"{peer}:{before.instance}", labels=labels({**dict(before.labels), PEER_LABEL: peer})
    )
    return attrs.evolve(instance, endpoint=endpoint)


def _address(node: Json, service: Json, local: bool) -> tuple[str, int]:
    """Where to reach an instance: its tagged address for our side of the WAN, its own, its node's."""
    tagged: Mapping[str, Json] = service.get("TaggedAddresses") or {}
    own_port = int(service.get("Port") or 0)
    for tag in _LOCAL if local else _REMOTE:
        given = tagged.get(tag) or {}
        if given.get("Address"):
            return str(given["Address"]), int(given.get("Port") or 0) or own_port
    if service.get("Address"):
        return str(service["Address"]), own_port
    wan = "" if local else (node.get("TaggedAddresses") or {}).get("wan")
    return str(wan or node.get("Address") or ""), own_port


def _unusable(service: Json, address: str, port: int) -> str:
    if service.get("SocketPath"):
        return f"it listens on the socket {service['SocketPath']}, which other hosts can't reach"
    return f"no usable address: {address or 'none'} port {port}"


def _health(checks: Iterable[Json], warning: bool) -> Health:
    """Checks of the node and of the service count alike; a maintenance check is a critical one by its name."""
    failing = [check for check in checks if check.get("Status") != "passing"]
    if any(_is_maintenance(str(check.get("CheckID") or "")) for check in failing):
        return Health.DRAINING
    if any(check.get("Status") != "warning" or not warning for check in failing):
        return Health.UNHEALTHY
    return Health.HEALTHY


def _is_maintenance(check: str) -> bool:
    return check == "_node_maintenance" or check.startswith("_service_maintenance:")


def _weight(service: Json, checks: Iterable[Json]) -> int:
    weights = service.get("Weights") or {}
    in_warning = any(check.get("Status") == "warning" for check in checks)
    weight = weights.get("Warning" if in_warning else "Passing")
    return 1 if weight is None else max(0, int(weight))


def _spot(entry: Any) -> str:
    """Whatever tells a broken entry from others."""
    node = entry.get("Node") if isinstance(entry, dict) else None
    service = entry.get("Service") if isinstance(entry, dict) else None
    of_node = node.get("Node") if isinstance(node, dict) else "?"
    return f"{of_node}/{service.get('ID') if isinstance(service, dict) else '?'}"


def _array(body: bytes) -> list[Any]:
    found = _parsed(body)
    if not isinstance(found, list):
        raise UnreadableError("the answer is no list")
    return found


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableError(f"not JSON: {fault}") from fault
