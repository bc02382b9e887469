"""What routes of the Gateway API do to requests on their way. Data only."""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.gateway_api.references import BackendObjectReference, PortNumber
from galley.schema import Between, NotYet

Count = Annotated[int, Between(0, 2**31 - 1)]


class FilterType(enum.Enum):
    """Which of a filter's fields is meant."""

    RequestHeaderModifier = "RequestHeaderModifier"
    ResponseHeaderModifier = "ResponseHeaderModifier"
    RequestMirror = "RequestMirror"
    RequestRedirect = "RequestRedirect"
    URLRewrite = "URLRewrite"
    CORS = "CORS"
    ExtensionRef = "ExtensionRef"
    ExternalAuth = "ExternalAuth"


class PathModifierType(enum.Enum):
    """What of a path is replaced."""

    ReplaceFullPath = "ReplaceFullPath"
    ReplacePrefixMatch = "ReplacePrefixMatch"


@attrs.frozen
class HTTPHeader:
    """A header and its value."""

    name: str = ""
    value: str = ""


@attrs.frozen
class HeaderModifier:
    """Changes to headers: `set` overwrites, `add` appends. Of one name given twice the first counts."""

    set: tuple[HTTPHeader, ...] = ()
    add: tuple[HTTPHeader, ...] = ()
    remove: tuple[str, ...] = ()


@attrs.frozen
class Fraction:
    """A share."""

    numerator: Count = 0
    denominator: Annotated[int, Between(1, 2**31 - 1)] = 100


@attrs.frozen
class RequestMirror:
    """Copies of requests go to `backendRef`, their answers are dropped; of all requests where no share is said."""

    backend_ref: BackendObjectReference | None = None
    percent: Annotated[int | None, Between(0, 100)] = None
    fraction: Fraction | None = None


@attrs.frozen
class PathModifier:
    """The path as a whole, or the elements that the rule's prefix matched."""

    type: PathModifierType | None = None
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


@attrs.frozen
class RequestRedirect:
    """An answer that sends the client elsewhere; what is not said stays as the request has it."""

    scheme: str = ""
    hostname: str = ""
    path: PathModifier | None = None
    port: PortNumber = 0
    status_code: Count = 302


@attrs.frozen
class URLRewrite:
    """Changes to host and path before the request is forwarded."""

    hostname: str = ""
    path: PathModifier | None = None


@attrs.frozen
class CORS:
    """Cross-origin rules that the proxy answers by."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Annotated[int, Between(1, 2**31 - 1)] = 5


_NO_EXTENSIONS = NotYet((FilterType.ExtensionRef,), "there are no filters of our own")


@attrs.frozen
class GRPCFilter:
    """One change; `type` says which field holds it."""

    type: Annotated[FilterType | None, _NO_EXTENSIONS] = None
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_mirror: RequestMirror | None = None
    extension_ref: Annotated[str | None, NotYet(why=_NO_EXTENSIONS.why)] = None


@attrs.frozen
class HTTPFilter:
    """One change; `type` says which field holds it."""

    type: Annotated[
        FilterType | None,
        NotYet((FilterType.ExtensionRef, FilterType.ExternalAuth), "there are neither extensions nor external checks"),
    ] = None
    request_header_modifier: HeaderModifier | None = None
    response_header_modifier: HeaderModifier | None = None
    request_mirror: RequestMirror | None = None
    request_redirect: RequestRedirect | None = None
    url_rewrite: URLRewrite | None = None
    cors: CORS | None = None
    extension_ref: Annotated[str | None, NotYet(why=_NO_EXTENSIONS.why)] = None
    external_auth: Annotated[str | None, NotYet(why="requests are not checked by others yet")] = None
