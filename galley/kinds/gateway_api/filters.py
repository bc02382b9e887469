"""What routes of the Gateway API do to requests on their way. Data only."""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.gateway_api.references import BackendObjectReference, PortNumber
from galley.schema import Becomes, Between, NotYet

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

    set: Annotated[
        tuple[HTTPHeader, ...],
        Becomes("`request_headers_to_add` or `response_headers_to_add`, `OVERWRITE_IF_EXISTS_OR_ADD`"),
    ] = ()
    add: Annotated[tuple[HTTPHeader, ...], Becomes("the same, `APPEND_IF_EXISTS_OR_ADD`")] = ()
    remove: Annotated[tuple[str, ...], Becomes("`request_headers_to_remove` or `response_headers_to_remove`")] = ()


@attrs.frozen
class Fraction:
    """A share."""

    numerator: Count = 0
    denominator: Annotated[int, Between(1, 2**31 - 1)] = 100


@attrs.frozen
class RequestMirror:
    """Copies of requests go to `backendRef`, their answers are dropped; of all requests where no share is said."""

    backend_ref: Annotated[BackendObjectReference | None, Becomes("`request_mirror_policies.cluster`")] = None
    percent: Annotated[int | None, Between(0, 100), Becomes("`request_mirror_policies.runtime_fraction`")] = None
    fraction: Annotated[Fraction | None, Becomes("`request_mirror_policies.runtime_fraction`, of a million")] = None


@attrs.frozen
class PathModifier:
    """The path as a whole, or the elements that the rule's prefix matched."""

    type: PathModifierType | None = None
    replace_full_path: Annotated[str | None, Becomes("`path_redirect`, or `regex_rewrite` of the whole path")] = None
    replace_prefix_match: Annotated[
        str | None, Becomes("`prefix_rewrite`; two routes where the prefix is taken away")
    ] = None


@attrs.frozen
class RequestRedirect:
    """An answer that sends the client elsewhere; what is not said stays as the request has it."""

    scheme: Annotated[str, Becomes("`scheme_redirect`")] = ""
    hostname: Annotated[str, Becomes("`host_redirect`")] = ""
    path: PathModifier | None = None
    port: Annotated[PortNumber, Becomes("`port_redirect`; the listener's where neither it nor a scheme is said")] = 0
    status_code: Annotated[Count, Becomes("`redirect.response_code`")] = 302


@attrs.frozen
class URLRewrite:
    """Changes to host and path before the request is forwarded."""

    hostname: Annotated[str, Becomes("`host_rewrite_literal`")] = ""
    path: PathModifier | None = None


@attrs.frozen
class CORS:
    """Cross-origin rules that the proxy answers by."""

    allow_origins: Annotated[tuple[str, ...], Becomes("`CorsPolicy.allow_origin_string_match`")] = ()
    allow_credentials: Annotated[bool, Becomes("`allow_credentials`")] = False
    allow_methods: Annotated[tuple[str, ...], Becomes("`allow_methods`")] = ()
    allow_headers: Annotated[tuple[str, ...], Becomes("`allow_headers`")] = ()
    expose_headers: Annotated[tuple[str, ...], Becomes("`expose_headers`")] = ()
    max_age: Annotated[int, Between(1, 2**31 - 1), Becomes("`max_age`")] = 5


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
