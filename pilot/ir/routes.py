"""Route configurations: which request goes where, and what is done to it on the way."""

from __future__ import annotations

import enum
from datetime import timedelta

import attrs


class MatchKind(enum.Enum):
    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    REGEX = "regex"
    PRESENT = "present"
    ELEMENTS = "elements"


@attrs.frozen(cache_hash=True)
class StringMatch:
    """Exact, prefix, suffix or RE2 full match of a value; PRESENT asks only that there is one.

    ELEMENTS is of paths: `/a` takes `/a` and `/a/b`, and not `/ab`.
    """

    kind: MatchKind
    value: str = ""
    ignore_case: bool = False


@attrs.frozen(cache_hash=True)
class HeaderMatch:
    name: str
    match: StringMatch
    invert: bool = False


@attrs.frozen(cache_hash=True)
class RouteMatch:
    """All parts must hold. `path` is EXACT, PREFIX, ELEMENTS or REGEX; methods and authority are header matches."""

    path: StringMatch = StringMatch(MatchKind.PREFIX, "/")
    headers: tuple[HeaderMatch, ...] = ()
    query_parameters: tuple[HeaderMatch, ...] = ()


@attrs.frozen(cache_hash=True)
class WeightedCluster:
    cluster: str
    weight: int
    headers: HeaderOperations | None = None
    host_rewrite: str = ""


@attrs.frozen(cache_hash=True)
class HeaderOperations:
    """Header changes, applied set, add, remove, on the request and on the response."""

    request_set: tuple[tuple[str, str], ...] = ()
    request_add: tuple[tuple[str, str], ...] = ()
    request_remove: tuple[str, ...] = ()
    response_set: tuple[tuple[str, str], ...] = ()
    response_add: tuple[tuple[str, str], ...] = ()
    response_remove: tuple[str, ...] = ()


@attrs.frozen(cache_hash=True)
class RetryPolicy:
    """`retry_on` is Envoy's comma-separated list; `retriable_status_codes` its companion."""

    attempts: int
    retry_on: str
    retriable_status_codes: tuple[int, ...] = ()
    per_try_timeout: timedelta | None = None
    previous_hosts: bool = True
    host_selection_attempts: int = 5
    backoff: timedelta | None = None
    remote_localities: bool = False
    """Whether a retry may leave the priority that failed, for the next one."""


class HashOf(enum.Enum):
    """What of a request is hashed."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY_PARAMETER = "query_parameter"
    SOURCE_IP = "source_ip"


@attrs.frozen(cache_hash=True)
class HashPolicy:
    """What decides which endpoint of a hashing cluster a request goes to. The last three are a cookie's.

    A cookie with a `ttl` is set where the request brings none; zero makes it one of the session.
    """

    of: HashOf
    name: str = ""
    path: str = ""
    ttl: timedelta | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@attrs.frozen(cache_hash=True)
class Mirror:
    """Copies of requests, `per_million` of them, whose answers nobody reads."""

    cluster: str
    per_million: int


@attrs.frozen(cache_hash=True)
class Forward:
    """Send on: to one cluster, or split by weight. `timeout` zero means none.

    `max_stream_duration` bounds the whole call, which is the only bound that gRPC clients know.
    """

    clusters: tuple[WeightedCluster, ...]
    timeout: timedelta = timedelta(0)
    max_stream_duration: timedelta | None = None
    retry: RetryPolicy | None = None
    prefix_rewrite: str = ""
    regex_rewrite: tuple[str, str] | None = None
    host_rewrite: str = ""
    mirrors: tuple[Mirror, ...] = ()
    hash_policies: tuple[HashPolicy, ...] = ()
    missing_status: int = 503
    """The answer where the cluster is not known: 500 or 503."""


@attrs.frozen(cache_hash=True)
class DirectResponse:
    """An answer of the proxy's own; the body is text or bytes."""

    status: int
    body: str = ""
    body_bytes: bytes = b""


@attrs.frozen(cache_hash=True)
class Redirect:
    """The client is sent elsewhere: what is empty stays as the request has it. `path` or `prefix_rewrite`, not both."""

    status: int
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix_rewrite: str = ""


Action = Forward | DirectResponse | Redirect


@attrs.frozen(cache_hash=True)
class Fault:
    """Requests held back, answered with an error, or both; each of so many in a million, by dice of its own."""

    delay: timedelta | None = None
    delayed_per_million: int = 0
    http_status: int | None = None
    grpc_status: int | None = None
    aborted_per_million: int = 0


@attrs.frozen(cache_hash=True)
class Cors:
    """What the proxy lets browsers do across origins; a preflight request that matches is answered by the proxy."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: str = ""
    allow_headers: str = ""
    expose_headers: str = ""
    max_age: str = ""
    allow_credentials: bool | None = None
    forward_unmatched_preflights: bool = True


@attrs.frozen(cache_hash=True)
class Route:
    name: str
    match: RouteMatch
    action: Action
    headers: HeaderOperations | None = None
    fault: Fault | None = None
    cors: Cors | None = None
    stat_prefix: str = ""
    origin: str = ""
    """The object that decided this, `VirtualService default/reviews`; printed as Istio's route metadata."""


@attrs.frozen(cache_hash=True)
class VirtualHost:
    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    require_tls: bool = False
    """Whether who comes by plain HTTP is sent to the same place by HTTPS (301)."""


@attrs.frozen(cache_hash=True)
class RouteConfiguration:
    name: str
    virtual_hosts: tuple[VirtualHost, ...]
    ignore_port: bool = False
    """Whether `web.example:8080` is the host `web.example`."""
