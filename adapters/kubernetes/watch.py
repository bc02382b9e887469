"""The Kubernetes platform: Services with the pods behind them, of a whole cluster or of some namespaces.

Used by `mesh_adapter` through `adapters.platform`. Here are the options, and the loop that turns what `kubeapi.mirror`
says changed into events; what becomes what is `adapters.kubernetes.convert`'s, and docs/reference/kubernetes.md's.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adapters.kubernetes import convert, objects
from adapters.kubernetes.options import KubernetesOptions
from adapters.kubernetes.state import Cluster
from adapters.platform import Event, Problem, Synced
from adapters.tell import Told
from kubeapi.access import Access, Api
from kubeapi.mirror import Changes, Mirror, explained
from kubeapi.resource import Broken, Key, Resource
from pilot.model.service import Locality

_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_EVERYWHERE = ("",)


class KubernetesPlatform:
    """Watches an API server. ValueError for an option that can't be carried out; connects to nothing yet."""

    judges_losses = True
    """By listings: a second one has to say the same."""

    def __init__(self, options: KubernetesOptions, name: str = "kubernetes") -> None:
        if not _DOMAIN.fullmatch(options.domain):
            raise ValueError(f"domain is {options.domain!r}: write a DNS name such as cluster.local")
        for namespace in options.namespaces:
            if not _NAMESPACE.fullmatch(namespace):
                raise ValueError(f"namespace is {namespace!r}: write lower case letters, digits and dashes, at most 63")
        if options.empty_hold < 0:
            raise ValueError(f"empty_hold is {options.empty_hold:g} s: write 0 to switch it off")
        access = Access(options.kubeconfig, options.context)
        access.check()
        self.name = name
        self._api = Api(access)
        self._domain = options.domain
        self._mirror = Mirror(self._api, options.empty_hold)
        self._namespaces = tuple(dict.fromkeys(options.namespaces)) or _EVERYWHERE
        self._lock = threading.Lock()
        self._closed = False

    def watch(self) -> Iterator[Event]:
        """The events of `adapters.platform.Platform.watch`."""
        with self._lock:
            if self._closed:
                return
            loop = _Loop(self._mirror, self._api, self._namespaces, self._domain, self.name)
        yield from loop.run()

    def close(self) -> None:
        """End the watch; from any thread, more than once."""
        with self._lock:
            self._closed = True
        self._mirror.close()


class _Loop:
    """The life of one watch."""

    def __init__(self, mirror: Mirror, api: Api, namespaces: Sequence[str], domain: str, platform: str) -> None:
        self._mirror, self._api = mirror, api
        self._domain = domain
        v1, discovery = "v1", "discovery.k8s.io"
        self._services = [Resource("", v1, "services", objects.service, each) for each in namespaces]
        self._slices = [Resource(discovery, v1, "endpointslices", objects.endpoint_slice, each) for each in namespaces]
        self._pods = [Resource("", v1, "pods", objects.pod, each) for each in namespaces]
        self._nodes: Resource[Locality] = Resource("", v1, "nodes", objects.node, essential=False)
        everything: tuple[Resource[Any], ...] = (*self._services, *self._slices, *self._pods, self._nodes)
        for resource in everything:
            mirror.add(resource)
        self._cluster = Cluster(
            [mirror.objects(each) for each in self._services],
            [mirror.objects(each) for each in self._slices],
            [mirror.objects(each) for each in self._pods],
            mirror.objects(self._nodes),
            domain,
            platform,
        )
        self._told = Told()
        self._touched: set[Key] = set()
        self._synced = False

    def run(self) -> Iterator[Event]:
        """All events, until the mirror is closed."""
        try:
            while True:
                changes, _ = self._mirror.wait()
                if self._mirror.closed:
                    return
                self._touch(changes)
                if self._mirror.loaded:
                    yield from self._tell()
                yield from self._status(changes)
        finally:
            self._mirror.end()

    def _touch(self, changes: Changes) -> None:
        """Slices before what refers to services by them."""
        for resources, touched in (
            (self._slices, self._cluster.slices_touched),
            (self._pods, self._cluster.pods_touched),
            ([self._nodes], self._cluster.nodes_touched),
            (self._services, self._cluster.services_touched),
        ):
            for resource in resources:
                if resource in changes:
                    self._touched |= touched(changes[resource])

    def _tell(self) -> Iterator[Event]:
        touched, self._touched = self._touched, set()
        for made in self._cluster.make(touched):
            yield from self._told.service("/".join(made.key), [made.service] if made.service else [], made.problems)

    def _status(self, changes: Changes) -> Iterator[Event]:
        """Broken objects, Stale or Fresh, and Synced when the time has come."""
        for resource in changes:
            for key in changes[resource]:
                yield from self._told.problems(
                    f"{resource} {key}", _broken(resource, key, self._mirror.broken(resource))
                )
        yield from self._told.problems("nodes", self._nodes_unread())
        trouble = self._mirror.trouble()
        if trouble or self._mirror.loaded:  # else not fresh yet: what is still being listed was not told
            yield from self._told.stale(trouble)
        if not self._synced and self._mirror.loaded:
            self._synced = True
            yield Synced()

    def _nodes_unread(self) -> Sequence[Problem]:
        error = self._mirror.errors().get(self._nodes)
        if error is None:
            return ()
        mend = "localities are as last known; without nodes they are the zones that slices name"
        return (Problem("kubernetes nodes", explained(self._nodes, error, self._api), mend),)


_KINDS = {"services": "Service", "endpointslices": "EndpointSlice", "pods": "Pod", "nodes": "Node"}


def _broken(resource: Resource[object], key: Key, broken: Mapping[Key, Broken]) -> tuple[Problem, ...]:
    found = broken.get(key)
    if found is None:
        return ()
    mend = f"{found.mend}; its last good state stays in force" if found.mend else "its last good state stays in force"
    return (Problem(convert.where(_KINDS[resource.plural], key), found.message, mend),)
