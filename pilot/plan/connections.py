"""Decides how connections that are not looked into are kept, spread and carried, by destination rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.model.service import Protocol
from pilot.plan import names
from pilot.plan.client import Client
from pilot.plan.destination import policy_of
from pilot.plan.hashing import hashes_source_ip
from pilot.plan.mesh_tls import TCP_OFFER, begins_mesh_tls
from pilot.plan.policy import Policy

POST = "POST"


def with_connection_policies(client: Client, chains: Iterable[ir.FilterChain]) -> tuple[ir.FilterChain, ...]:
    """The chains, TCP ones with what the rules of their destination say; of several, the first one's (Istio's rule)."""
    return tuple(
        attrs.evolve(chain, filter=_kept(client, chain.filter)) if isinstance(chain.filter, ir.TcpProxy) else chain
        for chain in chains
    )


def _kept(client: Client, tcp: ir.TcpProxy) -> ir.TcpProxy:
    if not tcp.clusters:
        return tcp
    rule = policy_of(client, tcp.clusters[0].cluster)
    pool = (rule.connection_pool.tcp if rule.connection_pool else None) or kind.TCPSettings()
    return attrs.evolve(
        tcp,
        idle_timeout=pool.idle_timeout,
        max_connection_duration=pool.max_connection_duration,
        hash_source_ip=hashes_source_ip(client, tcp.clusters),
        alpn=_alpn(client, tcp, rule),
        tunnel=_tunnel(rule.tunnel) if rule.tunnel else None,
    )


def _alpn(client: Client, tcp: ir.TcpProxy, rule: Policy) -> tuple[str, ...]:
    """A port that names no protocol is offered HTTP by its cluster: connections that are not looked into say TCP."""
    parsed = names.parse_outbound_cluster(tcp.clusters[0].cluster)
    service = client.index.hosts.find(parsed[0], client.view.namespace) if parsed else None
    port = service.port(parsed[1]) if service and parsed else None
    if service is None or port is None or port.protocol is not Protocol.UNSPECIFIED or client.view.identity is None:
        return ()
    return TCP_OFFER if begins_mesh_tls(rule.tls, service) else ()


def _tunnel(settings: kind.TunnelSettings) -> ir.Tunnel:
    host = f"[{settings.target_host}]" if ":" in settings.target_host else settings.target_host
    return ir.Tunnel(f"{host}:{settings.target_port}", post=settings.protocol == POST)
