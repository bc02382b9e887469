"""Attributes that the Catalog knows and requests do not bring: workloads by address, services by host. Pure.

One Directory for Mixer's server, asked for every bag before the rules see it; it adds and never replaces. A catalog's
difference to the last one is all that an update costs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TypeVar

import attrs

from mixer.attributes import Bag, Condition, Reference, Value
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Service, ServiceKey

Place = tuple[bytes, int]
K = TypeVar("K")
V = TypeVar("V")


@attrs.frozen(eq=False)
class _Workload:
    """One endpoint of one service, and what the two sides of a request are told of it."""

    key: ServiceKey
    account: str
    as_source: Mapping[str, Value]
    as_destination: Mapping[str, Value]


class Directory:
    """Who is who, by the last catalog."""

    def __init__(self) -> None:
        self._catalog = Catalog()
        self._places: dict[Place, list[_Workload]] = {}
        self._addresses: dict[bytes, list[_Workload]] = {}
        self._instances: dict[tuple[str, str], list[_Workload]] = {}
        self._hosts: dict[str, list[tuple[ServiceKey, Mapping[str, Value]]]] = {}

    def update(self, catalog: Catalog) -> None:
        """From now on as this catalog says."""
        before, self._catalog = self._catalog, catalog
        for key in catalog.changed(before):
            if (old := before.services.get(key)) is not None:
                self._forget(old)
            if (new := catalog.services.get(key)) is not None:
                self._learn(new)

    def enrich(self, bag: dict[str, Value]) -> None:
        """Adds what is known of the source, the destination and the service that is asked for."""
        source = self._named(bag, "source") or self._source(bag)
        if source is not None:
            _add(bag, source.as_source)
        destination = self._named(bag, "destination") or self._destination(bag)
        if destination is not None:
            _add(bag, destination.as_destination)
        for side in ("source", "destination"):
            if (name := bag.get(f"{side}.name")) is not None:
                bag.setdefault(f"{side}.workload.name", name)  # a proxy's word, where no platform knows of it
        host = bag.get("destination.service.host") or _bare(bag.get("request.host"))
        if isinstance(host, str) and (services := self._hosts.get(host)):
            namespace = bag.get("destination.service.namespace") or bag.get("destination.namespace")
            _add(bag, next((facts for key, facts in services if key.namespace == namespace), services[0][1]))

    def _named(self, bag: Mapping[str, Value], side: str) -> _Workload | None:
        """The workload whose proxy said its name."""
        name, namespace = bag.get(f"{side}.name"), bag.get(f"{side}.namespace")
        if not isinstance(name, str) or not isinstance(namespace, str):
            return None
        found = self._instances.get((namespace, name))
        return found[0] if found else None

    def _destination(self, bag: Mapping[str, Value]) -> _Workload | None:
        place = bag.get("destination.ip"), bag.get("destination.port")
        there = self._places.get(place)  # type: ignore[arg-type]  # a bag holds bytes and int there, or None
        return there[0] if there else None

    def _source(self, bag: Mapping[str, Value]) -> _Workload | None:
        """The workload at the address; where there are several, the one whose account the identity names."""
        if "source.workload.name" in bag or "source.name" in bag:
            return None
        here = self._addresses.get(bag.get("source.ip"))  # type: ignore[arg-type]
        if not here:
            return None
        principal = str(bag.get("source.principal", ""))
        if principal:
            _, _, account = principal.partition("/sa/")
            here = [each for each in here if each.account == account and f"/ns/{each.key.namespace}/" in principal]
        return here[0] if len({each.key for each in here}) == 1 else None

    def _learn(self, service: Service) -> None:
        facts = _service_facts(service)
        for host in service.hosts:
            known = self._hosts.setdefault(host, [])
            known.append((service.key, facts))
            known.sort(key=lambda each: each[0])
        for endpoint in service.endpoints:
            packed = _packed(endpoint.address)
            if packed is None:
                continue
            workload = _Workload(
                service.key,
                endpoint.service_account,
                _facts("source", service, endpoint),
                {**_facts("destination", service, endpoint), **facts},
            )
            self._addresses.setdefault(packed, []).append(workload)
            self._instances.setdefault((service.namespace, endpoint.instance), []).append(workload)
            for _, port in endpoint.ports:
                there = self._places.setdefault((packed, port), [])
                there.append(workload)
                there.sort(key=lambda each: each.key)

    def _forget(self, service: Service) -> None:
        for host in service.hosts:
            _without(self._hosts, host, [each for each in self._hosts.get(host, ()) if each[0] != service.key])
        for endpoint in service.endpoints:
            packed = _packed(endpoint.address)
            if packed is None:
                continue
            _without(self._addresses, packed, _others(self._addresses.get(packed, ()), service.key))
            named = service.namespace, endpoint.instance
            _without(self._instances, named, _others(self._instances.get(named, ()), service.key))
            for _, port in endpoint.ports:
                place = packed, port
                _without(self._places, place, _others(self._places.get(place, ()), service.key))


_KEYS = {
    "source": ("source.ip", "source.principal", "source.workload.name"),
    "destination": (
        "destination.ip",
        "destination.port",
        "destination.service.host",
        "destination.service.namespace",
        "destination.namespace",
        "request.host",
    ),
}
"""What the attributes of each side are found by."""


def rests_on(references: Mapping[Reference, Condition], said: Bag) -> dict[Reference, Condition]:
    """The references in terms of what the caller said, which is all that it can keep a verdict by.

    An attribute that the Directory added, or might have, rests on what it is found by.
    """
    found: dict[Reference, Condition] = {}
    for reference, condition in references.items():
        if reference.name in said:
            found[reference] = condition
            continue
        side = reference.name.partition(".")[0]
        keys = _KEYS.get(side, ())
        if condition is Condition.ABSENCE or not keys:
            found[reference] = Condition.ABSENCE
        for key in keys:
            found[Reference(key)] = Condition.EXACT if key in said else Condition.ABSENCE
    return found


def _without(table: dict[K, list[V]], key: K, left: list[V]) -> None:
    if left:
        table[key] = left
    else:
        table.pop(key, None)


def _others(workloads: Iterable[_Workload], key: ServiceKey) -> list[_Workload]:
    return [each for each in workloads if each.key != key]


def _add(bag: dict[str, Value], facts: Mapping[str, Value]) -> None:
    for name, value in facts.items():
        bag.setdefault(name, value)


def _bare(host: Value | None) -> str:
    """A request's host without its port and trailing dot."""
    return host.partition(":")[0].rstrip(".").lower() if isinstance(host, str) else ""


def _packed(address: str) -> bytes | None:
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return None


def _facts(side: str, service: Service, endpoint: Endpoint) -> dict[str, Value]:
    """What is known of a workload, under the attributes of one side."""
    namespace, workload = service.namespace, service.short_name
    facts: dict[str, Value] = {
        "uid": f"{endpoint.platform or 'mesh'}://{endpoint.instance}.{namespace}",
        "name": endpoint.instance,
        "namespace": namespace,
        "labels": dict(endpoint.labels),
        "workload.name": workload,
        "workload.namespace": namespace,
        "workload.uid": f"istio://{namespace}/workloads/{workload}",
    }
    if endpoint.service_account:
        facts["serviceAccount"] = endpoint.service_account
    if side == "source":
        facts["services"] = service.host
    return {f"{side}.{name}": value for name, value in facts.items()}


def _service_facts(service: Service) -> dict[str, Value]:
    name = service.short_name
    return {
        "destination.service": service.host,
        "destination.service.host": service.host,
        "destination.service.name": name,
        "destination.service.namespace": service.namespace,
        "destination.service.uid": f"istio://{service.namespace}/services/{name}",
        "destination.namespace": service.namespace,
    }
