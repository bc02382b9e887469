"""What a DestinationRule's load balancer must hold beyond its types, in Istio's rules and Envoy's limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from galley.checks.locality import check_locality_setting
from galley.checks.values import MILLISECOND, check_duration, check_percent
from galley.document import Path
from galley.finding import Finding
from galley.kinds.destination_rule import (
    ConsistentHashLB,
    HTTPCookie,
    LoadBalancerSettings,
    OutlierDetection,
    SimpleLB,
    WarmupConfiguration,
)

LARGEST_RING = 8 * 1024 * 1024
MAGLEV_LIMIT = 5000011
_NAME = "use letters, digits, '-' and '_'"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WARMING = (SimpleLB.UNSPECIFIED, SimpleLB.ROUND_ROBIN, SimpleLB.LEAST_REQUEST, SimpleLB.LEAST_CONN)


def check_load_balancer(
    balancer: LoadBalancerSettings | None, outlier: OutlierDetection | None, path: Path
) -> Iterator[Finding]:
    """A load balancer, where there is one; `outlier` is what stands beside it, which failover needs."""
    if balancer is None:
        return
    if balancer.consistent_hash is not None:
        yield from _consistent_hash(balancer.consistent_hash, (*path, "consistentHash"))
    yield from _warming(balancer, path)
    yield from check_locality_setting(balancer.locality_lb_setting, outlier, (*path, "localityLbSetting"))


def _consistent_hash(hashing: ConsistentHashLB, path: Path) -> Iterator[Finding]:
    yield from _hash_key(hashing, path)
    if hashing.minimum_ring_size and (hashing.ring_hash or hashing.maglev):
        message = "only one of minimumRingSize or maglev/ringHash can be specified"
        yield Finding((*path, "minimumRingSize"), message, "keep the newer one")
    yield from _ring_size(hashing.minimum_ring_size, (*path, "minimumRingSize"))
    if hashing.ring_hash:
        yield from _ring_size(hashing.ring_hash.minimum_ring_size, (*path, "ringHash", "minimumRingSize"))
    if hashing.maglev:
        yield from _table_size(hashing.maglev.table_size, (*path, "maglev", "tableSize"))


def _hash_key(hashing: ConsistentHashLB, path: Path) -> Iterator[Finding]:
    header, parameter = hashing.http_header_name, hashing.http_query_parameter_name
    if hashing.http_cookie is not None:
        yield from _cookie(hashing.http_cookie, (*path, "httpCookie"))
    elif header is not None:
        if not _TOKEN.fullmatch(header):
            yield Finding((*path, "httpHeaderName"), f"{header!r} is not a valid header name", _NAME)
    elif parameter is not None:
        if not parameter:
            yield Finding((*path, "httpQueryParameterName"), "is empty", "name the parameter")
    elif not hashing.use_source_ip:
        mend = "give one of httpHeaderName, httpCookie, httpQueryParameterName, or useSourceIp: true"
        yield Finding(path, "says nothing to hash", mend)


def _cookie(cookie: HTTPCookie, path: Path) -> Iterator[Finding]:
    if not cookie.name:
        yield Finding((*path, "name"), "name required for httpCookie", "name the cookie")
    elif not _TOKEN.fullmatch(cookie.name):
        yield Finding((*path, "name"), f"{cookie.name!r} is not a valid cookie name", _NAME)
    yield from check_duration(cookie.ttl, (*path, "ttl"))
    for index, attribute in enumerate(cookie.attributes):
        here = (*path, "attributes", index)
        if not _TOKEN.fullmatch(attribute.name):
            yield Finding((*here, "name"), f"{attribute.name!r} is not a valid attribute name", _NAME)
        if any(not " " <= letter <= "~" or letter == ";" for letter in attribute.value):
            message = f"{attribute.value!r} is not a valid attribute value"
            yield Finding((*here, "value"), message, "use printable characters other than ';'")
    if cookie.ttl is None and cookie.attributes:
        message = "has no effect without ttl: the proxy then sets no cookie"
        yield Finding((*path, "attributes"), message, "give a ttl; 0s makes a cookie of the session", warning=True)


def _ring_size(size: int, path: Path) -> Iterator[Finding]:
    if size > LARGEST_RING:
        yield Finding(path, f"must be at most {LARGEST_RING}, Envoy's limit, not {size}")


def _table_size(size: int, path: Path) -> Iterator[Finding]:
    if size == 0:
        yield Finding(path, "must be set for maglev", "65537 is Envoy's usual one")
    elif size >= MAGLEV_LIMIT:
        yield Finding(path, f"must be less than {MAGLEV_LIMIT} for maglev, not {size}")
    elif not _is_prime(size):
        yield Finding(path, f"must be a prime number for maglev, {size} is none", "65537 is Envoy's usual one")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, math.isqrt(number) + 1))


def _warming(balancer: LoadBalancerSettings, path: Path) -> Iterator[Finding]:
    if balancer.warmup is None and balancer.warmup_duration_secs is None:
        return
    field = "warmup" if balancer.warmup is not None else "warmupDurationSecs"
    if balancer.warmup is not None:
        yield from _warmup(balancer.warmup, (*path, "warmup"))
    yield from check_duration(balancer.warmup_duration_secs, (*path, "warmupDurationSecs"), least=MILLISECOND)
    if balancer.warmup is not None and balancer.warmup_duration_secs is not None:
        yield Finding((*path, "warmupDurationSecs"), "stands beside warmup", "keep warmup.duration alone")
    if balancer.consistent_hash is not None or balancer.simple not in (None, *_WARMING):
        yield Finding((*path, field), "works with ROUND_ROBIN and LEAST_REQUEST only", "use one of them, or remove it")


def _warmup(warmup: WarmupConfiguration, path: Path) -> Iterator[Finding]:
    if warmup.duration is None:
        yield Finding((*path, "duration"), "duration is required", "say how long an endpoint warms up: 30s")
    yield from check_duration(warmup.duration, (*path, "duration"), least=MILLISECOND)
    if warmup.minimum_percent is not None:
        yield from check_percent(warmup.minimum_percent, (*path, "minimumPercent"))
    if warmup.aggression is not None and warmup.aggression < 1:
        yield Finding((*path, "aggression"), f"must be at least 1, not {warmup.aggression:g}", "1 is a straight line")
