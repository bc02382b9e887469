"""What destination rules make of connections that are not looked into."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from galley.kinds.destination_rule import (
    ConnectionPoolSettings,
    ConsistentHashLB,
    LoadBalancerSettings,
    Subset,
    TCPSettings,
    TrafficPolicy,
    TunnelSettings,
)
from pilot import ir
from pilot.plan.connections import with_connection_policies
from tests.unit.pilot.plan.world import TCP, client, destination_rule, service

HOUR = timedelta(hours=1)


def kept(policy: TrafficPolicy | None, *clusters: str, **rule: Any) -> ir.TcpProxy:
    """The proxy of a chain to the clusters of a service with that policy."""
    names = clusters or ("outbound|5432||db.example",)
    chain = ir.FilterChain(ir.TcpProxy("tcp", tuple(ir.WeightedCluster(each, 1) for each in names)))
    asker = client(service("db.example", TCP), destination_rule("db.example", traffic_policy=policy, **rule))
    (found,) = with_connection_policies(asker, (chain,))
    assert isinstance(found.filter, ir.TcpProxy)
    return found.filter


def test_timeouts_are_those_of_the_pool() -> None:
    pool = ConnectionPoolSettings(TCPSettings(idle_timeout=timedelta(0), max_connection_duration=HOUR))
    found = kept(TrafficPolicy(connection_pool=pool))
    assert (found.idle_timeout, found.max_connection_duration) == (timedelta(0), HOUR)


def test_a_source_that_is_hashed_is_hashed_here_too() -> None:
    hashing = LoadBalancerSettings(consistent_hash=ConsistentHashLB(use_source_ip=True))
    assert kept(TrafficPolicy(load_balancer=hashing)).hash_source_ip
    assert not kept(TrafficPolicy()).hash_source_ip


@pytest.mark.parametrize(
    ("settings", "tunnel"),
    [
        (TunnelSettings(target_host="db.internal", target_port=1), ir.Tunnel("db.internal:1")),
        (TunnelSettings("CONNECT", "10.0.0.1", 2), ir.Tunnel("10.0.0.1:2")),
        (TunnelSettings("POST", "fd00::1", 3), ir.Tunnel("[fd00::1]:3", post=True)),
    ],
)
def test_a_tunnel_leads_to_its_target(settings: TunnelSettings, tunnel: ir.Tunnel) -> None:
    assert kept(TrafficPolicy(tunnel=settings)).tunnel == tunnel


def test_of_several_destinations_the_first_decides() -> None:
    tunnelled = Subset("v1", traffic_policy=TrafficPolicy(tunnel=TunnelSettings("", "a.internal", 1)))
    names = ("outbound|5432|v1|db.example", "outbound|5432||db.example")
    assert kept(None, *names, subsets=(tunnelled,)).tunnel == ir.Tunnel("a.internal:1")
    assert kept(None, *reversed(names), subsets=(tunnelled,)).tunnel is None


def test_http_and_chains_that_lead_nowhere_stay_as_they_are() -> None:
    chains = (
        ir.FilterChain(ir.HttpConnectionManager("http", "80")),
        ir.FilterChain(ir.TcpProxy("tcp", ())),
        ir.FilterChain(ir.TcpProxy("tcp", (ir.WeightedCluster("outbound|1||unknown.example", 1),))),
    )
    assert with_connection_policies(client(), chains) == chains
