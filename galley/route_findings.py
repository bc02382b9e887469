"""Virtual services whose routes are for a protocol that the host is not spoken to in. Pure; warnings only.

Called by `galley.analyze`. Planning passes such routes over: a port for HTTP takes `http` routes only, one for another
protocol `tls` and `tcp` routes only, and one that says no protocol takes all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import attrs

from galley.checks.protocol import is_http, spoken
from galley.config import Config, ConfigObject, Problem
from galley.kinds.virtual_service import VirtualService

MESH = "mesh"
FullName = Callable[[str, str], str]


@attrs.frozen
class Spoken:
    """Whether some port of a host takes requests, and whether some port takes what is not looked into."""

    http: bool = False
    opaque: bool = False

    def __or__(self, other: Spoken) -> Spoken:
        return Spoken(self.http or other.http, self.opaque or other.opaque)


def route_findings(config: Config, platforms: Mapping[str, Spoken], full_name: FullName) -> Iterator[Problem]:
    """All findings. `platforms` says of full host names what the platforms' ports speak; others are not judged."""
    known: defaultdict[str, Spoken] = defaultdict(Spoken, platforms)
    for entry in config.service_entries:
        for host in entry.spec.hosts:
            for port in entry.spec.ports:
                known[host.lower()] |= spoken_on(spoken(port.protocol, port.name))
    for rule in config.virtual_services:
        if not rule.spec.gateways or MESH in rule.spec.gateways:
            for host in rule.spec.hosts:
                found = known.get(full_name(host, rule.namespace))
                yield from _passed_over(rule, host, found) if found else ()


def spoken_on(protocol: str) -> Spoken:
    """Of one port; a protocol that is not said may be either."""
    return Spoken(http=is_http(protocol), opaque=not protocol or not is_http(protocol))


def _passed_over(rule: ConfigObject[VirtualService], host: str, found: Spoken) -> Iterator[Problem]:
    spec = rule.spec
    if spec.http and not found.http:
        yield _warning(rule, f"spec.http is passed over: no port of {host!r} is for HTTP", "use tcp or tls routes")
    if (spec.tls or spec.tcp) and not found.opaque:
        fields = " and ".join(f"spec.{name}" for name in ("tls", "tcp") if getattr(spec, name))
        verb = "are" if " and " in fields else "is"
        yield _warning(rule, f"{fields} {verb} passed over: all ports of {host!r} are for HTTP", "use http routes")


def _warning(rule: ConfigObject[VirtualService], message: str, mend: str) -> Problem:
    return Problem(rule.origin, str(rule), message, f"{mend}, or correct the port's protocol", warning=True)
