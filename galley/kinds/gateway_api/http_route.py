"""HTTPRoute: rules for HTTP of Gateways, or of Services of the mesh. Data only."""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import attrs

from galley.kinds.gateway_api.filters import HTTPFilter
from galley.kinds.gateway_api.references import BackendReference, ParentReference
from galley.schema import Between, NotYet


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

    type: PathMatchType = PathMatchType.PathPrefix
    value: str = "/"


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
    headers: tuple[ValueMatch, ...] = ()
    query_params: tuple[ValueMatch, ...] = ()
    method: str = ""


@attrs.frozen
class HTTPBackendReference(BackendReference):
    """A destination, and changes to the headers of what goes there."""

    filters: tuple[HTTPFilter, ...] = ()


@attrs.frozen
class HTTPTimeouts:
    """Of the whole request, and of each try; 0s is none."""

    request: datetime.timedelta | None = None
    backend_request: datetime.timedelta | None = None


@attrs.frozen
class HTTPRetry:
    """Retries, of answers with these codes besides what certainly was not processed."""

    codes: tuple[Annotated[int, Between(400, 599)], ...] = ()
    attempts: Annotated[int | None, Between(0, 2**31 - 1)] = None
    backoff: datetime.timedelta | None = None


@attrs.frozen
class HTTPRouteRule:
    """Any of `matches` (none: everything), and what then happens; without anywhere to go the answer is 500."""

    name: str = ""
    matches: tuple[HTTPRouteMatch, ...] = ()
    filters: tuple[HTTPFilter, ...] = ()
    backend_refs: tuple[HTTPBackendReference, ...] = ()
    timeouts: HTTPTimeouts | None = None
    retry: HTTPRetry | None = None
    session_persistence: Annotated[
        str | None, NotYet(why="use a DestinationRule with consistentHash.httpCookie for the service")
    ] = None


@attrs.frozen
class HTTPRoute:
    """Rules for requests to `hostnames` (none: those of the listener)."""

    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[HTTPRouteRule, ...] = (HTTPRouteRule(),)
    use_default_gateways: Annotated[str, NotYet(why="name the Gateways by parentRefs")] = ""
