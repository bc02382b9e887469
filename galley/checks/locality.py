"""What locality load balancing must hold beyond its types: Istio's rules for places, weights and failover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from galley.document import Path
from galley.finding import Finding
from galley.kinds.destination_rule import Distribute, Failover, LocalityLoadBalancerSetting, OutlierDetection

MOST_LABELS = 24
"""Failover labels of one rule: with five degrees of nearness each they stay within Envoy's 128 priorities."""

_TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
_FORM = "write region/zone/subzone from the left, '*' at most once and last: us-east/*"


def check_locality_setting(
    setting: LocalityLoadBalancerSetting | None, outlier: OutlierDetection | None, path: Path
) -> Iterator[Finding]:
    """A setting, where there is one; without `outlier` failover has no effect."""
    if setting is None:
        return
    if setting.distribute and (setting.failover or setting.failover_priority):
        other = "failover" if setting.failover else "failoverPriority"
        message = f"can not simultaneously specify 'distribute' and '{other}'"
        yield Finding(path, message, "keep one: distribute switches failover off")
    yield from _places([each.from_ for each in setting.distribute], (*path, "distribute"), "from")
    for index, each in enumerate(setting.distribute):
        yield from _distribute(each, (*path, "distribute", index))
    for index, failover in enumerate(setting.failover):
        yield from _failover(failover, (*path, "failover", index))
    yield from _priority(setting, (*path, "failoverPriority"))
    if (setting.failover or setting.failover_priority) and outlier is None:
        message = "outlier detection policy must be provided for failover"
        yield Finding(path, message, "add outlierDetection beside loadBalancer", warning=True)


def _distribute(distribute: Distribute, path: Path) -> Iterator[Finding]:
    for place, weight in distribute.to:
        if not 0 < weight <= 100:
            yield Finding((*path, "to", place), f"locality weight must be in range [1, 100], it is {weight}")
    total = sum(weight for _, weight in distribute.to)
    if total != 100:
        yield Finding((*path, "to"), f"total locality weight {total} != 100", "make the weights sum to 100")
    yield from _places([place for place, _ in distribute.to], (*path, "to"))


def _places(places: Sequence[str], path: Path, field: str = "") -> Iterator[Finding]:
    """Well-formed, and none inside another that came before it; in a list under `field`, else keys of a map."""
    for index, place in enumerate(places):
        here = (*path, index, field) if field else (*path, place)
        if not all(place.split("/")) or place.count("/") > 2:
            message = f"locality {place!r} must not contain empty region/zone/subzone info"
            yield Finding(here, message, _FORM)
        elif "*" in place and (place.count("*") > 1 or not place.endswith("*")):
            message = f"locality {place!r} wildcard '*' number can not exceed 1 and must be in the end"
            yield Finding(here, message, _FORM)
        elif other := next((each for each in places[:index] if _overlap(each, place)), ""):
            yield Finding(here, f"locality {place!r} overlaps with {other!r}", "merge the two")


def _overlap(one: str, other: str) -> bool:
    """Whether some place lies in both: the shorter one is where the longer one begins."""
    pairs = zip(_parts(one), _parts(other), strict=False)
    return all(left == right for left, right in pairs)


def _parts(place: str) -> list[str]:
    return [part for part in place.split("/") if part != "*"]


def _failover(failover: Failover, path: Path) -> Iterator[Finding]:
    if failover.from_ == failover.to:
        yield Finding(path, "locality lb failover settings must specify different regions", "name another region in to")
    for field, region in (("from", failover.from_), ("to", failover.to)):
        if not region:
            yield Finding((*path, field), "is empty", "name a region")
        elif "/" in region:
            yield Finding((*path, field), f"{region!r}: locality lb failover only specify region", "name a region only")
        elif "*" in region:
            message = f"{region!r}: locality lb failover region should not contain '*' wildcard"
            yield Finding((*path, field), message, "name a region")


def _priority(setting: LocalityLoadBalancerSetting, path: Path) -> Iterator[Finding]:
    if len(setting.failover_priority) > MOST_LABELS:
        yield Finding(path, f"has {len(setting.failover_priority)} labels, more than {MOST_LABELS}", "leave some out")
    for index, entry in enumerate(setting.failover_priority):
        key = entry.partition("=")[0]
        if not key:
            yield Finding((*path, index), f"{entry!r} names no label", "write a label's key, or key=value")
        elif setting.failover and key in _TOPOLOGY:
            message = f"can not simultaneously set 'failover' and topology label {key!r} in 'failoverPriority'"
            yield Finding((*path, index), message, "keep one of the two")
