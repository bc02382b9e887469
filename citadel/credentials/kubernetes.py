"""Secrets of a Kubernetes cluster, or of some of its namespaces, listed and watched.

Only those with keys of `NAMES` are kept, and of those only these keys: tokens, passwords and the like are let go as
they are read. The rights are `list` and `watch` on secrets of the namespaces that are named (deploy/kubernetes).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence

from citadel.credentials import NAMES, Broken, Event, Found, Fresh, Gone, Stale, Synced
from kubeapi.access import Access, Api
from kubeapi.mirror import Mirror
from kubeapi.resource import BrokenError, Json, Key, Resource

PATIENCE = 300.0
_USABLE = frozenset(NAMES)


class KubernetesSource:
    """ValueError for credentials of the cluster that can't be used. `patience`: see `kubeapi.collection.Collection`."""

    def __init__(self, access: Access, namespaces: Sequence[str] = (), *, patience: float = PATIENCE) -> None:
        access.check()
        self._mirror = Mirror(Api(access), patience)
        names = tuple(dict.fromkeys(namespaces)) or ("",)
        self._resources = tuple(Resource("", "v1", "secrets", material, namespace) for namespace in names)
        self._told: dict[Key, Found | Broken] = {}
        self._reason = ""
        self._synced = False

    def watch(self) -> Iterator[Event]:
        """As the contract says; see `citadel.credentials.SecretSource`."""
        for resource in self._resources:
            self._mirror.add(resource)
        try:
            while True:
                changes, _ = self._mirror.wait()
                if self._mirror.closed:
                    return
                for resource, keys in changes.items():
                    for key in sorted(keys):
                        yield from self._tell(resource, key)
                yield from self._status()
        finally:
            self._mirror.end()

    def close(self) -> None:
        self._mirror.close()

    def _tell(self, resource: Resource[Mapping[str, bytes]], key: Key) -> Iterator[Event]:
        now = self._current(resource, key)
        if now is None:
            if self._told.pop(key, None) is not None:
                yield Gone(*key)
        elif self._told.get(key) != now:
            self._told[key] = now
            yield now

    def _current(self, resource: Resource[Mapping[str, bytes]], key: Key) -> Found | Broken | None:
        where = f"kubernetes: Secret {key[0]}/{key[1]}"
        broken = self._mirror.broken(resource).get(key)
        if broken is not None:
            return Broken(*key, where, f"{broken.message}: {broken.mend}")
        data = self._mirror.objects(resource).get(key)
        return Found(*key, data, where) if data else None

    def _status(self) -> Iterator[Event]:
        reason = "; ".join(self._mirror.trouble())
        if reason != self._reason:
            self._reason = reason
            yield Stale(reason) if reason else Fresh()
        if not self._synced and self._mirror.loaded and not reason:
            self._synced = True
            yield Synced()


def material(item: Json) -> Mapping[str, bytes]:
    """What of a Secret is ours; nothing of one that is not for TLS."""
    given = item.get("data") or {}
    try:
        return {key: base64.b64decode(given[key], validate=True) for key in NAMES if key in given}
    except (binascii.Error, TypeError, ValueError):
        raise BrokenError("its data is not base64", "write it anew") from None
