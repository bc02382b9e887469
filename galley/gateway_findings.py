"""What Gateways have against each other, and virtual services against the Gateways that they name. Pure; warnings only.

Called by `galley.analyze`. Planning copes (`pilot.plan.gateways`): a Gateway that nobody made leads nowhere, and of
servers that can't share a port the first by namespace and name counts. Here operators are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import attrs

from galley.config import Config, ConfigObject, Problem
from galley.finding import path_text
from galley.kinds.gateway import Gateway, Server
from galley.kinds.virtual_service import VirtualService

NOT_FOUND = "IST0101"  # ReferencedResourceNotFound
CONFLICTING_GATEWAYS = "IST0145"  # ConflictingGateways
MESH = "mesh"
_SHARING = ("http", "tls")
EVERYWHERE = "0.0.0.0"


def gateway_findings(config: Config) -> Iterator[Problem]:
    """All findings."""
    known = {(each.namespace, each.name) for each in config.gateways}
    for rule in config.virtual_services:
        yield from _unknown(rule, known)
    yield from _conflicts(config.gateways)


def _unknown(rule: ConfigObject[VirtualService], known: set[tuple[str, str]]) -> Iterator[Problem]:
    for index, name in enumerate(rule.spec.gateways):
        if name != MESH and _meant(name, rule.namespace) not in known:
            message = f"{path_text(('spec', 'gateways', index))} refers to gateway {name!r}, not found"
            yield _warning(rule, message, "correct the name, or add the Gateway", NOT_FOUND)


def _meant(name: str, namespace: str) -> tuple[str, str]:
    """Namespace and name: NAME, NAMESPACE/NAME, ./NAME, or Istio 1.1's NAME.NAMESPACE.svc.cluster.local."""
    where, slash, bare = name.rpartition("/")
    if slash:
        return (namespace if where == "." else where, bare)
    parts = name.split(".")
    return (parts[1], parts[0]) if len(parts) > 1 else (namespace, name)


@attrs.frozen
class _Listening:
    """A server, and how it is written down."""

    gateway: ConfigObject[Gateway]
    index: int
    server: Server

    @property
    def family(self) -> str:
        """What may stand together on a port: HTTP in any form, TLS in any form, else the protocol alone."""
        protocol = self.server.port.protocol.lower() if self.server.port else ""
        return {"https": "tls", "http2": "http", "grpc": "http", "grpc-web": "http"}.get(protocol, protocol)

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(host.lower().rpartition("/")[2] for host in self.server.hosts)

    def meets(self, other: _Listening) -> bool:
        """Whether all proxies that one of the two selects are selected by the other too."""
        ours, theirs = set(self.gateway.spec.selector), set(other.gateway.spec.selector)
        return ours <= theirs or theirs <= ours

    def conflict(self, other: _Listening) -> str:
        """Why the two can't both be had; empty if they can."""
        if self.family != other.family:
            return f"is taken for {other.family.upper()}"
        if self.family not in _SHARING:
            return f"is taken: only HTTP and TLS share a port, {self.family.upper()} does not"
        shared = self.hosts & other.hosts
        same_is_fine = self.gateway is other.gateway and self.family == "http"
        return f"is taken for {', '.join(sorted(shared))}" if shared and not same_is_fine else ""


def _conflicts(gateways: Iterable[ConfigObject[Gateway]]) -> Iterator[Problem]:
    """Servers that meet on one port of a proxy, each with the first before it that it can't be beside."""
    first: defaultdict[tuple[str, int], list[_Listening]] = defaultdict(list)
    for gateway in gateways:
        for index, server in enumerate(gateway.spec.servers):
            if server.port is None:
                continue
            this = _Listening(gateway, index, server)
            beside = first[server.bind or EVERYWHERE, server.port.number]
            found = ((other, why) for other in beside if this.meets(other) and (why := this.conflict(other)))
            for other, why in found:
                place = path_text(("spec", "servers", index))
                message = f"{place}: port {server.port.number} {why} by {_name(other)}"
                yield _warning(gateway, message, "merge the two, or change port or hosts", CONFLICTING_GATEWAYS)
                break
            beside.append(this)


def _name(other: _Listening) -> str:
    return f"{other.gateway} ({other.gateway.origin})"


def _warning(each: ConfigObject[object], message: str, mend: str, code: str) -> Problem:
    return Problem(each.origin, str(each), message, mend, code, warning=True)
