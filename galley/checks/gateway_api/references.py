"""What references of the Gateway API must hold beyond their types, and the names of hosts and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from galley.checks.values import check_dns_label, check_dns_name, is_ip
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api import CORE, GATEWAY_API
from galley.kinds.gateway_api.references import BackendObjectReference, ParentReference

NETWORKING = "networking.istio.io"
_KIND = re.compile(r"[a-zA-Z](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_HOSTNAME_MEND = "write a DNS name in lower case, or '*.' and a domain"


def check_hostname(name: str, path: Path, *, wildcard: bool = True) -> Iterator[Finding]:
    """A DNS name in lower case, also `*.` and a domain; no address."""
    rest = name.removeprefix("*.") if wildcard else name
    if is_ip(rest):
        yield Finding(path, f"{name!r} is an IP address, not a hostname", _HOSTNAME_MEND)
    elif any(check_dns_name(rest, path)):
        yield Finding(path, f"{name!r} is not a valid hostname", _HOSTNAME_MEND)


def check_hostnames(names: tuple[str, ...], path: Path) -> Iterator[Finding]:
    """Those of a route."""
    for index, name in enumerate(names):
        yield from check_hostname(name, (*path, index))


def check_rule_name(name: str, path: Path) -> Iterator[Finding]:
    """A rule needs none."""
    if name:
        yield from check_dns_name(name, (*path, "name"))


def check_kind(group: str, kind: str, path: Path) -> Iterator[Finding]:
    """Group and kind that something refers to."""
    if group:
        yield from check_dns_name(group, (*path, "group"))
    if not _KIND.fullmatch(kind):
        told = f"{kind!r} is not a kind" if kind else "is missing"
        yield Finding((*path, "kind"), told, "name one, as in Service")


def check_named(name: str, namespace: str, path: Path) -> Iterator[Finding]:
    """Name and namespace that something refers to."""
    if not name:
        yield Finding((*path, "name"), "is missing", "name the object")
    if namespace:
        yield from check_dns_label(namespace, (*path, "namespace"))


def check_parents(parents: tuple[ParentReference, ...], path: Path, *, mesh: bool) -> Iterator[Finding]:
    """`mesh`: whether Services may be parents. A route without any belongs to nothing."""
    if not parents:
        mend = "name a Gateway" + (" or a Service" if mesh else "")
        yield Finding(path, "names nothing that the route belongs to: it has no effect", mend, warning=True)
    for index, parent in enumerate(parents):
        here = (*path, index)
        yield from check_kind(parent.group, parent.kind, here)
        yield from check_named(parent.name, parent.namespace, here)
        yield from _parent_kind(parent, here, mesh=mesh)
    yield from _told_apart(parents, path)


def is_gateway(parent: ParentReference) -> bool:
    """Whether a Gateway is meant."""
    return (parent.group, parent.kind) == (GATEWAY_API, "Gateway")


def is_service(reference: ParentReference | BackendObjectReference) -> bool:
    """Whether a Service is meant."""
    return (reference.group, reference.kind) == (CORE, "Service")


def is_host(reference: BackendObjectReference) -> bool:
    """Whether a host of the mesh is meant, by its whole name, as Istio has it."""
    return (reference.group, reference.kind) == (NETWORKING, "Hostname")


def _parent_kind(parent: ParentReference, path: Path, *, mesh: bool) -> Iterator[Finding]:
    if is_gateway(parent) or (mesh and is_service(parent)):
        if is_service(parent) and parent.section_name:
            message = "has no meaning for a Service, whose ports go by number"
            yield Finding((*path, "sectionName"), message, "use port")
        return
    known = "Gateway" + (', or Service with group: ""' if mesh else "")
    yield Finding((*path, "kind"), f"{parent.group}/{parent.kind} can't be a parent here", f"known is {known}")


def _told_apart(parents: Iterable[ParentReference], path: Path) -> Iterator[Finding]:
    seen: set[tuple[object, ...]] = set()
    for index, parent in enumerate(parents):
        key = (parent.group, parent.kind, parent.namespace, parent.name, parent.section_name, parent.port)
        if key in seen:
            message = "refers to the same parent as one before it"
            yield Finding((*path, index), message, "tell them apart by sectionName or port, or remove it")
        seen.add(key)


def check_backend(backend: BackendObjectReference, path: Path) -> Iterator[Finding]:
    """A Service or a host of the mesh needs its port; other kinds are told of when the route is carried out."""
    yield from check_kind(backend.group, backend.kind, path)
    yield from check_named(backend.name, backend.namespace, path)
    if (is_service(backend) or is_host(backend)) and not backend.port:
        yield Finding((*path, "port"), f"is missing, and needed for a {backend.kind}", "name the service's port")
