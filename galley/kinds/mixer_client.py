"""What the caller's side of Mixer is configured with (mixer/v1/config/client): quotas and API names by service."""

from __future__ import annotations

import datetime
from typing import Annotated

import attrs

from galley.schema import Int64, OneOf, Wire


@attrs.frozen
class IstioService:
    """A service by `service` (a host, or `*`), else by name, namespace and domain; `labels` narrow it."""

    name: str = ""
    namespace: str = ""
    domain: str = ""
    service: str = ""
    labels: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class AttributeStringMatch:
    """How the text of an attribute is matched."""

    exact: Annotated[str | None, OneOf("match_type")] = None
    prefix: Annotated[str | None, OneOf("match_type")] = None
    regex: Annotated[str | None, OneOf("match_type")] = None


@attrs.frozen
class AttributeMatch:
    """All clauses have to hold."""

    clause: tuple[tuple[str, AttributeStringMatch], ...] = ()


@attrs.frozen
class QuotaCharge:
    """How much of which quota a request takes."""

    quota: str = ""
    charge: Int64 = 1


@attrs.frozen
class QuotaRule:
    """Quotas of requests that one of the matches holds for; without matches, of all."""

    match: tuple[AttributeMatch, ...] = ()
    quotas: tuple[QuotaCharge, ...] = ()


@attrs.frozen
class QuotaSpec:
    """What a request costs."""

    rules: tuple[QuotaRule, ...] = ()


@attrs.frozen
class SpecReference:
    """Another object by name, in the same namespace unless said."""

    name: str = ""
    namespace: str = ""


@attrs.frozen
class QuotaSpecBinding:
    """Whose requests cost that."""

    services: tuple[IstioService, ...] = ()
    quota_specs: tuple[SpecReference, ...] = ()


@attrs.frozen
class StringMapEntries:
    """A map among attributes."""

    entries: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class AttributeValue:
    """The value of an attribute, under the name of its type."""

    string_value: Annotated[str | None, OneOf("value")] = None
    int64_value: Annotated[Int64 | None, OneOf("value")] = None
    double_value: Annotated[float | None, OneOf("value")] = None
    bool_value: Annotated[bool | None, OneOf("value")] = None
    bytes_value: Annotated[bytes | None, OneOf("value")] = None
    timestamp_value: Annotated[str | None, OneOf("value")] = None
    duration_value: Annotated[datetime.timedelta | None, OneOf("value")] = None
    string_map_value: Annotated[StringMapEntries | None, OneOf("value")] = None


@attrs.frozen
class Attributes:
    """Attributes by name."""

    attributes: tuple[tuple[str, AttributeValue], ...] = ()


@attrs.frozen
class HTTPAPISpecPattern:
    """Requests that get attributes: by method, and by an RFC 6570 template or a regular expression of the path."""

    attributes: Attributes | None = None
    http_method: str = ""
    uri_template: Annotated[str | None, OneOf("pattern")] = None
    regex: Annotated[str | None, OneOf("pattern")] = None


@attrs.frozen
class APIKey:
    """Where a request carries its API key."""

    query: Annotated[str | None, OneOf("key")] = None
    header: Annotated[str | None, OneOf("key")] = None
    cookie: Annotated[str | None, OneOf("key")] = None


@attrs.frozen
class HTTPAPISpec:
    """How the operations of an API are told apart."""

    attributes: Attributes | None = None
    patterns: tuple[HTTPAPISpecPattern, ...] = ()
    api_keys: tuple[APIKey, ...] = ()


@attrs.frozen
class HTTPAPISpecBinding:
    """Which services speak an API."""

    services: tuple[IstioService, ...] = ()
    api_specs: Annotated[tuple[SpecReference, ...], Wire("apiSpecs")] = ()
