"""How one endpoint is chosen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galley.kinds.destination_rule import (
    ConsistentHashLB,
    LoadBalancerSettings,
    MagLev,
    RingHash,
    SimpleLB,
    WarmupConfiguration,
)
from pilot import ir
from pilot.plan.load_balancing import load_balancing

RING, TABLE = ir.LoadBalancer.RING_HASH, ir.LoadBalancer.MAGLEV


@pytest.mark.parametrize(
    ("hashing", "balancer", "size"),
    [
        (ConsistentHashLB(use_source_ip=True), RING, 1024),
        (ConsistentHashLB(use_source_ip=True, minimum_ring_size=2048), RING, 2048),
        (ConsistentHashLB(use_source_ip=True, ring_hash=RingHash()), RING, 1024),
        (ConsistentHashLB(use_source_ip=True, ring_hash=RingHash(4096)), RING, 4096),
        (ConsistentHashLB(use_source_ip=True, maglev=MagLev(65537)), TABLE, 65537),
    ],
)
def test_a_hash_has_its_ring_or_table(hashing: ConsistentHashLB, balancer: ir.LoadBalancer, size: int) -> None:
    found = load_balancing(LoadBalancerSettings(consistent_hash=hashing))
    field = "minimum_ring_size" if balancer is RING else "maglev_table_size"
    assert found == {"load_balancer": balancer, field: size}


def test_nothing_said_is_least_request() -> None:
    assert load_balancing(None)["load_balancer"] is ir.LoadBalancer.LEAST_REQUEST
    assert load_balancing(LoadBalancerSettings())["load_balancer"] is ir.LoadBalancer.LEAST_REQUEST


def test_endpoints_warm_up_as_the_newer_field_says_or_the_older_one() -> None:
    older = LoadBalancerSettings(SimpleLB.ROUND_ROBIN, warmup_duration_secs=timedelta(seconds=9))
    assert load_balancing(older)["slow_start"] == ir.SlowStart(timedelta(seconds=9))
    newer = LoadBalancerSettings(SimpleLB.ROUND_ROBIN, warmup=WarmupConfiguration(timedelta(seconds=3), 20.0, 1.5))
    assert load_balancing(newer)["slow_start"] == ir.SlowStart(timedelta(seconds=3), 1.5, 20.0)
    assert load_balancing(LoadBalancerSettings(SimpleLB.ROUND_ROBIN))["slow_start"] is None
