"""Samples counted: a row for each version of each service. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import attrs

from mesh_adapter.demo.sample import Hop, Sample


@attrs.frozen
class Row:
    """`share` of the service's requests, between 0 and 1; latencies in milliseconds."""

    service: str
    version: str
    requests: int
    share: float
    errors: int
    p50: float
    p99: float
    instances: Mapping[str, int]


def rows(samples: Iterable[Sample]) -> tuple[Row, ...]:
    """In the order in which a request meets the services, versions by name."""
    found: defaultdict[str, defaultdict[str, list[Hop]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        for hop in sample.hops:
            found[hop.service][hop.version].append(hop)
    return tuple(
        _row(hops, of_service=sum(map(len, versions.values())))
        for versions in found.values()
        for _, hops in sorted(versions.items())
    )


def _row(hops: Sequence[Hop], of_service: int) -> Row:
    taken = sorted(hop.ms for hop in hops)
    return Row(
        service=hops[0].service,
        version=hops[0].version,
        requests=len(hops),
        share=len(hops) / of_service,
        errors=sum(not hop.ok for hop in hops),
        p50=percentile(taken, 50),
        p99=percentile(taken, 99),
        instances=dict(sorted(Counter(hop.instance for hop in hops).items())),
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The nearest rank: the smallest value that at least `percent` of all do not exceed. `ascending` is not empty."""
    rank = math.ceil(percent / 100 * len(ascending))
    return ascending[max(rank, 1) - 1]


def versions(samples: Iterable[Sample], service: str) -> Counter[str]:
    """How many requests each version of the service answered."""
    return Counter(hop.version for sample in samples for hop in sample.hops if hop.service == service)


def instances(samples: Iterable[Sample], service: str) -> Counter[str]:
    """How many requests each instance of the service answered."""
    return Counter(hop.instance for sample in samples for hop in sample.hops if hop.service == service)


def errors(samples: Iterable[Sample]) -> Counter[str]:
    """Failed requests, by what was wrong."""
    return Counter(sample.error for sample in samples if sample.error)
