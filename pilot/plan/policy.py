"""The traffic policy in force for one port of one service, or one subset of it, from the destination rules found.

Istio's inheritance: a subset's block replaces the rule's block of the same name and inherits the others; the settings
of a port replace all blocks of the level they stand in, and what they leave out is the default; blocks that a port
can't have (tunnel, proxy protocol, retry budget) stay those of the level. Several rules of one namespace for a host add
their subsets together, and the first one's policy holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from galley.config import ConfigObject
from galley.kinds.destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    Subset,
    TrafficPolicy,
    TunnelSettings,
)
from pilot.model.proxy import OutboundView

Rule = ConfigObject[DestinationRule]


@attrs.frozen
class Policy:
    """The blocks that decide a cluster; None where the default holds."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


def subsets(rules: Sequence[Rule]) -> tuple[tuple[Subset, Rule], ...]:
    """Subsets of all rules, the first of a name only, each with the rule that defines it."""
    found: dict[str, tuple[Subset, Rule]] = {}
    for rule in rules:
        for subset in rule.spec.subsets:
            found.setdefault(subset.name, (subset, rule))
    return tuple(found.values())


def subset_of(rules: Sequence[Rule], name: str) -> Subset | None:
    """The subset of that name; None for none, and for the whole service."""
    return next((subset for subset, _ in subsets(rules) if name and subset.name == name), None)


def policy(rules: Sequence[Rule], port: int, subset: Subset | None = None) -> Policy:
    """What is in force for `port`, of the whole service or of `subset`."""
    general = next((rule.spec.traffic_policy for rule in rules if rule.spec.traffic_policy), None)
    inherited = _at_port(general, port, Policy())
    return _at_port(subset.traffic_policy if subset else None, port, inherited)


def for_client(found: Policy, rules: Sequence[Rule], view: OutboundView) -> Policy:
    """The policy without what is not meant for this client.

    Secrets by name are for routers, and for sidecars that a rule selects. Others keep TLS, without a certificate and
    verified by the CAs of their host: plain text is nothing to fall back to.
    """
    if found.tls is None or not found.tls.credential_name or view.edge:
        return found
    if any(rule.spec.workload_selector for rule in rules):
        return found
    return attrs.evolve(found, tls=attrs.evolve(found.tls, credential_name=""))


def _at_port(level: TrafficPolicy | None, port: int, inherited: Policy) -> Policy:
    """`inherited` with what one level says laid over it."""
    if level is None:
        return inherited
    laid_over = Policy(
        load_balancer=level.load_balancer or inherited.load_balancer,
        connection_pool=level.connection_pool or inherited.connection_pool,
        outlier_detection=level.outlier_detection or inherited.outlier_detection,
        tls=level.tls or inherited.tls,
        tunnel=level.tunnel or inherited.tunnel,
        proxy_protocol=level.proxy_protocol or inherited.proxy_protocol,
        retry_budget=level.retry_budget or inherited.retry_budget,
    )
    for each in level.port_level_settings:
        if each.port and each.port.number == port:
            return attrs.evolve(
                laid_over,
                load_balancer=each.load_balancer,
                connection_pool=each.connection_pool,
                outlier_detection=each.outlier_detection,
                tls=each.tls,
            )
    return laid_over
