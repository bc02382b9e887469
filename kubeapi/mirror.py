"""What the API server has of some resources, kept as it is: the one object that users of this package drive.

`adapters.kubernetes.watch` and `galley.ingest.kubernetes` each run one in the thread of their `watch`. Reflectors
report from threads of their own; here their reports become collections, and are said to be changes.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping
from typing import Any

import attrs

from kubeapi.access import Api
from kubeapi.collection import Collection, held_reason
from kubeapi.errors import AbsentError, DeniedError, ForbiddenError, KubernetesError
from kubeapi.reflector import Changed, Failed, Listed, Reflector
from kubeapi.resource import Broken, Key, Resource, T

WAKE_EVERY = 5.0
BATCH = 2000
"""So many reports are taken in at most before what they changed is told."""
JOIN = 1.0

Changes = Mapping[Resource[Any], frozenset[Key]]


@attrs.define(eq=False)
class _Mirrored:
    """A resource, who reads it, what is believed of it, and what is wrong with reading it now."""

    resource: Resource[Any]
    reflector: Reflector[Any]
    collection: Collection[Any]
    error: KubernetesError | None = None
    confirming: bool = False


class Mirror:
    """Not thread-safe, but for `close` and `post`. `patience`: see `kubeapi.collection.Collection`."""

    def __init__(self, api: Api, patience: float) -> None:
        self._api = api
        self._patience = patience
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._mirrored: dict[Resource[Any], _Mirrored] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def add(self, resource: Resource[Any]) -> None:
        """Begin to mirror it."""
        reflector = Reflector(self._api, resource, self._queue.put)
        self._mirrored[resource] = _Mirrored(resource, reflector, Collection(self._patience))
        reflector.start()

    def remove(self, resource: Resource[Any]) -> None:
        """Mirror it no longer, and forget its objects."""
        self._mirrored.pop(resource).reflector.close()

    def post(self, report: object) -> None:
        """Have `wait` return this among the reports that are not ours; from any thread."""
        self._queue.put(report)

    def close(self) -> None:
        """End all; from any thread, more than once."""
        self._closed = True
        self._api.close()
        self._queue.put(None)

    def end(self) -> None:
        """Wait for the reflectors to end; in the thread that drives this, at last."""
        self.close()
        for each in self._mirrored.values():
            each.reflector.close()
        deadline = time.monotonic() + JOIN
        for each in self._mirrored.values():
            each.reflector.join(max(0.0, deadline - time.monotonic()))

    def objects(self, resource: Resource[T]) -> Mapping[Key, T]:
        """What is believed of it now; the same mapping all the time."""
        found: Mapping[Key, T] = self._mirrored[resource].collection.objects
        return found

    def broken(self, resource: Resource[Any]) -> Mapping[Key, Broken]:
        """Its objects that can't be used as they are now."""
        return self._mirrored[resource].collection.broken

    @property
    def loaded(self) -> bool:
        """Whether everything was read once; what may not be read and is not essential is not waited for."""
        return all(m.collection.loaded or (m.error and not m.resource.essential) for m in self._mirrored.values())

    def is_loaded(self, resource: Resource[Any]) -> bool:
        return self._mirrored[resource].collection.loaded

    def errors(self) -> Mapping[Resource[Any], KubernetesError]:
        """Resources that can't be read now."""
        return {m.resource: m.error for m in self._mirrored.values() if m.error is not None}

    def trouble(self) -> list[str]:
        """Why what is believed may not be current, without the same said twice; empty if it is."""
        reasons = [explained(r, error, self._api) for r, error in self.errors().items() if r.essential]
        held = held_reason(((str(m.resource), len(m.collection.held)) for m in self._mirrored.values()), self._patience)
        return list(dict.fromkeys([*reasons, *([held] if held else [])]))

    def wait(self) -> tuple[Changes, list[object]]:
        """What changed, after waiting for a report; and posted reports. Both may be empty."""
        changes: dict[Resource[Any], frozenset[Key]] = {}
        others: list[object] = []
        now = time.monotonic()
        for report in self._reports(self._confirm(now) - now):
            changed = self._take(report, others)
            if changed is not None:
                resource, keys = changed
                changes[resource] = changes.get(resource, frozenset()) | keys
        return changes, others

    def _reports(self, timeout: float) -> list[object]:
        found: list[object] = []
        try:
            found.append(self._queue.get(timeout=max(0.0, timeout)))
            while len(found) < BATCH:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return found

    def _take(self, report: object, others: list[object]) -> tuple[Resource[Any], frozenset[Key]] | None:
        if not isinstance(report, Listed | Changed | Failed):
            others += [report] if report is not None else []
            return None
        mirrored = self._mirrored.get(report.resource)
        if mirrored is None:
            return None
        collection = mirrored.collection
        match report:
            case Listed():
                mirrored.error, mirrored.confirming = None, False
                return report.resource, collection.listed(report.objects, time.monotonic())
            case Changed():
                news = collection.changed(report.key, report.value)
                return (report.resource, frozenset([report.key])) if news else None
            case Failed():
                mirrored.error, mirrored.confirming = report.error, False
                collection.interrupted(time.monotonic())
                return None

    def _confirm(self, now: float) -> float:
        """Have listed again what is due for it; the time at which to look next."""
        due = now + WAKE_EVERY
        for mirrored in self._mirrored.values():
            at = mirrored.collection.confirm_at
            if at is None or mirrored.confirming or mirrored.error is not None:
                continue
            if at <= now:
                mirrored.confirming = True
                mirrored.reflector.list_again()
            else:
                due = min(due, at)
        return due


def explained(resource: Resource[Any], error: KubernetesError, api: Api) -> str:
    """The error in an operator's words."""
    match error:
        case ForbiddenError():
            mend = "allow it get, list and watch, as deploy/kubernetes/rbac.yaml does"
            return f"{resource} may not be read by {api.access}: {mend} ({error})"
        case AbsentError():
            return f"this cluster has no {resource.path}"
        case DeniedError():
            return f"credentials are not accepted: {error}"
        case _:
            return str(error)
