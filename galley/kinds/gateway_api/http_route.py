"""HTTPRoute: rules for HTTP of Gateways, or of Services of the mesh. Data only."""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import attrs

from galley.kinds.gateway_api.filters import HTTPFilter
from galley.kinds.gateway_api.references import BackendReference, ParentReference
from galley.schema import Becomes, Between, NotYet


class PathMatchType(enum.Enum):
    """How a path is compared; a prefix by whole elements, so that /a takes /a and /a/b and not /ab."""

    PathPrefix = "PathPrefix"
    Exact = "Exact"
    RegularExpression = "RegularExpression"


class ValueMatchType(enum.Enum):
    """How a value is compared; a regular expression (RE2) with the whole of it."""

    Exact = "Exact"
    RegularExpression = "RegularExpression"


@attrs.frozen
class PathMatch:
    """A condition on the path, without its query."""

    type: Annotated[PathMatchType, Becomes("`path_separated_prefix`, `path` or `safe_regex`")] = (
        PathMatchType.PathPrefix
    )
    value: Annotated[str, Becomes("its value")] = "/"


@attrs.frozen
class ValueMatch:
    """A condition on a header or on a parameter of the query."""

    type: ValueMatchType = ValueMatchType.Exact
    name: str = ""
    value: str = ""


@attrs.frozen
class HTTPRouteMatch:
    """Conditions that must all hold. Of one name given twice the first counts."""

    path: PathMatch = PathMatch()
    headers: Annotated[tuple[ValueMatch, ...], Becomes("`match.headers.string_match`")] = ()
    query_params: Annotated[tuple[ValueMatch, ...], Becomes("`match.query_parameters.string_match`")] = ()
    method: Annotated[str, Becomes("`match.headers` of `:method`")] = ""


@attrs.frozen
class HTTPBackendReference(BackendReference):
    """A destination, and changes to the headers of what goes there."""

    filters: tuple[HTTPFilter, ...] = ()


@attrs.frozen
class HTTPTimeouts:
    """Of the whole request, and of each try; 0s is none."""

    request: Annotated[datetime.timedelta | None, Becomes("`route.timeout`")] = None
    backend_request: Annotated[
        datetime.timedelta | None, Becomes("`retry_policy.per_try_timeout`; `route.timeout` without retries")
    ] = None


@attrs.frozen
class HTTPRetry:
    """Retries, of answers with these codes besides what certainly was not processed."""

    codes: Annotated[
        tuple[Annotated[int, Between(400, 599)], ...], Becomes("`retry_policy.retriable_status_codes`")
    ] = ()
    attempts: Annotated[int | None, Between(0, 2**31 - 1), Becomes("`retry_policy.num_retries`")] = None
    backoff: Annotated[datetime.timedelta | None, Becomes("`retry_policy.retry_back_off.base_interval`")] = None


@attrs.frozen
class HTTPRouteRule:
    """Any of `matches` (none: everything), and what then happens; without anywhere to go the answer is 500."""

    name: Annotated[str, Becomes("behind namespace and route in `route.name`, else the rule's number")] = ""
    matches: Annotated[tuple[HTTPRouteMatch, ...], Becomes("a route each, the most specific first")] = ()
    filters: tuple[HTTPFilter, ...] = ()
    backend_refs: Annotated[
        tuple[HTTPBackendReference, ...],
        Becomes("`cluster` or `weighted_clusters`; `direct_response` 500 where none takes traffic"),
    ] = ()
    timeouts: HTTPTimeouts | None = None
    retry: HTTPRetry | None = None
    session_persistence: Annotated[
        str | None, NotYet(why="use a DestinationRule with consistentHash.httpCookie for the service")
    ] = None


@attrs.frozen
class HTTPRoute:
    """Rules for requests to `hostnames` (none: those of the listener)."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: Annotated[tuple[str, ...], Becomes("`virtual_hosts.domains`, as far as the listener has them")] = ()
    rules: Annotated[
        tuple[HTTPRouteRule, ...], Becomes("`virtual_hosts.routes`, together with those of other routes")
    ] = (HTTPRouteRule(),)
    use_default_gateways: Annotated[str, NotYet(why="name the Gateways by parentRefs")] = ""
