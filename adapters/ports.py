"""Which ports of several platforms' services are the same port. Pure; the rules: docs/reference/platforms.md.

Called by `adapters.merge`. Platforms number and name the ports of one service differently (80 in Consul, 8080 in
Kubernetes), and clients may say any of the numbers: each number stays, and every instance that serves the port behind
one of them answers to all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from adapters.platform import Problem
from pilot.model.service import Endpoint, Port, Protocol, Service


@attrs.define
class Role:
    """One port as several services have it: who claims it under which number and name, in the platforms' order."""

    claims: list[tuple[Service, Port]]

    @property
    def protocol(self) -> Protocol:
        """Of the first claim that has an opinion."""
        return next((p.protocol for _, p in self.claims if p.protocol is not Protocol.UNSPECIFIED), self.first.protocol)

    @property
    def first(self) -> Port:
        return self.claims[0][1]

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(port.number for _, port in self.claims))

    def suits(self, port: Port) -> bool:
        """Whether both may be spoken to alike: the same protocol, or one of them has no opinion."""
        return Protocol.UNSPECIFIED in (self.protocol, port.protocol) or self.protocol is port.protocol

    def of(self, part: Service, number: int) -> Port | None:
        """The part's port that answers to `number`: that of the number itself, else its first in this role."""
        mine = [port for service, port in self.claims if service is part]
        return next((port for port in mine if port.number == number), mine[0] if mine else None)


@attrs.frozen
class MergedPorts:
    """All ports of the one service, and by its name what each port stands for."""

    ports: tuple[Port, ...]
    roles: Mapping[str, Role]
    problems: tuple[Problem, ...]

    def endpoint(self, endpoint: Endpoint, part: Service) -> Endpoint:
        """The part's endpoint with its ports under the names of the one service; the same object if they are."""
        mapped = []
        for port in self.ports:
            own = self.roles[port.name].of(part, port.number)
            number = endpoint.port(own.name) if own else None
            if number is not None:
                mapped.append((port.name, number))
        found = tuple(mapped)
        return endpoint if found == endpoint.ports else attrs.evolve(endpoint, ports=found)


def merge_ports(parts: Sequence[Service]) -> MergedPorts:
    """The ports of services that are one; `parts` in the configured order."""
    roles: list[Role] = []
    problems: list[Problem] = []
    for part in parts:
        _assign(part, roles, problems)
    named: dict[str, Role] = {}
    ports: list[Port] = []
    for role in roles:
        name = _name(role)
        for number in role.numbers:
            unique = name if name not in named else f"{name}-{number}"
            while unique in named:
                unique = f"{unique}-{number}"
            named[unique] = role
            ports.append(Port(unique, number, role.protocol))
    return MergedPorts(tuple(sorted(ports, key=lambda port: port.number)), named, tuple(problems))


def _assign(part: Service, roles: list[Role], problems: list[Problem]) -> None:
    """Find the part's ports among those of the parts before it: by number, by name, by protocol; else they are new."""
    free = list(roles)
    left: list[Port] = []
    for port in part.distinct_ports:
        role = next((each for each in roles if port.number in each.numbers), None)
        if role is None:
            left.append(port)
            continue
        problems += _disagreement(role, part, port)
        role.claims.append((part, port))
        free = [each for each in free if each is not role]
    for port in tuple(left):
        role = next((each for each in free if any(p.name == port.name for _, p in each.claims)), None)
        if role is not None and not role.suits(port):
            problems.append(_namesake(role, part, port))
        elif role is not None:
            _join(role, part, port, left, free)
    for port in tuple(left):
        alike = [each for each in left if each.protocol is port.protocol]
        suiting = [each for each in free if each.protocol is port.protocol or (len(left), len(free)) == (1, 1)]
        if len(alike) == len(suiting) == 1 and suiting[0].suits(port) and not _namesakes(suiting[0], port):
            _join(suiting[0], part, port, left, free)
    roles += (Role([(part, port)]) for port in left)


def _join(role: Role, part: Service, port: Port, left: list[Port], free: list[Role]) -> None:
    role.claims.append((part, port))
    left.remove(port)
    free[:] = [each for each in free if each is not role]


def _namesakes(role: Role, port: Port) -> bool:
    """Whether they were already told apart though their names are one."""
    return not role.suits(port) and any(each.name == port.name for _, each in role.claims)


def _name(role: Role) -> str:
    opinions = [port for _, port in role.claims if port.protocol is not Protocol.UNSPECIFIED]
    return (opinions or [role.first])[0].name


def _disagreement(role: Role, part: Service, port: Port) -> Iterable[Problem]:
    """Two platforms give one number to ports of different names or protocols: the earlier is right."""
    opinions = [(teller, p) for teller, p in role.claims if p.protocol is not Protocol.UNSPECIFIED]
    winner, right = (opinions or role.claims)[0]
    if port.protocol is Protocol.UNSPECIFIED or not opinions or (port.protocol is right.protocol):
        return
    yield Problem(
        where=f"{winner.key} port {port.number} ({_teller(part)})",
        message=f"{_teller(part)} says {_spelled(port)}, {_teller(winner)} says {_spelled(right)}: the latter counts",
        mend="make the platforms agree, or change their order",
    )


def _namesake(role: Role, part: Service, port: Port) -> Problem:
    winner, right = role.claims[0]
    return Problem(
        where=f"{winner.key} port {port.number} ({_teller(part)})",
        message=(
            f"{_teller(part)} calls {port.number} {_spelled(port)}, {_teller(winner)} calls {right.number} "
            f"{_spelled(right)}: they are two ports, each with its own endpoints only"
        ),
        mend="name the ports of one service differently, or give both one protocol",
    )


def _teller(service: Service) -> str:
    told = next((endpoint.platform for endpoint in service.endpoints if endpoint.platform), "")
    return service.origin or told or "a platform"


def _spelled(port: Port) -> str:
    return f"{port.name!r} ({port.protocol.value})"
