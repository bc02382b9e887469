"""Decides what of a proxy's traffic goes to Mixer: checks where traffic comes in and at gateways, reports everywhere.

As in Istio 1.1, whose sidecars did not ask before they called (`enableClientSidePolicyCheck` was off). Pure; what the
rules ask for comes from the snapshot's MixerPolicy.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Iterable, Mapping
from datetime import timedelta

import attrs

from pilot import ir
from pilot.model.mixer import MixerNeeds
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


def of_inbound(index: Index, namespace: str, inbound: Inbound) -> ir.Mixer | None:
    """What peers send to this port."""
    service = index.hosts.find(inbound.service, namespace) if inbound.service else None
    known = {"context.reporter.kind": "inbound", "destination.namespace": namespace, **_service(service)}
    return _call(index, known, check=True)


def of_outbound(index: Index, view: OutboundView, service: Service | None = None) -> ir.Mixer | None:
    """What the workload calls: it is told of, and not asked for."""
    known = {"context.reporter.kind": "outbound", "source.namespace": view.namespace, **_service(service)}
    return _call(index, known, check=False)


def of_gateway(index: Index, view: OutboundView) -> ir.Mixer | None:
    """What strangers send."""
    known = {"context.reporter.kind": "outbound", "source.namespace": view.namespace}
    return _call(index, known, check=True)


def with_mixer(listeners: Iterable[ir.Listener], mixer: ir.Mixer | None) -> tuple[ir.Listener, ...]:
    """The listeners, all of whose traffic goes that way."""
    found = tuple(listeners)
    if mixer is None:
        return found
    return tuple(attrs.evolve(each, chains=tuple(_mixed(chain, mixer) for chain in each.chains)) for each in found)


def _mixed(chain: ir.FilterChain, mixer: ir.Mixer) -> ir.FilterChain:
    return attrs.evolve(chain, filter=attrs.evolve(chain.filter, mixer=mixer))


def _call(index: Index, known: Mapping[str, str], *, check: bool) -> ir.Mixer | None:
    needs = index.mixer.needs(known) if index.mixer else MixerNeeds()
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
