"""The traffic policy in force for one port of one service, or one subset of it, from the destination rules found.

Istio's inheritance: a subset's block replaces the rule's block of the same name and inherits the others; the settings
of a port replace all blocks of the level they stand in, and what they leave out is the default. Several rules of one
namespace for a host add their subsets together, and the first one's policy holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from galley.config import ConfigObject
from galley.kinds.destination_rule import (
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    Subset,
    TrafficPolicy,
)

Rule = ConfigObject[DestinationRule]


@attrs.frozen
class Policy:
    """The blocks that decide a cluster; None where the default holds."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


def subsets(rules: Sequence[Rule]) -> tuple[tuple[Subset, Rule], ...]:
    """Subsets of all rules, the first of a name only, each with the rule that defines it."""
    found: dict[str, tuple[Subset, Rule]] = {}
    for rule in rules:
        for subset in rule.spec.subsets:
            found.setdefault(subset.name, (subset, rule))
    return tuple(found.values())


def policy(rules: Sequence[Rule], port: int, subset: Subset | None = None) -> Policy:
    """What is in force for `port`, of the whole service or of `subset`."""
    general = next((rule.spec.traffic_policy for rule in rules if rule.spec.traffic_policy), None)
    inherited = _at_port(general, port, Policy())
    return _at_port(subset.traffic_policy if subset else None, port, inherited)


def _at_port(level: TrafficPolicy | None, port: int, inherited: Policy) -> Policy:
    """`inherited` with what one level says laid over it."""
    if level is None:
        return inherited
    for each in level.port_level_settings:
        if each.port and each.port.number == port:
            return Policy(each.load_balancer, each.connection_pool, each.outlier_detection)
    return Policy(
        load_balancer=level.load_balancer or inherited.load_balancer,
        connection_pool=level.connection_pool or inherited.connection_pool,
        outlier_detection=level.outlier_detection or inherited.outlier_detection,
    )
