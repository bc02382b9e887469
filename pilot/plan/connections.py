"""Decides how connections that are not looked into are kept, spread and carried, by destination rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.plan.client import Client
from pilot.plan.destination import policy_of
from pilot.plan.hashing import hashes_source_ip

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
        tunnel=_tunnel(rule.tunnel) if rule.tunnel else None,
    )


def _tunnel(settings: kind.TunnelSettings) -> ir.Tunnel:
    host = f"[{settings.target_host}]" if ":" in settings.target_host else settings.target_host
    return ir.Tunnel(f"{host}:{settings.target_port}", post=settings.protocol == POST)
