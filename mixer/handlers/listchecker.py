"""`listchecker` (`list`): passes what is on a list, or with `blacklist` what is not; the list stands in the parameters.

Lists at a URL or in a file (`providerUrl`) are refused in this version.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import re2

from galley.checks.regex import judge
from galley.finding import Finding
from galley.schema import Int32, Later
from mixer.handler import HandlerType, Instance, Surroundings
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
    """Istio's, with its defaults for caching: 300 s, 10,000 uses."""

    provider_url: Later[str] = ""
    refresh_interval: Later[datetime.timedelta | None] = None
    ttl: Later[datetime.timedelta | None] = None
    caching_interval: datetime.timedelta = _CACHING
    caching_use_count: Int32 = _USES
    overrides: tuple[str, ...] = ()
    entry_type: EntryType = EntryType.STRINGS
    blacklist: bool = False


Contains = Callable[[Any], bool]


class ListHandler:
    """`contains` raises ValueError for a value that cannot be on such a list."""

    def __init__(self, params: Params, contains: Contains) -> None:
        self._contains = contains
        self._blacklist = params.blacklist
        self._passed = CheckResult(OK, params.caching_interval, params.caching_use_count)

    def check(self, instance: Instance) -> CheckResult:
        value = instance.fields.get("value", "")
        shown = _shown(value)
        try:
            found = self._contains(value)
        except ValueError as error:
            return attrs.evolve(self._passed, status=Status(Code.INVALID_ARGUMENT, str(error)))
        if found is not self._blacklist:
            return self._passed
        if found:
            return attrs.evolve(self._passed, status=Status(Code.PERMISSION_DENIED, f"{shown} is blacklisted"))
        return attrs.evolve(self._passed, status=Status(Code.NOT_FOUND, f"{shown} is not whitelisted"))

    async def close(self) -> None:
        return None


def entries(kind: EntryType, texts: tuple[str, ...]) -> Contains:
    """The test for being on the list; ValueError with the entry that is none."""
    match kind:
        case EntryType.STRINGS:
            exact = frozenset(texts)
            return lambda value: _shown(value) in exact
        case EntryType.CASE_INSENSITIVE_STRINGS:
            folded = frozenset(text.casefold() for text in texts)
            return lambda value: _shown(value).casefold() in folded
        case EntryType.REGEX:
            patterns = [re2.compile(text) for text in texts]
            return lambda value: any(each.search(_shown(value)) for each in patterns)
        case EntryType.IP_ADDRESSES:
            return _Networks(texts)


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
    if params.caching_interval < datetime.timedelta():
        yield Finding(("cachingInterval",), "must not be negative")


def _open(params: Params, surroundings: Surroundings) -> ListHandler:
    return ListHandler(params, entries(params.entry_type, params.overrides))


LISTCHECKER = HandlerType("listchecker", frozenset({"listentry"}), Params, _open, _check)
