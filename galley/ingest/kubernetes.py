"""The objects of a Kubernetes cluster as a source of documents: all kinds of the registry that the cluster has.

Which kinds there are is asked of the API server again and again, so that a definition that comes later is noticed. Each
object is a unit of its own, named `kubernetes: KIND NAMESPACE/NAME`. Listing, watching, credentials and what of a
listing is believed are `kubeapi`'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from galley.document import Document, Fresh, Loaded, Removed, SourceEvent, Stale, Synced, Unreadable
from galley.kind import KINDS
from kubeapi.access import Access, Api
from kubeapi.errors import AbsentError, KubernetesError
from kubeapi.mirror import Changes, Mirror
from kubeapi.reading import parsed
from kubeapi.resource import MALFORMED, Json, Key, Resource

DISCOVER_EVERY = 10.0
"""Seconds between two looks at which kinds there are."""
RETRY = 1.0
PATIENCE = 300.0
_KEPT_METADATA = ("name", "namespace", "labels", "annotations", "creationTimestamp")
"""The rest changes without the object meaning anything else."""


@attrs.frozen
class Served:
    """A kind that the cluster has, in the newest version that both sides know."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def label(self) -> str:
        """In coordinates: as kubectl has it, with the group where the kind may also be Istio's (`Gateway`)."""
        return self.kind if self.group.endswith("istio.io") else f"{self.kind}.{self.group}"


@attrs.frozen
class Discovered:
    """All kinds there are."""

    served: tuple[Served, ...]


@attrs.frozen
class Undiscovered:
    """Nobody said which kinds there are."""

    reason: str


class KubernetesSource:
    """Configuration objects of a cluster, or of some of its namespaces. ValueError for files that can't be used.

    `patience`: seconds for which a listing that lacks most objects, and a kind that is gone, must stay so before it is
    believed. `discover_every`: seconds between two looks at which kinds there are.
    """

    def __init__(
        self,
        access: Access,
        namespaces: Sequence[str] = (),
        *,
        patience: float = PATIENCE,
        discover_every: float = DISCOVER_EVERY,
    ) -> None:
        access.check()
        self._api = Api(access)
        self._mirror = Mirror(self._api, patience)
        self._namespaces = tuple(dict.fromkeys(namespaces)) or ("",)
        self._patience = patience
        self._discovery = Discovery(self._api, self._mirror, discover_every)

    def watch(self) -> Iterator[SourceEvent]:
        """As the contract says; see `galley.document.Source`."""
        if self._mirror.closed:
            return
        yield from _Loop(self._mirror, self._discovery, self._namespaces, self._patience).run()

    def close(self) -> None:
        """Ends `watch`."""
        self._discovery.close()
        self._mirror.close()


class Discovery:
    """The thread that asks which kinds there are, and posts the answer to the mirror."""

    def __init__(self, api: Api, mirror: Mirror, every: float) -> None:
        self._api, self._mirror, self._every = api, mirror, every
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubernetes-discovery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._mirror.post(Discovered(tuple(discover(self._api))))
                self._closed.wait(self._every)
            except (KubernetesError, *MALFORMED) as error:
                self._mirror.post(Undiscovered(f"{error}" if isinstance(error, KubernetesError) else repr(error)))
                self._closed.wait(RETRY)


def discover(api: Api) -> Iterator[Served]:
    """The kinds of the registry that the server has. A group that it does not know has none; KubernetesError else."""
    for group in sorted({kind.group for kind in KINDS}):
        wanted = [kind for kind in KINDS if kind.group == group]
        try:
            served = _versions(parsed(api.get(f"/apis/{group}")))
        except AbsentError:
            continue
        known = [each for each in served if any(each in kind.versions for kind in wanted)]
        plurals = {each: _plurals(parsed(api.get(f"/apis/{group}/{each}"))) for each in known}
        for kind in wanted:
            # A version of the group need not be one of the kind.
            version = next((v for v in reversed(kind.versions) if kind.name in plurals.get(v, {})), None)
            if version is not None:
                yield Served(kind.name, group, version, *plurals[version][kind.name])


def _versions(found: Any) -> Iterable[str]:
    return [str(each["version"]) for each in found.get("versions") or ()]


def _plurals(found: Any) -> Mapping[str, tuple[str, bool]]:
    """By kind, its plural and whether it lives in namespaces; names with a slash are parts of objects."""
    resources = [each for each in found.get("resources") or () if "/" not in str(each["name"])]
    return {str(each["kind"]): (str(each["name"]), bool(each.get("namespaced"))) for each in resources}


class _Loop:
    """The life of one watch."""

    def __init__(self, mirror: Mirror, discovery: Discovery, namespaces: Sequence[str], patience: float) -> None:
        self._mirror, self._discovery = mirror, discovery
        self._namespaces, self._patience = namespaces, patience
        self._resources: dict[Served, tuple[Resource[Json], ...]] = {}
        self._gone: dict[Served, float] = {}
        self._told: dict[str, Json | Unreadable] = {}
        self._discovered = False
        self._undiscovered = ""
        self._reason = ""
        self._synced = False

    def run(self) -> Iterator[SourceEvent]:
        """All events, until the mirror is closed."""
        self._discovery.start()
        try:
            while True:
                changes, posted = self._mirror.wait()
                if self._mirror.closed:
                    return
                for each in posted:
                    self._take(each)
                yield from self._tell(self._touched(changes) | self._expired())
                yield from self._status()
        finally:
            self._discovery.close()
            self._mirror.end()

    def _take(self, posted: object) -> None:
        if isinstance(posted, Undiscovered):
            self._undiscovered = posted.reason
        elif isinstance(posted, Discovered):
            self._undiscovered, self._discovered = "", True
            for served in posted.served:
                self._gone.pop(served, None)
                if served not in self._resources:
                    namespaces = self._namespaces if served.namespaced else ("",)
                    self._resources[served] = tuple(self._resource(served, each) for each in namespaces)
            for served in self._resources.keys() - set(posted.served):
                self._gone.setdefault(served, time.monotonic())

    def _resource(self, served: Served, namespace: str) -> Resource[Json]:
        def decode(item: Json) -> Json:
            return body(served, item)

        found = Resource(served.group, served.version, served.plural, decode, namespace)
        self._mirror.add(found)
        return found

    def _touched(self, changes: Changes) -> set[tuple[str, Key]]:
        labels = {resource: served.label for served, each in self._resources.items() for resource in each}
        return {(labels[resource], key) for resource, keys in changes.items() if resource in labels for key in keys}

    def _expired(self) -> set[tuple[str, Key]]:
        """What kinds held that have been gone for long, were empty, or are there in another version by now."""
        touched: set[tuple[str, Key]] = set()
        for served, since in list(self._gone.items()):
            keys = {key for each in self._resources[served] for key in self._mirror.objects(each)}
            if keys and time.monotonic() < since + self._patience and not self._replaced(served):
                continue
            for each in self._resources.pop(served):
                self._mirror.remove(each)
            del self._gone[served]
            touched |= {(served.label, key) for key in keys}
        return touched

    def _replaced(self, gone: Served) -> bool:
        same = [r for s, r in self._resources.items() if s != gone and s.label == gone.label]
        return any(all(self._mirror.is_loaded(each) for each in resources) for resources in same)

    def _tell(self, touched: Iterable[tuple[str, Key]]) -> Iterator[SourceEvent]:
        """Differences; what is new before what is gone."""
        removed: list[str] = []
        for label, key in sorted(touched):
            unit = unit_name(label, key)
            now = self._current(label, key)
            if now is None:
                removed += [unit] if unit in self._told else []
            elif self._told.get(unit) != now:
                self._told[unit] = now
                yield now if isinstance(now, Unreadable) else Loaded(unit, (Document(unit, now, {}),))
        for unit in removed:
            del self._told[unit]
            yield Removed(unit)

    def _current(self, label: str, key: Key) -> Json | Unreadable | None:
        """What the cluster says of an object, in the newest version if its kind changes version right now."""
        unit = unit_name(label, key)
        for served, resources in reversed(self._resources.items()):
            for resource in resources if served.label == label else ():
                broken = self._mirror.broken(resource).get(key)
                if broken is not None:
                    return Unreadable(unit, unit, broken.message, broken.mend)
                found = self._mirror.objects(resource).get(key)
                if found is not None:
                    return found
        return None

    def _status(self) -> Iterator[SourceEvent]:
        reasons = [f"kinds are not known: {self._undiscovered}"] if self._undiscovered else []
        # Said as soon as it is seen: whoever watches the kind may take longer to hear of it than we hold its objects.
        absent = [f"this cluster has no {each.path}" for served in self._gone for each in self._resources[served]]
        reason = "; ".join(dict.fromkeys([*reasons, *absent, *self._mirror.trouble()]))
        told = self._discovered and self._mirror.loaded
        if reason != self._reason and (reason or told):
            self._reason = reason
            yield Stale(reason) if reason else Fresh()
        if not self._synced and told:
            self._synced = True
            yield Synced()


def unit_name(label: str, key: Key) -> str:
    """The coordinates of an object: `kubernetes: VirtualService default/reviews`."""
    namespace, name = key
    return f"kubernetes: {label} {namespace}/{name}" if namespace else f"kubernetes: {label} {name}"


def body(served: Served, item: Json) -> Json:
    """The document that an object is: without what only Kubernetes itself is concerned with."""
    metadata = {name: item["metadata"][name] for name in _KEPT_METADATA if name in item["metadata"]}
    rest = {name: value for name, value in item.items() if name not in ("metadata", "status")}
    return {**rest, "apiVersion": f"{served.group}/{served.version}", "kind": served.kind, "metadata": metadata}
