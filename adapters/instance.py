"""One registered instance, and the grammar that registrations of Consul and Nomad share. Pure.

Operators write the same tags and meta keys in either registry, so what a tag means is decided here once. Used by
`adapters.*.convert`, which reads the rest of a registration, and by `adapters.hold` and `adapters.tell`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from adapters.platform import Problem
from pilot.model.service import Endpoint, Labels, Port, Protocol, Service, ServiceKey, labels

DEFAULT_NAMESPACE = "default"
DEFAULT_MESH_PORT = 80

_VERSION_TAG = re.compile(r"v\d+")


@attrs.frozen
class Instance:
    """One instance as we use it. The endpoint's port is kept apart: its name is known only with all instances."""

    endpoint: Endpoint
    port: int
    namespace: str = DEFAULT_NAMESPACE
    mesh_port: int = DEFAULT_MESH_PORT
    protocol: str = ""
    addresses: tuple[str, ...] = ()
    """Virtual addresses that its registry gave to its service."""


def meta_port(meta: Mapping[str, str], key: str, where: str, faults: list[Problem]) -> int:
    """The port that a meta key holds; 0 if there is none or it is no port, which is then a fault."""
    text = meta.get(key, "")
    if not text:
        return 0
    if re.fullmatch(r"[0-9]{1,5}", text) and 0 < int(text) <= 65535:
        return int(text)
    faults.append(Problem(f"{where} {key}", f"{text!r} is no port number", "write 1 to 65535"))
    return 0


def tag_labels(tags: Iterable[str], meta: Mapping[str, str]) -> Labels:
    """Tags `key=value` and `key|value` as they say, other tags as "true"; meta wins; `v2` is a version if none is."""
    found: dict[str, str] = {}
    version = ""
    for tag in tags:
        key, separator, value = re.match(r"([^=|]*)([=|]?)(.*)", tag, re.DOTALL).groups()  # type: ignore[union-attr]
        if key and separator:
            found[key] = value
        else:
            found[tag] = "true"
            version = version or (tag if _VERSION_TAG.match(tag) else "")
    found.update((key, str(value)) for key, value in meta.items())
    if version:
        found.setdefault("version", version)
    return labels(found)


def services_of(
    instances: Sequence[Instance], key: Callable[[str], ServiceKey], origin: str, name: str = ""
) -> tuple[tuple[Service, ...], tuple[Problem, ...]]:
    """The services that instances of one `name` make up: one a namespace, whose key `key` tells.

    Instances come in the order to keep.
    """
    made: list[Service] = []
    problems: list[Problem] = []
    for namespace in dict.fromkeys(instance.namespace for instance in instances):
        members = [instance for instance in instances if instance.namespace == namespace]
        port, faults = one_port(members, origin)
        problems += faults
        endpoints = tuple(attrs.evolve(m.endpoint, ports=((port.name, m.port),)) for m in members)
        addresses = tuple(sorted({address for member in members for address in member.addresses}))
        made.append(Service(key(namespace), (port,), endpoints, origin=origin, name=name, addresses=addresses))
    return tuple(made), tuple(problems)


def one_port(members: Sequence[Instance], origin: str) -> tuple[Port, tuple[Problem, ...]]:
    """The one port that clients use, as the instances say; where they disagree, the lowest number and first name."""
    numbers = sorted({member.mesh_port for member in members})
    spoken = sorted({member.protocol for member in members if member.protocol})
    problems: list[Problem] = []
    if len(numbers) > 1:
        message = f"instances disagree about mesh-port: {', '.join(map(str, numbers))}; {numbers[0]} counts"
        problems.append(Problem(f"{origin} mesh-port", message, "register all with the same meta mesh-port"))
    if len(spoken) > 1:
        message = f"instances disagree about protocol: {', '.join(spoken)}; {spoken[0]} counts"
        problems.append(Problem(f"{origin} protocol", message, "register all with the same meta protocol"))
    text = spoken[0] if spoken else ""
    protocol = Protocol.parse(text) if text else Protocol.UNSPECIFIED
    if protocol is None:
        known = ", ".join(p.value.lower() for p in Protocol if p is not Protocol.UNSPECIFIED)
        problems.append(Problem(f"{origin} protocol", f"unknown protocol {text!r}", f"known are {known}"))
        protocol = Protocol.UNSPECIFIED
    name = "default" if protocol is Protocol.UNSPECIFIED else protocol.value.lower()
    return Port(name, numbers[0], protocol), tuple(problems)
