"""Decides which localities of a service a client prefers, and how traffic is shared out among them. Pure.

Istio's rules: `distribute` gives weights by the client's place and switches failover off; else, where there is outlier
detection, priorities follow from how near an endpoint is (sub-zone, zone, region, the region to fail over to, the rest)
or from labels that client and endpoint have in common (`failoverPriority`). Without outlier detection Envoy would not
notice that it has to fail over, so that all endpoints stay equal. A client whose place is unknown is near to nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

import attrs

from galley.config import ConfigObject
from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.model.proxy import NOWHERE, OutboundView
from pilot.model.service import Endpoint, Labels, Locality
from pilot.plan.policy import Policy

R = TypeVar("R", int, tuple[int, int])
Rank = Callable[[Endpoint], int]
"""How far an endpoint is; 0 is nearest. Ranks may have gaps."""

_TOPOLOGY = {
    "topology.kubernetes.io/region": "region",
    "topology.kubernetes.io/zone": "zone",
    "topology.istio.io/subzone": "subzone",
}
_NETWORK = "topology.istio.io/network"
_NEARNESSES = 5
"""Same sub-zone, zone, region, the region to fail over to, the others."""
_FINE = 10_000
"""Parts of a weight of 1, where weights do not come out even."""


def setting_in_force(policy: Policy) -> kind.LocalityLoadBalancerSetting | None:
    """On unless a rule says otherwise, as Istio's mesh configuration has it."""
    found = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    if found is None:
        return kind.LocalityLoadBalancerSetting()
    return None if found.enabled is False else found


def shares(policy: Policy, client: Locality) -> Mapping[str, int] | None:
    """Percent by locality pattern, of the first `distribute` entry about the client's place; None without one."""
    setting = setting_in_force(policy)
    if setting is None or client == NOWHERE:
        return None
    return next((dict(each.to) for each in setting.distribute if matches(client, each.from_)), None)


def matches(locality: Locality, pattern: str) -> bool:
    """Whether a place lies in `region/zone/subzone`; `*` and a part that is left out match any."""
    wanted = (*pattern.split("/", 2), "", "")
    have = (locality.region, locality.zone, locality.subzone)
    return all(part in ("*", "", here) for part, here in zip(wanted, have, strict=False))


def rank(policy: Policy, view: OutboundView) -> Rank:
    """How the client ranks a service's endpoints; all the same where no failover is in force."""
    setting = setting_in_force(policy)
    if setting is None or setting.distribute or policy.outlier_detection is None:
        return lambda endpoint: 0
    if not setting.failover_priority:
        return lambda endpoint: _nearness(view.locality, endpoint.locality, setting.failover)
    by_labels = _label_rank(setting.failover_priority, view)
    if not setting.failover:
        return by_labels
    return lambda endpoint: (
        by_labels(endpoint) * _NEARNESSES + _nearness(view.locality, endpoint.locality, setting.failover)
    )


def distributed(
    localities: Iterable[ir.LocalityEndpoints], shares_by_pattern: Mapping[str, int]
) -> tuple[ir.LocalityEndpoints, ...]:
    """The localities that get a share, with their weights; what a pattern gets is split by the endpoints' weights."""
    left = list(localities)
    found: list[tuple[ir.LocalityEndpoints, Fraction]] = []
    for pattern, percent in shares_by_pattern.items():
        mine = [each for each in left if matches(Locality(each.region, each.zone, each.subzone), pattern)]
        left = [each for each in left if each not in mine]
        total = sum(map(_weight, mine))
        found += ((each, Fraction(percent * _weight(each), total)) for each in mine)
    fine = 1 if all(weight.denominator == 1 for _, weight in found) else _FINE
    weighted = (attrs.evolve(each, weight=max(1, round(weight * fine))) for each, weight in found)
    return tuple(sorted(weighted, key=lambda each: (each.region, each.zone, each.subzone)))


def without_gaps(ranks: Iterable[R]) -> dict[R, int]:
    """Envoy's priority of each rank: they have to count up from 0."""
    return {each: priority for priority, each in enumerate(sorted(set(ranks)))}


def asks_for_locality(rule: ConfigObject[kind.DestinationRule]) -> bool:
    """Whether the rule makes a difference between clients in different places."""
    return any(_depends_on_place(each) for each in _policies(rule.spec))


def client_labels(rules: Iterable[ConfigObject[kind.DestinationRule]]) -> Iterator[str]:
    """Label keys of clients that the rules ask for: by their selectors, and to compare with those of endpoints."""
    for rule in rules:
        if rule.spec.workload_selector:
            yield from (key for key, _ in rule.spec.workload_selector.match_labels)
        for each in _policies(rule.spec):
            setting = each.load_balancer.locality_lb_setting if each.load_balancer else None
            yield from (label.partition("=")[0] for label in (setting.failover_priority if setting else ()))


def _policies(spec: kind.DestinationRule) -> Iterator[kind.TrafficPolicy | kind.PortTrafficPolicy]:
    for policy in (spec.traffic_policy, *(subset.traffic_policy for subset in spec.subsets)):
        if policy:
            yield policy
            yield from policy.port_level_settings


def _depends_on_place(policy: kind.TrafficPolicy | kind.PortTrafficPolicy) -> bool:
    """A level may inherit its other half from elsewhere, so that either block is enough."""
    setting = policy.load_balancer.locality_lb_setting if policy.load_balancer else None
    if setting is not None:
        return setting.enabled is not False
    return policy.outlier_detection is not None


def _nearness(client: Locality, there: Locality, failover: Sequence[kind.Failover]) -> int:
    if client == NOWHERE:
        return 0
    if client.region != there.region:
        to = next((each.to for each in failover if each.from_ == client.region), there.region)
        return 3 if there.region == to else 4
    if client.zone != there.zone:
        return 2
    return 0 if client.subzone == there.subzone else 1


def _label_rank(priority: Sequence[str], view: OutboundView) -> Rank:
    """How many labels, from the first that differs, the endpoint does not have in common with the client."""
    wanted = [_wanted(each, view) for each in priority]

    def ranked(endpoint: Endpoint) -> int:
        for position, (key, value) in enumerate(wanted):
            if _label(key, endpoint.labels, endpoint.locality, endpoint.network) != value:
                return len(wanted) - position
        return 0

    return ranked


def _wanted(entry: str, view: OutboundView) -> tuple[str, str]:
    """`key=value` says the value; `key` alone means the client's own."""
    key, equals, value = entry.partition("=")
    return key, value if equals else _label(key, view.labels, view.locality)


def _label(key: str, labels: Labels, locality: Locality, network: str = "") -> str:
    """A label's value; that of a topology label follows from the place where the label itself is missing."""
    found = dict(labels).get(key)
    if found is not None:
        return found
    if key == _NETWORK:
        return network
    return str(getattr(locality, _TOPOLOGY[key])) if key in _TOPOLOGY else ""


def _weight(locality: ir.LocalityEndpoints) -> int:
    return sum(each.weight for each in locality.endpoints)


def by_locality(endpoints: Iterable[tuple[Endpoint, ir.LbEndpoint]], ranked: Rank) -> tuple[ir.LocalityEndpoints, ...]:
    """Endpoints grouped by place and priority: by their own, then nearest first, then by name of the place."""
    groups: defaultdict[tuple[tuple[int, int], Locality], list[ir.LbEndpoint]] = defaultdict(list)
    for endpoint, printed in endpoints:
        groups[(endpoint.priority, ranked(endpoint)), endpoint.locality].append(printed)
    priorities = without_gaps(found for found, _ in groups)
    return tuple(
        ir.LocalityEndpoints(where.region, where.zone, where.subzone, tuple(members), priority=priorities[found])
        for (found, where), members in sorted(groups.items(), key=lambda item: (item[0][0], str(item[0][1])))
    )
