"""Decides how one endpoint of a cluster is chosen. Pure. What is hashed for it is `pilot.plan.hashing`'s."""

from __future__ import annotations

from typing import Any

from galley.kinds import destination_rule as kind
from pilot import ir

DEFAULT_RING_SIZE = 1024

_SIMPLE = {
    kind.SimpleLB.UNSPECIFIED: ir.LoadBalancer.LEAST_REQUEST,
    kind.SimpleLB.LEAST_CONN: ir.LoadBalancer.LEAST_REQUEST,
    kind.SimpleLB.LEAST_REQUEST: ir.LoadBalancer.LEAST_REQUEST,
    kind.SimpleLB.RANDOM: ir.LoadBalancer.RANDOM,
    kind.SimpleLB.ROUND_ROBIN: ir.LoadBalancer.ROUND_ROBIN,
}


def load_balancing(settings: kind.LoadBalancerSettings | None) -> dict[str, Any]:
    """The fields of `ir.Cluster` that follow from the settings."""
    if settings is None:
        return {"load_balancer": ir.LoadBalancer.LEAST_REQUEST}
    if settings.consistent_hash:
        return _hashing(settings.consistent_hash)
    simple = _SIMPLE[settings.simple or kind.SimpleLB.UNSPECIFIED]
    return {"load_balancer": simple, "slow_start": _slow_start(settings)}


def _hashing(hashing: kind.ConsistentHashLB) -> dict[str, Any]:
    """Maglev where it is asked for; the older `minimumRingSize` is the ring's too, as Istio has it."""
    if hashing.maglev:
        return {"load_balancer": ir.LoadBalancer.MAGLEV, "maglev_table_size": hashing.maglev.table_size}
    size = hashing.ring_hash.minimum_ring_size if hashing.ring_hash else hashing.minimum_ring_size
    return {"load_balancer": ir.LoadBalancer.RING_HASH, "minimum_ring_size": size or DEFAULT_RING_SIZE}


def _slow_start(settings: kind.LoadBalancerSettings) -> ir.SlowStart | None:
    warmup = settings.warmup or kind.WarmupConfiguration(settings.warmup_duration_secs)
    if not warmup.duration:
        return None
    return ir.SlowStart(warmup.duration, warmup.aggression, warmup.minimum_percent)
