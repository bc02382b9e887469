"""Which services a change of any object touches, and what they are now. Pure.

Driven by `adapters.kubernetes.watch` with the mappings that `kubeapi.mirror` keeps; it makes anew only what a change
can have touched, so a change costs what its services cost, however large the cluster.
"""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import attrs

from adapters.kubernetes import convert
from adapters.kubernetes.objects import Pod, ServiceObject, Slice
from adapters.platform import Problem
from kubeapi.resource import Key
from pilot.model.service import Locality, Service

T = TypeVar("T")


@attrs.frozen
class Made:
    """A service as it is now, None if there is nothing to tell of it, and what is wrong with it."""

    key: Key
    service: Service | None
    problems: tuple[Problem, ...]


@attrs.define
class _References:
    """Who refers to what: owners by name, and back."""

    owners: dict[Key, set[Key]] = attrs.field(factory=lambda: defaultdict(set))
    targets: dict[Key, frozenset[Key]] = attrs.field(factory=dict)

    def put(self, owner: Key, targets: Iterable[Key]) -> None:
        now = frozenset(targets)
        before = self.targets.get(owner, frozenset())
        for gone in before - now:
            self.owners[gone].discard(owner)
            if not self.owners[gone]:
                del self.owners[gone]
        for new in now - before:
            self.owners[new].add(owner)
        if now:
            self.targets[owner] = now
        else:
            self.targets.pop(owner, None)

    def to(self, target: Key) -> Iterable[Key]:
        return self.owners.get(target, ())


class Cluster:
    """The mappings given are of one object each, and may change between calls: `touched` says what did."""

    def __init__(
        self,
        services: Sequence[Mapping[Key, ServiceObject]],
        slices: Sequence[Mapping[Key, Slice]],
        pods: Sequence[Mapping[Key, Pod]],
        nodes: Mapping[Key, Locality],
        domain: str,
        platform: str,
    ) -> None:
        self._services, self._slices = _joined(services), _joined(slices)
        self._around = convert.Surroundings(_joined(pods), nodes, domain, platform)
        self._slices_of = _References()
        self._slices_with_pod = _References()
        self._slices_on_node = _References()
        self._pods_on_node = _References()

    def services_touched(self, keys: Iterable[Key]) -> set[Key]:
        """Services that came, changed, or went."""
        return set(keys)

    def slices_touched(self, keys: Iterable[Key]) -> set[Key]:
        """The services they belonged or belong to."""
        found: set[Key] = set()
        for key in keys:
            each = self._slices.get(key)
            found |= self._slices_of.targets.get(key, frozenset())
            self._slices_of.put(key, [each.service] if each and each.service else ())
            found |= self._slices_of.targets.get(key, frozenset())
            endpoints = each.endpoints if each else ()
            self._slices_with_pod.put(key, (e.pod for e in endpoints if e.pod))
            self._slices_on_node.put(key, (("", e.node) for e in endpoints if e.node))
        return found

    def pods_touched(self, keys: Iterable[Key]) -> set[Key]:
        """The services that have them as endpoints."""
        found: set[Key] = set()
        for key in keys:
            pod = self._around.pods.get(key)
            self._pods_on_node.put(key, [("", pod.node)] if pod and pod.node else ())
            found |= self._of_slices(self._slices_with_pod.to(key))
        return found

    def nodes_touched(self, keys: Iterable[Key]) -> set[Key]:
        """The services that have endpoints there."""
        found: set[Key] = set()
        for key in keys:
            found |= self._of_slices(self._slices_on_node.to(key))
            for pod in self._pods_on_node.to(key):
                found |= self._of_slices(self._slices_with_pod.to(pod))
        return found

    def make(self, keys: Iterable[Key]) -> Iterator[Made]:
        """These services, in the order of their keys."""
        for key in sorted(keys):
            found = self._services.get(key)
            if found is None:
                yield Made(key, None, ())
                continue
            owned = (self._slices.get(each) for each in self._slices_of.to(key))
            service, problems = convert.service(found, [each for each in owned if each is not None], self._around)
            yield Made(key, service, problems)

    def _of_slices(self, slices: Iterable[Key]) -> set[Key]:
        return {service for each in slices for service in self._slices_of.targets.get(each, ())}


def _joined(parts: Sequence[Mapping[Key, T]]) -> Mapping[Key, T]:
    """The collections of several namespaces as one."""
    return parts[0] if len(parts) == 1 else ChainMap(*(cast("dict[Key, T]", part) for part in parts))
