"""Reads the file that names all platforms of a control plane. Pure: what a kind's options mean is the kind's business.

Called by `mesh_adapter.assembly` at start and whenever the file changed. A fault inside one entry costs that entry, so
that a slip of the pen about one platform does not touch the others; a fault around them costs the file. The format:
docs/reference/platforms.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

import attrs

from adapters.document import Fields, Items, MalformedError, Mark, Node, Scalar, read
from adapters.options import Given
from adapters.platform import Problem
from adapters.settings import Network
from pilot.model.service import NetworkGateway

NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")
"""Of a platform: it is a label of metrics, and stands before `.` or `=` in options."""

SNI, HTTP = "sni", "http"
"""How a gateway finds the service: by the name in the TLS handshake, as Istio's do, or by the host of plain HTTP."""


@attrs.frozen
class Entry:
    """One platform as it was written: the kind's options still as texts, each with where it stands."""

    name: str
    kind: str
    where: str
    given: Mapping[str, Given]
    marks: Mapping[str, str]

    def where_of(self, option: str) -> str:
        return self.marks.get(option, self.where)


@attrs.frozen
class PlatformsFile:
    """What the file says. `bad` are names of entries that are there and can't be used; None if that can't be known."""

    entries: tuple[Entry, ...] = ()
    networks: tuple[Network, ...] = ()
    problems: tuple[Problem, ...] = ()
    bad: frozenset[str] | None = frozenset()


def parse(content: bytes, file: str) -> PlatformsFile:
    """Read a whole file; `file` is its name in coordinates."""
    try:
        top = _fields(read(content), "the file")
        _refuse_unknown(top, "the file", ("platforms", "networks"))
        if "platforms" not in top:
            raise MalformedError(Mark(1, 1), "platforms is missing", "write a list of platforms under it")
        nodes = _items(top["platforms"], "platforms")
        networks = _networks(top["networks"]) if "networks" in top else ()
    except MalformedError as fault:
        return PlatformsFile(problems=(_problem(fault, file),), bad=None)
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    bad: set[str] | None = set()
    for position, node in enumerate(nodes):
        name = ""
        try:
            given = _fields(node, f"platforms[{position}]")
            name = _name(given, node.mark, f"platforms[{position}]")
            if name in entries:
                mend = f"one is at {entries[name].where}: give each a name of its own"
                raise MalformedError(node.mark, f"platforms[{position}]: the name {name!r} is taken", mend)
            entries[name] = _entry(name, given, node.mark, file)
        except MalformedError as fault:
            problems.append(_problem(fault, file))
            bad = None if bad is None or not name else bad | {name}
    unusable = None if bad is None else frozenset(bad - entries.keys())
    return PlatformsFile(tuple(entries.values()), networks, tuple(problems), unusable)


def _networks(node: Node) -> tuple[Network, ...]:
    found = []
    for name, value in _fields(node, "networks").items():
        path = f"networks.{name}.gateways"
        fields = _fields(value, f"networks.{name}")
        _refuse_unknown(fields, f"networks.{name}", ("gateways",))
        gateways = _items(fields["gateways"], path) if "gateways" in fields else ()
        found.append(Network(name, tuple(_gateway(each, f"{path}[{at}]") for at, each in enumerate(gateways))))
    return tuple(found)


def _gateway(node: Node, path: str) -> NetworkGateway:
    fields = _fields(node, path)
    _refuse_unknown(fields, path, ("address", "port", "mode"))
    for required in ("address", "port"):
        if required not in fields:
            raise MalformedError(node.mark, f"{path}.{required} is missing", "write where the network is entered")
    mode = _text(fields["mode"], f"{path}.mode") if "mode" in fields else SNI
    if mode != HTTP:
        mend = "write `mode: http` for a gateway that takes plain HTTP and routes by host"
        message = f"{path}: entering a network by SNI takes mutual TLS between sidecars, which there is not yet"
        raise MalformedError(fields.get("mode", node).mark, message, mend)
    address, port = (_text(fields[key], f"{path}.{key}") for key in ("address", "port"))
    try:
        ipaddress.ip_address(address)
    except ValueError:
        mend = "write an IP address: proxies look up no names of gateways"
        raise MalformedError(fields["address"].mark, f"{path}.address {address[:80]!r} is no address", mend) from None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= 65535:
        raise MalformedError(fields["port"].mark, f"{path}.port {port[:80]!r} is no port", "write 1 to 65535")
    return NetworkGateway(address, int(port))


def _refuse_unknown(given: Mapping[str, Node], path: str, known: tuple[str, ...]) -> None:
    unknown = next((key for key in given if key not in known), None)
    if unknown is not None:
        mend = f"known are {', '.join(known)}"
        raise MalformedError(given[unknown].mark, f"{path}: unknown field {unknown[:80]!r}", mend)


def _entry(name: str, given: Mapping[str, Node], mark: Mark, file: str) -> Entry:
    kind = _text(given["kind"], f"{name}.kind") if "kind" in given else name
    options = {key: node for key, node in given.items() if key not in ("name", "kind")}
    return Entry(
        name=name,
        kind=kind,
        where=_where(mark, file),
        given={key: _given(node, f"{name}.{key}") for key, node in options.items()},
        marks={key: _where(node.mark, file) for key, node in options.items()},
    )


def _name(given: Mapping[str, Node], mark: Mark, path: str) -> str:
    if "name" not in given:
        raise MalformedError(mark, f"{path}.name is missing", "name the platform: status and endpoints show it")
    name = _text(given["name"], f"{path}.name")
    if not NAME.fullmatch(name):
        mend = "write letters, digits, dashes, dots; at most 63"
        raise MalformedError(given["name"].mark, f"{path}.name {name[:80]!r} is no name", mend)
    return name


def _given(node: Node, path: str) -> Given:
    if isinstance(node, Items):
        return tuple(_text(item, f"{path}[{position}]") for position, item in enumerate(node.items))
    return _text(node, path)


def _fields(node: Node, path: str) -> dict[str, Node]:
    if not isinstance(node, Fields):
        raise MalformedError(node.mark, f"{path} is not a mapping", "write `key: value` lines in it")
    found: dict[str, Node] = {}
    for key, value in node.entries:
        name = _text(key, f"{path}, a key")
        if name in found:
            raise MalformedError(key.mark, f"{path}.{name} is given twice", "keep one of the two")
        found[name] = value
    return found


def _items(node: Node, path: str) -> tuple[Node, ...]:
    if not isinstance(node, Items):
        raise MalformedError(node.mark, f"{path} is not a list", "begin each entry with a dash")
    return node.items


def _text(node: Node, path: str) -> str:
    if not isinstance(node, Scalar):
        raise MalformedError(node.mark, f"{path} is not a text", "write one value")
    return node.text


def _where(mark: Mark, file: str) -> str:
    return f"{file}:{mark.line}:{mark.column}"


def _problem(fault: MalformedError, file: str) -> Problem:
    return Problem(_where(fault.mark, file), fault.message, fault.mend)
