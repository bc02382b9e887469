"""What a ServiceEntry must hold beyond its types: Istio's rules, and what no proxy without captured traffic can do."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from galley.checks.protocol import is_http, is_known, refuse_protocol
from galley.checks.values import check_dns_label, check_host, check_port, is_ip
from galley.checks.workload_entry import UNIX, check_endpoint
from galley.document import Path
from galley.finding import Finding
from galley.kinds.service_entry import Resolution, ServiceEntry, ServicePort

_BY_DNS = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
_WITHOUT_ENDPOINTS = (Resolution.NONE, Resolution.DYNAMIC_DNS)
NO_CAPTURE = "proxies are spoken to explicitly, so that only HTTP says which host of many is meant"


def check_service_entry(spec: ServiceEntry) -> Iterator[Finding]:
    """All findings of one ServiceEntry, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from _hosts(spec, (*path, "hosts"))
    yield from _addresses(spec, (*path, "addresses"))
    yield from _ports(spec, (*path, "ports"))
    yield from _endpoints(spec, path)
    yield from check_visibility(spec.export_to, (*path, "exportTo"))
    if spec.subject_alt_names:
        message = "has no effect yet: connections to the service are not secured by TLS"
        yield Finding((*path, "subjectAltNames"), message, "", warning=True)


def check_visibility(export_to: tuple[str, ...], path: Path) -> Iterator[Finding]:
    """`*`, `.`, `~` or namespaces; `*` and `~` stand alone."""
    for index, name in enumerate(export_to):
        if name not in ("*", ".", "~"):
            yield from check_dns_label(name, (*path, index))
    alone = {"*", "~"} & set(export_to)
    if alone and len(export_to) > 1:
        yield Finding(path, f"has {sorted(alone)[0]!r} beside others", "leave it alone in the list, or take it out")


def _hosts(spec: ServiceEntry, path: Path) -> Iterator[Finding]:
    if not spec.hosts:
        yield Finding(path, "is missing", "service entry must have at least one host")
    for index, host in enumerate(spec.hosts):
        here = (*path, index)
        if host == "*":
            yield Finding(here, "'*' is not allowed", "name a domain: *.example.com")
            continue
        yield from check_host(host, here, wildcard=True)
        if host in spec.hosts[:index]:
            yield Finding(here, f"{host!r} is given twice", "keep one of the two")
        if not host.startswith("*"):
            if spec.resolution is Resolution.DYNAMIC_DNS:
                yield Finding(here, "must be a wildcard for resolution DYNAMIC_DNS", "use resolution DNS for one host")
        elif spec.resolution in _BY_DNS and not spec.endpoints:
            message = f"must be a full name if no endpoints are provided for resolution {spec.resolution.value}"
            yield Finding(here, message, "use resolution DYNAMIC_DNS or NONE, or name endpoints")


def _addresses(spec: ServiceEntry, path: Path) -> Iterator[Finding]:
    for index, address in enumerate(spec.addresses):
        here = (*path, index)
        try:
            network = ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield Finding(here, f"{address!r} is not an IP address", "write an address as in 10.0.0.1")
            continue
        if "/" in address and network.num_addresses > 1:
            yield Finding(here, f"{address!r} is a range: {NO_CAPTURE}", "write single addresses, or none")
    if len(spec.hosts) > 1 and spec.addresses:
        message = f"can't be shared by several hosts: {NO_CAPTURE}"
        yield Finding(path, message, "write a ServiceEntry for each host")
    elif spec.addresses and spec.ports and not any(is_http(port.protocol) for port in spec.ports):
        message = "has an effect on HTTP only: connections reach TCP ports by an egress listener or an upstream"
        yield Finding(path, message, "", warning=True)


def _ports(spec: ServiceEntry, path: Path) -> Iterator[Finding]:
    if not spec.ports:
        yield Finding(path, "is missing", "name at least the port that clients use")
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        here = (*path, index)
        yield from _port(spec, port, here)
        if port.name in names:
            yield Finding((*here, "name"), f"{port.name!r} is already defined", "give each port its own name")
        if port.number in numbers:
            yield Finding((*here, "number"), f"{port.number} is already defined", "keep one of the two")
        names.add(port.name)
        numbers.add(port.number)


def _port(spec: ServiceEntry, port: ServicePort, path: Path) -> Iterator[Finding]:
    yield from check_dns_label(port.name, (*path, "name"))
    yield from check_port(port.number, (*path, "number"))
    yield from refuse_protocol(port.protocol, (*path, "protocol"))
    if port.target_port:
        yield from check_port(port.target_port, (*path, "targetPort"))
        if spec.resolution is Resolution.DYNAMIC_DNS or _is_wildcard(spec):
            message = "can't be carried out where hosts are resolved as requests name them"
            yield Finding((*path, "targetPort"), message, "remove it")
    if _is_forwarded(spec) and is_known(port.protocol) and not is_http(port.protocol):
        message = f"{port.protocol} can't be served for a wildcard host: {NO_CAPTURE}"
        yield Finding((*path, "protocol"), message, "name hosts one by one, with resolution DNS")


def _is_wildcard(spec: ServiceEntry) -> bool:
    return spec.resolution is Resolution.NONE and any(host.startswith("*") for host in spec.hosts)


def _is_forwarded(spec: ServiceEntry) -> bool:
    """Whether it is requests that say where they go."""
    return spec.resolution is Resolution.DYNAMIC_DNS or _is_wildcard(spec)


def _endpoints(spec: ServiceEntry, path: Path) -> Iterator[Finding]:
    here = (*path, "endpoints")
    resolution = spec.resolution.value
    if spec.endpoints and spec.workload_selector is not None:
        message = "can't stand beside workloadSelector: only one of the two says who serves"
        yield Finding(here, message, "keep one of the two")
    if spec.workload_selector is not None:
        yield from _selector(spec, (*path, "workloadSelector"))
    if spec.resolution in _WITHOUT_ENDPOINTS and spec.endpoints:
        yield Finding(here, f"can't be given with resolution {resolution}", "use resolution STATIC or DNS")
    if spec.resolution is Resolution.DNS_ROUND_ROBIN and len(spec.endpoints) > 1:
        yield Finding(here, f"must be none or one for resolution {resolution}", "use resolution DNS for several")
    names = {port.name for port in spec.ports}
    for index, endpoint in enumerate(spec.endpoints):
        yield from check_endpoint(endpoint, (*here, index), names)
        yield from _kind_of_address(spec, endpoint.address, (*here, index, "address"))


def _kind_of_address(spec: ServiceEntry, address: str, path: Path) -> Iterator[Finding]:
    if spec.resolution is Resolution.STATIC and address and not address.startswith(UNIX) and not is_ip(address):
        yield Finding(path, f"{address!r} is not an IP address", "use resolution DNS for names")
    elif spec.resolution in _BY_DNS and address.startswith(UNIX):
        yield Finding(path, "is a Unix domain socket, which DNS does not resolve", "use resolution STATIC")


def _selector(spec: ServiceEntry, path: Path) -> Iterator[Finding]:
    if spec.resolution in _WITHOUT_ENDPOINTS:
        message = f"can't be given with resolution {spec.resolution.value}"
        yield Finding(path, message, "use resolution STATIC or DNS")
    yield from check_selector(spec.workload_selector.labels if spec.workload_selector else (), path)


def check_selector(labels: tuple[tuple[str, str], ...], path: Path) -> Iterator[Finding]:
    """`workloadSelector`: labels without wildcards, at least one."""
    if not labels:
        yield Finding(path, "has no labels: it would select every workload of the namespace", "name labels")
    for key, value in labels:
        if not key or "*" in key or "*" in value:
            yield Finding((*path, "labels"), f"{key!r}: {value!r} is no label", "write a name, and a value without '*'")
