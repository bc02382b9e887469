"""Decides what of a proxy's traffic goes to Mixer: checks where traffic comes in and at gateways, reports everywhere.

As in Istio 1.1, whose sidecars did not ask before they called (`enableClientSidePolicyCheck` was off). Pure; what the
rules ask for comes from the snapshot's MixerPolicy.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

import attrs

from pilot import ir
from pilot.model.mixer import Denial, MixerNeeds, Probe, ProbeKind
from pilot.model.proxy import Inbound, OutboundView
from pilot.model.service import Service
from pilot.plan.index import Index

CLUSTER = "mixer"
_MOST_CALLS = 65_536


def mixer_clusters(index: Index) -> tuple[ir.Cluster, ...]:
    """The way to Mixer, for every proxy of a mesh that has rules."""
    addresses = index.mixer.addresses if index.mixer else ()
    if not addresses:
        return ()
    endpoints = tuple(ir.LbEndpoint(host, port) for host, port in addresses)
    return (
        ir.Cluster(
            CLUSTER,
            ir.Discovery.STATIC if all(map(_is_address, (host for host, _ in addresses))) else ir.Discovery.STRICT_DNS,
            connect_timeout=timedelta(seconds=1),
            http=ir.UpstreamHttp.HTTP2,
            circuit_breakers=ir.CircuitBreakers(max_pending_requests=_MOST_CALLS, max_requests=_MOST_CALLS),
            http2_keepalive=ir.Http2Keepalive(timedelta(seconds=5), timedelta(seconds=2)),
            endpoints=ir.LoadAssignment(CLUSTER, (ir.LocalityEndpoints("", "", "", endpoints),)),
        ),
    )


def _known_of_inbound(index: Index, namespace: str, inbound: Inbound) -> Mapping[str, str]:
    """Of what peers send to this port."""
    service = index.hosts.find(inbound.service, namespace) if inbound.service else None
    return {"context.reporter.kind": "inbound", "destination.namespace": namespace, **_service(service)}


def of_outbound(index: Index, view: OutboundView, service: Service | None = None) -> ir.Mixer | None:
    """What the workload calls: it is told of, and not asked for."""
    known = {"context.reporter.kind": "outbound", "source.namespace": view.namespace, **_service(service)}
    return _call(_needs(index, known), known, check=False)


def of_gateway(index: Index, view: OutboundView) -> ir.Mixer | None:
    """What strangers send."""
    known = {"context.reporter.kind": "outbound", "source.namespace": view.namespace}
    return _call(_needs(index, known), known, check=True)


def with_mixer(listeners: Iterable[ir.Listener], mixer: ir.Mixer | None) -> tuple[ir.Listener, ...]:
    """The listeners, all of whose traffic goes that way."""
    found = tuple(listeners)
    if mixer is None:
        return found
    return tuple(attrs.evolve(each, chains=tuple(_mixed(chain, mixer) for chain in each.chains)) for each in found)


def _mixed(chain: ir.FilterChain, mixer: ir.Mixer) -> ir.FilterChain:
    return attrs.evolve(chain, filter=attrs.evolve(chain.filter, mixer=mixer))


def with_denials(index: Index, namespace: str, inbound: Inbound, listener: ir.Listener) -> ir.Listener:
    """The listener of a local port, with what Envoy refuses by itself as its first routes, and else asked about.

    Only where all of its chains carry HTTP: of a port that is looked into, some connections would have to be asked
    about all the same.
    """
    known = _known_of_inbound(index, namespace, inbound)
    needs = _needs(index, known)
    managers = [chain.filter for chain in listener.chains if isinstance(chain.filter, ir.HttpConnectionManager)]
    if needs.denials is None or len(managers) != len(listener.chains):
        return with_mixer((listener,), _call(needs, known, check=True))[0]
    routes = tuple(_denied(number, each) for number, each in enumerate(needs.denials))
    chains = tuple(
        attrs.evolve(chain, filter=attrs.evolve(manager, routes=_before(routes, manager.routes)))
        for chain, manager in zip(listener.chains, managers, strict=True)
    )
    return with_mixer((attrs.evolve(listener, chains=chains),), _call(needs, known, check=False))[0]


def _before(routes: tuple[ir.Route, ...], table: ir.RouteConfiguration | None) -> ir.RouteConfiguration | None:
    if table is None:
        return None
    hosts = tuple(attrs.evolve(host, routes=(*routes, *host.routes)) for host in table.virtual_hosts)
    return attrs.evolve(table, virtual_hosts=hosts)


def _denied(number: int, denial: Denial) -> ir.Route:
    of_path = [test for test in denial.tests if not test.header and test.kind is not ProbeKind.NOT]
    headers = [match for test in denial.tests if test not in of_path[:1] for match in _matches(test)]
    path = _string(of_path[0]) if of_path else ir.StringMatch(ir.MatchKind.PREFIX, "/")
    answer = ir.DirectResponse(denial.status, denial.body)
    return ir.Route(f"denied-{number}", ir.RouteMatch(path, tuple(headers)), answer, origin=denial.origin)


def _matches(test: Probe) -> Iterator[ir.HeaderMatch]:
    """A second test of the path is one of its header up to the query."""
    if not test.header:
        rest = ".*" if test.kind is ProbeKind.PREFIX else r"(?:\?.*)?"
        expression = ir.StringMatch(ir.MatchKind.REGEX, f"{re.escape(test.value)}{rest}")
        yield ir.HeaderMatch(":path", expression, invert=test.kind is ProbeKind.NOT)
        return
    if test.kind is ProbeKind.NOT:
        yield ir.HeaderMatch(test.header, ir.StringMatch(ir.MatchKind.PRESENT))
        yield ir.HeaderMatch(test.header, ir.StringMatch(ir.MatchKind.EXACT, test.value), invert=True)
        return
    yield ir.HeaderMatch(test.header, _string(test))


def _string(test: Probe) -> ir.StringMatch:
    if test.header and test.kind is ProbeKind.PREFIX and not test.value:
        return ir.StringMatch(ir.MatchKind.PRESENT)
    kind = ir.MatchKind.PREFIX if test.kind is ProbeKind.PREFIX else ir.MatchKind.EXACT
    return ir.StringMatch(kind, test.value)


def _needs(index: Index, known: Mapping[str, str]) -> MixerNeeds:
    return index.mixer.needs(known) if index.mixer else MixerNeeds()


def _call(needs: MixerNeeds, known: Mapping[str, str], *, check: bool) -> ir.Mixer | None:
    asks = check and needs.check
    if not (asks or needs.report):
        return None
    mixer = ir.Mixer(_metadata(known))
    if asks:
        mixer = attrs.evolve(
            mixer,
            check=True,
            fail_open=needs.fail_open,
            deadline=needs.deadline,
            clear_route=needs.changes_requests,
            strips_responses=needs.strips_responses,
            retries=needs.retries,
        )
    if needs.report:
        mixer = attrs.evolve(
            mixer, report=True, request_headers=needs.request_headers, response_headers=needs.response_headers
        )
    return mixer


def _service(service: Service | None) -> dict[str, str]:
    """What the attributes of a service are, in the words of `mixer.enrichment`."""
    if service is None:
        return {}
    return {
        "destination.service.host": service.host,
        "destination.service.name": service.short_name,
        "destination.service.namespace": service.namespace,
    }


def _metadata(known: Mapping[str, str]) -> str:
    """A query string without escapes, since Envoy would read them as its own; what needs any is found out otherwise."""
    return "&".join(f"{name}={value}" for name, value in known.items() if urllib.parse.quote_plus(value) == value)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
