"""Turns a Service with its slices, pods and nodes into the model. Pure; the table is in docs/reference/kubernetes.md.

Called by `adapters.kubernetes.state` for each service that something changed about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from adapters.kubernetes.objects import Pod, ServiceObject, ServicePort, Slice, SliceEndpoint
from adapters.platform import Problem
from kubeapi.resource import Key
from pilot.model.service import Endpoint, Health, Locality, Port, Protocol, Resolution, Service, ServiceKey

_PLAIN_TCP = (25, 53, 3306, 27017)
"""Ports of protocols that are no HTTP, some of whose servers speak first: TCP if nothing is said (Istio's rule)."""
_BEST = {Health.HEALTHY: 0, Health.DRAINING: 1, Health.UNHEALTHY: 2}


@attrs.frozen
class Surroundings:
    """What endpoints refer to. `domain` ends the hosts, `cluster` names the platform in endpoints."""

    pods: Mapping[Key, Pod]
    nodes: Mapping[Key, Locality]
    domain: str
    platform: str


@attrs.define
class _Merged:
    """One instance, of all slices that list it."""

    address: str
    endpoint: SliceEndpoint
    health: Health
    ports: dict[str, int]


def service_key(key: Key, domain: str) -> ServiceKey:
    namespace, name = key
    return ServiceKey(namespace, f"{name}.{namespace}.svc.{domain}")


def where(kind: str, key: Key) -> str:
    """An object's coordinates in messages."""
    return f"kubernetes {kind} {key[0]}/{key[1]}" if key[0] else f"kubernetes {kind} {key[1]}"


def service(
    found: ServiceObject, slices: Sequence[Slice], around: Surroundings
) -> tuple[Service | None, tuple[Problem, ...]]:
    """The service, None if nothing of it can be in the mesh; and what is wrong with it and with what it consists of."""
    problems = [_fault(where("Service", found.key), fault) for fault in found.faults]
    for each in slices:
        problems += [_fault(where("EndpointSlice", each.key), fault) for fault in each.faults]
    ports = tuple(_port(port) for port in found.ports)
    if not ports:
        message = "has no TCP port: nothing of it is in the mesh"
        problems.append(Problem(f"{where('Service', found.key)} ports", message, "give it a port"))
        return None, tuple(problems)
    endpoints = _external(found, ports, around) if found.external_name else _endpoints(found, slices, around, problems)
    made = Service(
        key=service_key(found.key, around.domain),
        ports=ports,
        endpoints=tuple(endpoints),
        labels=found.labels,
        origin=where("Service", found.key),
        resolution=Resolution.DNS if found.external_name else Resolution.ENDPOINTS,
        external=bool(found.external_name),
        addresses=found.cluster_ips,
        export_to=found.export_to,
        name=found.key[1],
    )
    return made, tuple(problems)


def _fault(place: str, fault: str) -> Problem:
    field, _, _ = fault.partition(":")
    return Problem(f"{place} {field}", fault, "that part is left out; correct it")


def _port(port: ServicePort) -> Port:
    return Port(port.name or "default", port.number, protocol(port))


def protocol(port: ServicePort) -> Protocol:
    """Istio's rule: appProtocol, else the part of the port's name before the first dash."""
    said = Protocol.parse(port.speaks) if port.speaks else None
    found = said or Protocol.of_port_name(port.speaks or port.name)
    return Protocol.TCP if found is Protocol.UNSPECIFIED and port.number in _PLAIN_TCP else found


def _external(found: ServiceObject, ports: Iterable[Port], around: Surroundings) -> Iterable[Endpoint]:
    """The one endpoint of an ExternalName: the name, which proxies look up, on the service's own ports."""
    numbers = tuple((port.name, port.number) for port in ports)
    yield Endpoint(found.external_name, numbers, f"{found.key[0]}/{found.key[1]}", platform=around.platform)


def _endpoints(
    found: ServiceObject, slices: Sequence[Slice], around: Surroundings, problems: list[Problem]
) -> Iterable[Endpoint]:
    """One endpoint an instance, sorted, so that the order of slices changes nothing."""
    names = [port.name for port in found.ports]
    for identity, merged in sorted(_merged(found, slices).items()):
        ports = tuple((name or "default", merged.ports[name]) for name in names if name in merged.ports)
        pod = around.pods.get(merged.endpoint.pod) if merged.endpoint.pod else None
        if merged.endpoint.pod is not None and pod is None:
            if merged.health is Health.HEALTHY:
                problems.append(_unknown_pod(found, merged.endpoint.pod))
            continue
        if not ports:
            continue
        if pod is not None:
            problems += [_fault(where("Pod", merged.endpoint.pod or ("", "")), fault) for fault in pod.faults]
        yield Endpoint(
            address=merged.address,
            ports=ports,
            instance="/".join(identity),
            labels=pod.labels if pod else (),
            locality=_locality(merged.endpoint, pod, around),
            health=merged.health,
            service_account=pod.service_account if pod else "",
            network=pod.network if pod else "",
            platform=around.platform,
        )


def _unknown_pod(found: ServiceObject, pod: Key) -> Problem:
    """Without its pod an endpoint has neither labels nor an identity: no rule could tell what it is."""
    place = f"{where('Service', found.key)} pod {pod[1]}"
    return Problem(place, "is not known (yet): it is left out", "look at who wrote the EndpointSlice if this stays")


def _merged(found: ServiceObject, slices: Sequence[Slice]) -> dict[tuple[str, ...], _Merged]:
    """Instances by identity. Slices of one service may repeat an endpoint, in another state or with other ports."""
    merged: dict[tuple[str, ...], _Merged] = {}
    families: dict[tuple[str, ...], str] = {}
    podless = ""
    for each in sorted(slices, key=lambda s: (_rank(found, s.family), s.key)):
        for endpoint in each.endpoints:
            if endpoint.pod is None:
                podless = podless or each.family
                if each.family != podless:
                    continue  # the same instances once more, under their addresses of another family
            for address in endpoint.addresses[:1]:
                identity = endpoint.pod or (*found.key, address)
                if families.setdefault(identity, each.family) == each.family:
                    _add(merged, identity, address, endpoint, each, found.publishes_not_ready)
    return merged


def _rank(found: ServiceObject, family: str) -> int:
    return found.families.index(family) if family in found.families else len(found.families)


def _add(
    merged: dict[tuple[str, ...], _Merged],
    identity: tuple[str, ...],
    address: str,
    endpoint: SliceEndpoint,
    of: Slice,
    publishes_not_ready: bool,
) -> None:
    """Of two states of one instance the better counts: the worse is of the slice that it is moving out of."""
    health = Health.HEALTHY if publishes_not_ready else endpoint.health
    there = merged.setdefault(identity, _Merged(address, endpoint, health, {}))
    if _BEST[health] < _BEST[there.health]:
        there.address, there.endpoint, there.health = address, endpoint, health
    for name, number in of.ports:
        there.ports.setdefault(name, number)


def _locality(endpoint: SliceEndpoint, pod: Pod | None, around: Surroundings) -> Locality:
    """What the pod's label says, else where its node is, else the zone that the slice names."""
    if pod is not None and pod.locality is not None:
        return pod.locality
    name = endpoint.node or (pod.node if pod else "")
    node = around.nodes.get(("", name)) if name else None
    if node is not None and node != Locality():
        return node if node.zone or not endpoint.zone else attrs.evolve(node, zone=endpoint.zone)
    return Locality(zone=endpoint.zone)
