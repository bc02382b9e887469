"""What streams with the same view share: sets of resources, how two sets differ, and the bytes of a response.

Five hundred proxies that see the same mesh are told the same change, so it is worked out once: results are kept by the
identity of the sets they were made from and die with them. Called by the sessions and the server's event loop, from one
thread; pure but for those memos.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from types import MappingProxyType
from typing import TypeVar
from weakref import WeakKeyDictionary

import attrs

from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SHORT_NAMES, Resource, Resources, ResourceSet

R = TypeVar("R", bound=Hashable)

NEEDS = ((CDS, EDS), (LDS, RDS))
"""Which type names which: a cluster its load assignment, a listener its routes (Resource.refers)."""


def resource_set(type_url: str, resources: Iterable[Resource]) -> ResourceSet:
    """A set whose version depends on names and versions only, not on the order they came in.

    Raises ValueError for two resources of one name: a response may not repeat one, and the plan promises that none is.
    """
    by_name: dict[str, Resource] = {}
    for resource in sorted(resources, key=lambda each: each.name):
        if resource.name in by_name:
            raise ValueError(
                f"two {SHORT_NAMES.get(type_url, type_url)} resources are named {resource.name!r}: "
                f"from {by_name[resource.name].origin or 'unknown'} and from {resource.origin or 'unknown'}"
            )
        by_name[resource.name] = resource
    digest = hashlib.blake2b(digest_size=8)
    for resource in by_name.values():
        digest.update(f"{resource.name}\0{resource.version}\0".encode())
    return ResourceSet(type_url, digest.hexdigest(), MappingProxyType(by_name))


EMPTY = MappingProxyType({type_url: resource_set(type_url, ()) for type_url in ORDER})
"""By type URL: what a stream holds before it was told anything."""


@attrs.frozen
class Diff:
    """Names that are new or have another version, and names that are gone; both sorted."""

    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


_SAME = Diff()
_diffs: WeakKeyDictionary[ResourceSet, WeakKeyDictionary[ResourceSet, Diff]] = WeakKeyDictionary()
_unions: WeakKeyDictionary[ResourceSet, WeakKeyDictionary[ResourceSet, ResourceSet]] = WeakKeyDictionary()
_contents: WeakKeyDictionary[ResourceSet, tuple[Resource, ...]] = WeakKeyDictionary()
_references: WeakKeyDictionary[ResourceSet, frozenset[str]] = WeakKeyDictionary()


def diff(old: ResourceSet, new: ResourceSet) -> Diff:
    """How `new` differs from `old`; made once a pair, however many streams ask."""
    if old is new:
        return _SAME
    known = _diffs.get(new)
    if known is None:
        known = _diffs[new] = WeakKeyDictionary()
    found = known.get(old)
    if found is None:
        found = known[old] = _compare(old, new)
    return found


def _compare(old: ResourceSet, new: ResourceSet) -> Diff:
    if old.version == new.version:
        return _SAME
    before, after = old.resources, new.resources
    changed = [name for name, now in after.items() if (was := before.get(name)) is None or was.version != now.version]
    return Diff(tuple(sorted(changed)), tuple(sorted(name for name in before if name not in after)))


def union(old: ResourceSet, new: ResourceSet) -> ResourceSet:
    """`new` with what only `old` has still in: what a proxy is to hold while it moves from one to the other."""
    gone = diff(old, new).removed
    if not gone:
        return new
    known = _unions.get(new)
    if known is None:
        known = _unions[new] = WeakKeyDictionary()
    found = known.get(old)
    if found is None:
        kept = (old.resources[name] for name in gone)
        found = known[old] = resource_set(new.type_url, (*new.resources.values(), *kept))
    return found


def contents(resources: ResourceSet) -> tuple[Resource, ...]:
    """All of a set by name, as one tuple that every full response of it shares."""
    found = _contents.get(resources)
    if found is None:
        found = _contents[resources] = tuple(resources.resources[name] for name in sorted(resources.resources))
    return found


def references(resources: ResourceSet) -> frozenset[str]:
    """Every name that resources of this set need of the type they need (NEEDS)."""
    found = _references.get(resources)
    if found is None:
        found = frozenset(name for each in resources.resources.values() for _, name in each.refers)
        _references[resources] = found
    return found


def problems(resources: Resources) -> tuple[str, ...]:
    """What would leave a proxy waiting or refusing, one sentence each; empty when the state is consistent.

    A cluster without its load assignment and a listener without its routes never finish warming. The owner asks before
    a state is served, always.
    """
    found: list[str] = []
    for type_url, each in resources.items():
        if each.type_url != type_url:
            found.append(f"the set kept as {type_url} holds {each.type_url}")
        found.extend(_problems_of_names(each))
    for needing, needed in NEEDS:
        there = resources.get(needed, EMPTY[needed]).resources
        for resource in resources.get(needing, EMPTY[needing]).resources.values():
            found.extend(
                f"{SHORT_NAMES[needing]} {resource.name} needs {SHORT_NAMES[needed]} {name}, which is not planned"
                for type_url, name in resource.refers
                if type_url == needed and name not in there
            )
    return tuple(found)


def _problems_of_names(resources: ResourceSet) -> Iterable[str]:
    for name, resource in resources.resources.items():
        short = SHORT_NAMES.get(resources.type_url, resources.type_url)
        if resource.name != name:
            yield f"{short} {resource.name} is kept under the name {name}, so it could be sent twice"
        if resource.type_url != resources.type_url:
            yield f"{short} {name} is of type {resource.type_url}"


class Encodings:
    """Whole responses as bytes, kept while other streams are about to say the same.

    Nonces count per stream and type, so streams that lived through the same changes share the very bytes. Holds at most
    `limit` bytes; the oldest go first, since a response is asked for by all streams within one moment.
    """

    def __init__(self, limit: int = 32 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, response: R, encode: Callable[[R], bytes]) -> bytes:
        found = self._kept.get(response)
        if found is None:
            found = encode(response)
            self._keep(response, found)
        return found

    def _keep(self, response: Hashable, body: bytes) -> None:
        if len(body) > self._limit:
            return
        self._kept[response] = body
        self._size += len(body)
        while self._size > self._limit:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)
