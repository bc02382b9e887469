"""Services that the operator configured: ServiceEntry and WorkloadEntry objects, joined to what platforms told. Pure.

The only place where configuration becomes services; called by `pilot.plan.index`. Istio's rules: a service is one
service when host and namespace are equal. Whoever told of it first decides its ports and how it is resolved, platforms
before configuration and entries by name; the endpoints of a further entry of resolution STATIC are added, by the number
of the service's port, and between entries of one resolution its further ports are too.

A service that came out as before is the object it was before, so that a change of one endpoint stays small.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs

from galley.config import Config, ConfigObject
from galley.kinds import service_entry as kind
from galley.kinds.workload_entry import WorkloadEntry
from pilot.model.catalog import Catalog
from pilot.model.service import Endpoint, Locality, Port, Protocol, Resolution, Service, ServiceKey
from pilot.plan.workloads import Workloads

Entry = ConfigObject[kind.ServiceEntry]
PLATFORM = "configuration"
UNIX = "unix://"
NO_SERVICES = Catalog()
_RESOLUTIONS = {
    kind.Resolution.STATIC: Resolution.ENDPOINTS,
    kind.Resolution.DNS: Resolution.DNS,
    kind.Resolution.DNS_ROUND_ROBIN: Resolution.DNS_ROUND_ROBIN,
    kind.Resolution.DYNAMIC_DNS: Resolution.BY_REQUEST,
}


def with_config_services(catalog: Catalog, config: Config, before: Catalog) -> Catalog:
    """The catalog with the configured services in it; `before` is what came out of this the last time."""
    if not config.service_entries:
        return catalog
    workloads = Workloads.of(catalog, config)
    found = dict(catalog.services)
    for entry in config.service_entries:
        for service in _services(entry, workloads):
            known = found.get(service.key)
            found[service.key] = _merged(known, service) if known else service
    for key, service in found.items():
        old = before.services.get(key)
        if old is not service and old == service:
            found[key] = old
    after = Catalog(found)
    return after if after.changed(before) else before


def _services(entry: Entry, workloads: Workloads) -> Iterator[Service]:
    spec = entry.spec
    ports = tuple(_port(port) for port in spec.ports)
    for host in spec.hosts:
        yield Service(
            key=ServiceKey(entry.namespace, host),
            ports=ports,
            endpoints=_endpoints(entry, host, workloads),
            labels=entry.labels,
            origin=entry.origin,
            resolution=_resolution(spec, host),
            configured=True,
            external=spec.location is kind.Location.MESH_EXTERNAL,
            addresses=spec.addresses,
            export_to=_export_to(entry),
            subject_alt_names=spec.subject_alt_names,
        )


def _port(port: kind.ServicePort) -> Port:
    return Port(port.name, port.number, Protocol.parse(port.protocol) or Protocol.UNSPECIFIED)


def _resolution(spec: kind.ServiceEntry, host: str) -> Resolution:
    """NONE leaves it to the application to look the host up. Spoken to explicitly, the proxy does so in its place."""
    if spec.resolution is kind.Resolution.NONE:
        return Resolution.BY_REQUEST if host.startswith("*") else Resolution.DNS_ROUND_ROBIN
    return _RESOLUTIONS[spec.resolution]


def _export_to(entry: Entry) -> tuple[str, ...]:
    """Namespaces by name; that no namespace has the name `~` hides the service from all."""
    if "*" in entry.spec.export_to:
        return ()
    return tuple(entry.namespace if name == "." else name for name in entry.spec.export_to)


def _endpoints(entry: Entry, host: str, workloads: Workloads) -> tuple[Endpoint, ...]:
    spec = entry.spec
    if spec.workload_selector is not None:
        return tuple(_selected(entry, workloads))
    if spec.endpoints:
        return tuple(_endpoint(spec, each, f"{entry}/{index}") for index, each in enumerate(spec.endpoints))
    looked_up = _resolution(spec, host) in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
    return (_endpoint(spec, WorkloadEntry(address=host), str(entry)),) if looked_up else ()


def _selected(entry: Entry, workloads: Workloads) -> Iterator[Endpoint]:
    """WorkloadEntries and the platforms' endpoints of the entry's namespace that carry the labels."""
    selector = entry.spec.workload_selector or kind.LabelSelector()
    for workload in workloads.entries(entry.namespace, selector.labels):
        yield _endpoint(entry.spec, workload.spec, str(workload), workload)
    for endpoint in workloads.endpoints(entry.namespace, selector.labels):
        yield attrs.evolve(endpoint, ports=tuple((port.name, _listening(endpoint, port)) for port in entry.spec.ports))


def _listening(endpoint: Endpoint, port: kind.ServicePort) -> int:
    """Where a platform's endpoint serves the port: as it says, else as the entry says, else on its only port."""
    told = endpoint.port(port.name) or port.target_port
    if told:
        return told
    numbers = {number for _, number in endpoint.ports}
    return numbers.pop() if len(numbers) == 1 else port.number


def _endpoint(
    spec: kind.ServiceEntry, entry: WorkloadEntry, instance: str, workload: ConfigObject[WorkloadEntry] | None = None
) -> Endpoint:
    """Labels of a WorkloadEntry are those of its spec; Istio adds those of its metadata."""
    own = dict(entry.ports)
    labels = dict((*(workload.labels if workload else ()), *entry.labels))
    is_file = entry.address.startswith(UNIX)
    return Endpoint(
        address=entry.address,
        ports=tuple(
            (port.name, 0 if is_file else own.get(port.name) or port.target_port or port.number) for port in spec.ports
        ),
        instance=instance,
        labels=tuple(sorted(labels.items())),
        locality=Locality.parse(entry.locality),
        weight=entry.weight or 1,
        service_account=entry.service_account,
        network=entry.network,
        platform=PLATFORM,
    )


def _merged(known: Service, more: Service) -> Service:
    """`known` with the endpoints of an entry that names its host, and its further ports if both are configured."""
    if known.resolution is not more.resolution:
        return known
    ports = known.ports
    if known.configured:
        names, numbers = {port.name for port in ports}, {port.number for port in ports}
        ports += tuple(port for port in more.ports if port.number not in numbers and port.name not in names)
    by_number = {port.number: port.name for port in more.ports}
    pairs = [(port.name, by_number[port.number]) for port in ports if port.number in by_number]
    added = (_renamed(endpoint, pairs) for endpoint in more.endpoints)
    return attrs.evolve(
        known, ports=ports, endpoints=tuple(itertools.chain(known.endpoints, (each for each in added if each.ports)))
    )


def _renamed(endpoint: Endpoint, pairs: list[tuple[str, str]]) -> Endpoint:
    """The endpoint with its ports under the names of another service."""
    numbers = dict(endpoint.ports)
    return attrs.evolve(endpoint, ports=tuple((ours, numbers[theirs]) for ours, theirs in pairs if theirs in numbers))
