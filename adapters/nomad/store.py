"""What Nomad was last heard to say, with who depends on what. Pure.

Kept by `adapters.nomad.feed`, which decides when an answer or an event is taken in. Every method that takes something
in returns the services whose instances may be others by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import attrs

from adapters.nomad.convert import Around
from adapters.nomad.facts import (
    NOMAD,
    Allocation,
    AllocationTold,
    Deregistered,
    JobName,
    JobTold,
    Listing,
    Node,
    NodeGone,
    NodeTold,
    NomadEvent,
    Registered,
    Registration,
    ServiceName,
    Spec,
)

Names = frozenset[ServiceName]
K = TypeVar("K")
_NONE: Names = frozenset()
KEPT_VERSIONS = 6
"""As many as Nomad itself keeps of a job by default (job_tracked_versions)."""


@attrs.define
class Store:
    """Registrations by service, allocations, nodes, and jobs' versions in the order in which they were submitted."""

    services: dict[ServiceName, dict[str, Registration]] = attrs.field(factory=dict)
    allocations: dict[str, Allocation] = attrs.field(factory=dict)
    nodes: dict[str, Node] = attrs.field(factory=dict)
    jobs: dict[JobName, tuple[Spec, ...]] = attrs.field(factory=dict)
    checks: dict[str, Mapping[str, tuple[str, ...]]] = attrs.field(factory=dict)
    unknown_jobs: set[JobName] = attrs.field(factory=set)
    """Jobs with registrations of which nothing was read."""
    _of_alloc: dict[str, set[ServiceName]] = attrs.field(factory=dict)
    _of_node: dict[str, set[ServiceName]] = attrs.field(factory=dict)
    _of_job: dict[JobName, set[ServiceName]] = attrs.field(factory=dict)

    def replace(self, listing: Listing) -> None:
        """Everything was listed. Jobs and results of checks that are known stay, for what is still there."""
        self.services = {name: dict(found) for name, (_, found) in listing.services.items() if found}
        self.allocations = dict(listing.allocations)
        self.nodes = dict(listing.nodes)
        self._of_alloc.clear()
        self._of_node.clear()
        self._of_job.clear()
        for found in self.services.values():
            for registration in found.values():
                self._index(registration)
        self.jobs = {job: specs for job, specs in self.jobs.items() if job in self._of_job}
        self.unknown_jobs = self._of_job.keys() - self.jobs.keys()
        self.checks = {alloc: results for alloc, results in self.checks.items() if alloc in self._of_alloc}

    def apply(self, event: NomadEvent) -> Names:
        """One event happened."""
        match event:
            case Registered(_, registration):
                return self._register(registration)
            case Deregistered(_, name, identity):
                return self._deregister(name, identity)
            case AllocationTold(_, allocation):
                return self._allocate(allocation)
            case NodeTold(_, node):
                before, self.nodes[node.id] = self.nodes.get(node.id), node
                return _NONE if before == node else self._names(self._of_node, node.id)
            case NodeGone(_, identity):
                return self._names(self._of_node, identity) if self.nodes.pop(identity, None) else _NONE
            case JobTold(_, spec):
                return self.learn(spec.job, (spec,)) if self._is_of_use(spec) else _NONE
        return _NONE

    def learn(self, job: JobName, specs: Iterable[Spec]) -> Names:
        """Versions of a job; those that are known stay."""
        self.unknown_jobs.discard(job)
        known = {spec.version: spec for spec in self.jobs.get(job, ())}
        merged = known | {spec.version: spec for spec in specs}
        if merged == known and job in self.jobs:
            return _NONE
        self.jobs[job] = tuple(sorted(merged.values(), key=lambda spec: spec.modified))[-KEPT_VERSIONS:]
        return self._names(self._of_job, job)

    def results(self, alloc: str, results: Mapping[str, tuple[str, ...]]) -> Names:
        """The checks of an allocation were read. `pending` says nothing: what was told last holds."""
        before = self.checks.get(alloc, {})
        kept = {name: _told(before.get(name), statuses) for name, statuses in results.items()}
        now = {name: statuses for name, statuses in kept.items() if statuses is not None}
        if alloc not in self._of_alloc or now == before:
            return _NONE
        self.checks[alloc] = now
        return frozenset(name for name in self._of_alloc[alloc] if now.get(name[1]) != before.get(name[1]))

    def around(self, registration: Registration) -> Around | None:
        """What is known around a registration; None if its allocation or job is not known, or its tasks ended."""
        allocation = self.allocations.get(registration.alloc)
        if allocation is None or allocation.ended:
            return None
        job = (allocation.namespace, allocation.job)
        if job not in self.jobs:
            return None
        return Around(
            allocation,
            self.nodes.get(allocation.node),
            spec_of(allocation, self.jobs[job]),
            self.checks.get(allocation.id, {}).get(registration.name[1]),
        )

    def is_renamed(self, node: Node) -> bool:
        """Whether a node goes by another name than before, or was not known."""
        before = self.nodes.get(node.id)
        return before is None or before.name != node.name

    def spec(self, allocation: Allocation) -> Spec | None:
        """The version of its job that an allocation runs, if it is known: jobs without native services are not read."""
        specs = self.jobs.get((allocation.namespace, allocation.job), ())
        return spec_of(allocation, specs) if specs else None

    def is_native_only(self, allocation: Allocation) -> bool:
        """Whether all services of an allocation are known to be registered in Nomad itself."""
        spec = self.spec(allocation)
        if allocation.id not in self._of_alloc or spec is None:
            return False
        return all(each.provider == NOMAD for each in spec.services if each.group == allocation.group)

    def outdated_jobs(self) -> frozenset[JobName]:
        """Jobs with registrations of which another version runs than those that were read."""
        told = {
            (allocation.namespace, allocation.job, allocation.version)
            for alloc in self._of_alloc
            if (allocation := self.allocations.get(alloc)) is not None and allocation.version is not None
        }
        known = {(*job, spec.version) for job, specs in self.jobs.items() for spec in specs}
        return frozenset((namespace, job) for namespace, job, _ in told - known) & self._of_job.keys()

    def runs_checks(self, alloc: str) -> bool:
        """Whether there is reason to ask for the checks of an allocation."""
        allocation = self.allocations.get(alloc)
        return alloc in self._of_alloc and allocation is not None and not allocation.ended

    def _is_of_use(self, spec: Spec) -> bool:
        """Jobs without services don't matter; one that had some, or runs some, does."""
        return bool(spec.services) or spec.job in self.jobs or spec.job in self._of_job

    def _register(self, registration: Registration) -> Names:
        there = self.services.setdefault(registration.name, {})
        if there.get(registration.id) == registration:
            return _NONE
        there[registration.id] = registration
        self._index(registration)
        return frozenset((registration.name,))

    def _deregister(self, name: ServiceName, identity: str) -> Names:
        there = self.services.get(name, {})
        gone = there.pop(identity, None)
        if gone is None:
            return _NONE
        if not there:
            del self.services[name]
        self._unindex(gone, there.values())
        return frozenset((name,))

    def _allocate(self, allocation: Allocation) -> Names:
        before = self.allocations.get(allocation.id)
        if before is not None and allocation.version is None and _runs_the_same(before, allocation):
            allocation = attrs.evolve(allocation, version=before.version)
        self.allocations[allocation.id] = allocation
        names = self._names(self._of_alloc, allocation.id)
        if allocation.ended and not names:
            # Nothing depends on it: kept, it would be kept until the next listing.
            del self.allocations[allocation.id]
        return _NONE if before == allocation else names

    def _index(self, registration: Registration) -> None:
        name = registration.name
        self._of_alloc.setdefault(registration.alloc, set()).add(name)
        self._of_node.setdefault(registration.node, set()).add(name)
        job = (name[0], registration.job)
        self._of_job.setdefault(job, set()).add(name)
        if job not in self.jobs:
            self.unknown_jobs.add(job)

    def _unindex(self, gone: Registration, left: Iterable[Registration]) -> None:
        """Forget who depends on what, where no other instance of the service does."""
        rest = tuple(left)
        job = (gone.name[0], gone.job)
        if all(other.alloc != gone.alloc for other in rest) and self._drop(self._of_alloc, gone.alloc, gone.name):
            self.checks.pop(gone.alloc, None)
            if (allocation := self.allocations.get(gone.alloc)) is not None and allocation.ended:
                del self.allocations[gone.alloc]
        if all(other.node != gone.node for other in rest):
            self._drop(self._of_node, gone.node, gone.name)
        if all(other.job != gone.job for other in rest) and self._drop(self._of_job, job, gone.name):
            self.unknown_jobs.discard(job)

    @staticmethod
    def _drop(index: dict[K, set[ServiceName]], key: K, name: ServiceName) -> bool:
        """Whether nothing is left under the key."""
        names = index.get(key, set())
        names.discard(name)
        if not names:
            index.pop(key, None)
        return not names

    @staticmethod
    def _names(index: Mapping[K, set[ServiceName]], key: K) -> Names:
        return frozenset(index.get(key, ()))


def spec_of(allocation: Allocation, specs: tuple[Spec, ...]) -> Spec | None:
    """The version that an allocation runs: as it was told, else the newest that was there when it was assigned."""
    told = next((spec for spec in specs if spec.version == allocation.version), None)
    if told is not None:
        return told
    before = [spec for spec in specs if spec.modified <= allocation.assigned]
    return before[-1] if before else next(iter(specs), None)


def _runs_the_same(before: Allocation, after: Allocation) -> bool:
    """Whether the servers did not give it another version since: they did not decide, or decided to end it."""
    return before.assigned == after.assigned or after.desired_status != "run"


def _told(before: tuple[str, ...] | None, statuses: tuple[str, ...]) -> tuple[str, ...] | None:
    """The statuses that count: new ones, unless they only say that nothing is known yet."""
    if all(status == "pending" for status in statuses):
        return before
    return tuple(sorted(statuses))
