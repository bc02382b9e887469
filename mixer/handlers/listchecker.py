"""`listchecker` (`list`): passes what is on a list, or with `blacklist` what is not.

The list stands in the parameters (`overrides`), in a file or at a URL (`providerUrl`), or both.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import attrs
import re2

from galley.checks.regex import judge
from galley.finding import Finding
from galley.schema import Int32
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.list_provider import ListProvider
from mixer.result import CheckResult
from mixer.status import OK, Code, Status

_CACHING = datetime.timedelta(seconds=300)
_USES = 10_000


class EntryType(enum.Enum):
    """What entries are, and how a value is compared with them."""

    STRINGS = "STRINGS"
    CASE_INSENSITIVE_STRINGS = "CASE_INSENSITIVE_STRINGS"
    IP_ADDRESSES = "IP_ADDRESSES"
    REGEX = "REGEX"


@attrs.frozen
class Params:
    """Istio's, with its defaults."""

    provider_url: str = ""
    refresh_interval: datetime.timedelta = datetime.timedelta(seconds=60)
    ttl: datetime.timedelta = datetime.timedelta(seconds=300)
    caching_interval: datetime.timedelta = _CACHING
    caching_use_count: Int32 = _USES
    overrides: tuple[str, ...] = ()
    entry_type: EntryType = EntryType.STRINGS
    blacklist: bool = False


Contains = Callable[[Any], bool]


class ListHandler:
    """`contains` raises ValueError for a value that cannot be on such a list; a provider's list wins over it."""

    def __init__(self, params: Params, contains: Contains, provider: ListProvider[Contains] | None) -> None:
        self._contains = contains
        self._provider = provider
        self._blacklist = params.blacklist
        self._passed = CheckResult(OK, params.caching_interval, params.caching_use_count)

    def check(self, instance: Instance) -> CheckResult | Awaitable[CheckResult]:
        value = instance.fields.get("value", "")
        if self._provider is None:
            return self._result(value, self._contains)
        contains = self._provider.current()
        return self._awaited(value, self._provider) if contains is None else self._result(value, contains)

    async def _awaited(self, value: Any, provider: ListProvider[Contains]) -> CheckResult:
        return self._result(value, await provider.get())

    def _result(self, value: Any, contains: Contains) -> CheckResult:
        shown = _shown(value)
        try:
            found = contains(value)
        except ValueError as error:
            return attrs.evolve(self._passed, status=Status(Code.INVALID_ARGUMENT, str(error)))
        if found is not self._blacklist:
            return self._passed
        if found:
            return attrs.evolve(self._passed, status=Status(Code.PERMISSION_DENIED, f"{shown} is blacklisted"))
        return attrs.evolve(self._passed, status=Status(Code.NOT_FOUND, f"{shown} is not whitelisted"))

    async def close(self) -> None:
        if self._provider is not None:
            await self._provider.close()


def entries(kind: EntryType, texts: tuple[str, ...]) -> Contains:
    """The test for being on the list; ValueError for an entry that is none."""
    match kind:
        case EntryType.STRINGS:
            exact = frozenset(texts)
            return lambda value: _shown(value) in exact
        case EntryType.CASE_INSENSITIVE_STRINGS:
            folded = frozenset(text.casefold() for text in texts)
            return lambda value: _shown(value).casefold() in folded
        case EntryType.REGEX:
            patterns = [_pattern(text) for text in texts]
            return lambda value: any(each.search(_shown(value)) for each in patterns)
        case EntryType.IP_ADDRESSES:
            return _Networks(texts)


def _pattern(text: str) -> Any:
    judgement = judge(text)
    if judgement.fault:
        raise ValueError(f"{text!r} {judgement.fault}")
    return re2.compile(text)


class _Networks:
    """Addresses and networks; kept by length of prefix, so that a look-up costs no more with many entries."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._by_prefix: dict[tuple[int, int], set[int]] = {}
        for text in texts:
            network = ipaddress.ip_network(text, strict=False)
            key = network.version, network.prefixlen
            self._by_prefix.setdefault(key, set()).add(int(network.network_address) >> _host_bits(*key))

    def __call__(self, value: Any) -> bool:
        try:
            address: Any = ipaddress.ip_address(value)
        except ValueError:
            raise ValueError(f"{_shown(value)} is not a valid IP address") from None
        address = getattr(address, "ipv4_mapped", None) or address
        number = int(address)
        return any(
            number >> _host_bits(version, length) in networks
            for (version, length), networks in self._by_prefix.items()
            if version == address.version
        )


def _host_bits(version: int, length: int) -> int:
    return (32 if version == 4 else 128) - length


def _shown(value: Any) -> str:
    return str(ipaddress.ip_address(value)) if isinstance(value, bytes) else str(value)


def _check(params: Params) -> Iterator[Finding]:
    for index, text in enumerate(params.overrides):
        here = ("overrides", index)
        if params.entry_type is EntryType.REGEX and (judgement := judge(text)).fault:
            yield Finding(here, judgement.fault, judgement.mend)
        if params.entry_type is EntryType.IP_ADDRESSES:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                yield Finding(here, f"{text!r} is no IP address", "write 10.0.0.1 or 10.0.0.0/8")
    if params.provider_url and not _provider_is_known(params.provider_url):
        mend = "write https://HOST/PATH, or file:///PATH"
        yield Finding(("providerUrl",), f"{params.provider_url!r} is no file and no URL of http or https", mend)
    for name, duration in (("refreshInterval", params.refresh_interval), ("ttl", params.ttl)):
        if duration <= datetime.timedelta():
            yield Finding((name,), "must be longer than nothing")
    if params.ttl < params.refresh_interval:
        yield Finding(("ttl",), "is shorter than refreshInterval", "a list must live until it is read again")
    if params.caching_interval < datetime.timedelta():
        yield Finding(("cachingInterval",), "must not be negative")


def _provider_is_known(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return parts.netloc in ("", "localhost") and parts.path.startswith("/")
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _open(params: Params, surroundings: Surroundings) -> ListHandler:
    def build(texts: tuple[str, ...]) -> Contains:
        return entries(params.entry_type, (*params.overrides, *texts))

    provider = None
    if params.provider_url:
        interval, ttl = params.refresh_interval.total_seconds(), params.ttl.total_seconds()
        provider = ListProvider(params.provider_url, build, interval, ttl, surroundings.monotonic, surroundings.name)
    return ListHandler(params, build(()), provider)


LISTCHECKER = HandlerType("listchecker", frozenset({"listentry"}), Params, _open, _check)
