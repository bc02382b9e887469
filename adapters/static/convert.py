"""Turns the text of one static file into services, and into Problems for what can't be used. Pure.

Called by `adapters.static.watch` with the content of a file that changed. A fault inside one service costs that
service only; a fault around them (syntax, an unknown field at the top) costs the file. Either way the caller keeps
what was last good, so this must say which services were meant and failed (`Parsed.bad`).

The fields are those of docs/reference/static.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from adapters.document import Fields, Items, MalformedError, Mark, Node, Scalar, read
from adapters.platform import Problem
from pilot.model.service import Endpoint, Health, Labels, Locality, Port, Protocol, Service, ServiceKey, labels

DEFAULT_NAMESPACE = "default"
MAX_WEIGHT = 1_000_000

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

T = TypeVar("T")


@attrs.frozen
class Parsed:
    """What a file says.

    `broken`: nothing of it could be used. `bad`: services that are there and can't be used. `nameless`: some service
    has no readable name, so that none may be taken as removed.
    """

    services: tuple[Service, ...] = ()
    problems: tuple[Problem, ...] = ()
    bad: frozenset[ServiceKey] = frozenset()
    broken: bool = False
    nameless: bool = False


def parse(content: bytes, file: str, platform: str) -> Parsed:
    """Read a whole file. `file` is its name in coordinates, `platform` the name that endpoints carry."""
    try:
        top = _fields(read(content), "the file", {"services"})
        entries = _items(_required(top, "services", Mark(1, 1), "the file"), "services")
    except MalformedError as fault:
        return Parsed(problems=(problem(fault, file),), broken=True)
    services: dict[ServiceKey, Service] = {}
    problems: list[Problem] = []
    bad: set[ServiceKey] = set()
    nameless = False
    for position, node in enumerate(entries):
        path = f"services[{position}]"
        key: ServiceKey | None = None
        try:
            key = _key(node, path)
            if key in services:
                raise MalformedError(
                    node.mark, f"{path}: {key} is already at {services[key].origin}", "keep one of the two"
                )
            services[key] = _service(node, path, key, file, platform)
        except MalformedError as fault:
            problems.append(problem(fault, file))
            nameless |= key is None
            if key is not None and key not in services:
                bad.add(key)
    return Parsed(tuple(services.values()), tuple(problems), frozenset(bad - services.keys()), nameless=nameless)


def problem(fault: MalformedError, file: str) -> Problem:
    """The fault as the rest of the mesh hears of it."""
    return Problem(f"{file}:{fault.mark.line}:{fault.mark.column}", fault.message, fault.mend)


def _key(node: Node, path: str) -> ServiceKey:
    """Who the service is, read before anything else, so that a fault elsewhere can be laid at its door."""
    if not isinstance(node, Fields):
        raise MalformedError(node.mark, f"{path} is not a mapping", "write name, ports and endpoints in it")
    given = {key.text: value for key, value in node.entries if isinstance(key, Scalar)}
    host = _matching(_required(given, "name", node.mark, path), f"{path}.name", _HOST)
    namespace = given.get("namespace")
    if namespace is None:
        return ServiceKey(DEFAULT_NAMESPACE, host)
    return ServiceKey(_matching(namespace, f"{path}.namespace", _NAMESPACE), host)


def _service(node: Node, path: str, key: ServiceKey, file: str, platform: str) -> Service:
    given = _fields(node, path, {"name", "namespace", "ports", "endpoints"})
    ports = _ports(_required(given, "ports", node.mark, path), f"{path}.ports")
    endpoints: dict[str, Endpoint] = {}
    for position, item in enumerate(_items(given["endpoints"], f"{path}.endpoints") if "endpoints" in given else ()):
        where = f"{path}.endpoints[{position}]"
        endpoint = _endpoint(item, where, ports, key, platform)
        if endpoint.instance in endpoints:
            raise MalformedError(
                item.mark, f"{where}: the same address and port a second time", "give it a weight instead"
            )
        endpoints[endpoint.instance] = endpoint
    name = key.host if "." not in key.host else ""
    return Service(key, ports, tuple(endpoints.values()), origin=f"{file}:{node.mark.line}", name=name)


def _ports(node: Node, path: str) -> tuple[Port, ...]:
    ports: list[Port] = []
    for position, item in enumerate(_items(node, path)):
        port = _port(item, f"{path}[{position}]")
        if any(port.name == other.name or port.number == other.number for other in ports):
            raise MalformedError(
                item.mark, f"{path}[{position}]: its name or number is another port's", "make both unique"
            )
        ports.append(port)
    if not ports:
        raise MalformedError(node.mark, f"{path} is empty", "name at least the port that clients use")
    return tuple(ports)


def _port(node: Node, path: str) -> Port:
    given = _fields(node, path, {"name", "port", "protocol"})
    number = _port_number(_required(given, "port", node.mark, path), f"{path}.port")
    protocol = _optional(given, "protocol", path, _protocol, Protocol.UNSPECIFIED)
    unnamed = "default" if protocol is Protocol.UNSPECIFIED else protocol.value.lower()
    name = _optional(given, "name", path, _text, unnamed)
    if "protocol" not in given:
        protocol = Protocol.of_port_name(name)
        if name.lower().split("-", 1)[0] == "udp":
            raise MalformedError(given["name"].mark, f"{path}.name: UDP can't be served", "leave the port out")
    return Port(name, number, protocol)


def _endpoint(node: Node, path: str, ports: tuple[Port, ...], key: ServiceKey, platform: str) -> Endpoint:
    known = {"address", "port", "ports", "labels", "locality", "weight", "healthy", "serviceAccount"}
    given = _fields(node, path, known)
    address = _address(_required(given, "address", node.mark, path), f"{path}.address")
    listening = _listening(given, node.mark, path, ports)
    return Endpoint(
        address=address,
        ports=listening,
        instance=f"{key}/{address}/" + ",".join(str(number) for _, number in listening),
        labels=_optional(given, "labels", path, _labels, ()),
        locality=_optional(given, "locality", path, _locality, Locality()),
        weight=_optional(given, "weight", path, _weight, 1),
        health=Health.HEALTHY if _optional(given, "healthy", path, _boolean, True) else Health.UNHEALTHY,
        service_account=_optional(given, "serviceAccount", path, _text, ""),
        platform=platform,
    )


def _listening(
    given: Mapping[str, Node], mark: Mark, path: str, ports: tuple[Port, ...]
) -> tuple[tuple[str, int], ...]:
    """What the endpoint listens on, by the service's port names, in the service's order."""
    if ("port" in given) == ("ports" in given):
        raise MalformedError(mark, f"{path} needs either port or ports", "write `port: 8080`, or `ports: {http: 8080}`")
    if "port" in given:
        if len(ports) > 1:
            mend = "write `ports:` with " + ", ".join(port.name for port in ports)
            raise MalformedError(given["port"].mark, f"{path}.port: the service has {len(ports)} ports", mend)
        return ((ports[0].name, _port_number(given["port"], f"{path}.port")),)
    chosen = _fields(given["ports"], f"{path}.ports", {port.name for port in ports})
    if not chosen:
        raise MalformedError(given["ports"].mark, f"{path}.ports is empty", "name a port of the service")
    numbers = {name: _port_number(node, f"{path}.ports.{name}") for name, node in chosen.items()}
    return tuple((port.name, numbers[port.name]) for port in ports if port.name in numbers)


def _fields(node: Node, path: str, known: set[str]) -> dict[str, Node]:
    if not isinstance(node, Fields):
        raise MalformedError(node.mark, f"{path} is not a mapping", f"its fields are {_listed(known)}")
    given: dict[str, Node] = {}
    for key, value in node.entries:
        name = _text(key, f"a field name of {path}")
        if name not in known:
            raise MalformedError(key.mark, f"{path}: unknown field {name!r}", f"known are {_listed(known)}")
        if name in given:
            raise MalformedError(key.mark, f"{path}: {name!r} is there twice", "keep one of the two")
        given[name] = value
    return given


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _required(given: Mapping[str, Node], name: str, mark: Mark, path: str) -> Node:
    if name not in given:
        raise MalformedError(mark, f"{path} has no {name!r}", f"add `{name}:`")
    return given[name]


def _optional(given: Mapping[str, Node], name: str, path: str, convert: Callable[[Node, str], T], default: T) -> T:
    return convert(given[name], f"{path}.{name}") if name in given else default


def _items(node: Node, path: str) -> tuple[Node, ...]:
    if not isinstance(node, Items):
        raise MalformedError(node.mark, f"{path} is not a list", f"write `{path.rsplit('.', 1)[-1]}: []` for none")
    return node.items


def _text(node: Node, path: str) -> str:
    if not isinstance(node, Scalar) or (node.plain and node.text in _NULLS) or not node.text:
        raise MalformedError(node.mark, f"{path} is not a text", "write a text that is not empty")
    return node.text


def _matching(node: Node, path: str, pattern: re.Pattern[str]) -> str:
    text = _text(node, path)
    if not pattern.fullmatch(text):
        raise MalformedError(
            node.mark, f"{path}: {text!r} is no such name", "use letters, digits, dashes and, in hosts, dots"
        )
    return text


def _integer(node: Node, path: str, low: int, high: int) -> int:
    text = node.text if isinstance(node, Scalar) and node.plain else ""
    # A long run of digits is refused by its length: int() of it would be slow or an error of its own.
    if not re.fullmatch(r"-?[0-9]{1,12}", text) or not low <= int(text) <= high:
        raise MalformedError(node.mark, f"{path} is not a whole number from {low} to {high}", "write it without quotes")
    return int(text)


def _port_number(node: Node, path: str) -> int:
    return _integer(node, path, 1, 65535)


def _weight(node: Node, path: str) -> int:
    return _integer(node, path, 0, MAX_WEIGHT)


def _boolean(node: Node, path: str) -> bool:
    value = _BOOLEANS.get(node.text.lower()) if isinstance(node, Scalar) and node.plain else None
    if value is None:
        raise MalformedError(node.mark, f"{path} is neither true nor false", "write true or false without quotes")
    return value


def _protocol(node: Node, path: str) -> Protocol:
    protocol = Protocol.parse(_text(node, path))
    if protocol is None:
        names = ", ".join(known.value for known in Protocol if known is not Protocol.UNSPECIFIED)
        raise MalformedError(node.mark, f"{path}: unknown protocol {_text(node, path)!r}", f"known are {names}")
    return protocol


def _address(node: Node, path: str) -> str:
    text = _text(node, path)
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise MalformedError(
            node.mark, f"{path}: {text!r} is not an IP address", "write an IPv4 or IPv6 address"
        ) from None


def _labels(node: Node, path: str) -> Labels:
    """Values as they are written, so that `version: 1.10` stays 1.10."""
    if not isinstance(node, Fields):
        raise MalformedError(node.mark, f"{path} is not a mapping", "write `labels: {version: v1}`")
    found: dict[str, str] = {}
    for key, value in node.entries:
        if not isinstance(value, Scalar):
            raise MalformedError(value.mark, f"{path}: a label's value is a text", "write one text, number or boolean")
        found[_text(key, f"a key of {path}")] = value.text
    return labels(found)


def _locality(node: Node, path: str) -> Locality:
    parts = _text(node, path).split("/")
    if len(parts) > 3:
        raise MalformedError(node.mark, f"{path} has more than three parts", "write region/zone/subzone")
    return Locality(*parts)
