"""What other platforms may be told of allocations: services that Nomad registers in Consul are Consul's to tell. Pure.

Kept by `adapters.nomad.feed`. Consul knows such instances and their checks; of which job they are, which are canaries
and which are about to end, Nomad alone knows. `adapters.merge` lays the one over the other.
"""

from __future__ import annotations

import attrs

from adapters.nomad import convert
from adapters.nomad.facts import Allocation
from adapters.nomad.store import Store
from adapters.platform import Workload, Workloads
from pilot.model.service import labels


@attrs.define
class Runs:
    """The allocations that were told, and those to be looked at since."""

    _told: dict[str, Workload] = attrs.field(factory=dict)
    _ended: dict[str, Allocation] = attrs.field(factory=dict)
    _touched: set[str] = attrs.field(factory=set)

    def touch(self, allocation: Allocation) -> None:
        """An event told of it. One that ended may be forgotten by the store before it is told of."""
        self._touched.add(allocation.id)
        if allocation.ended and allocation.id in self._told:
            self._ended[allocation.id] = allocation

    def touch_all(self, store: Store) -> None:
        """Everything was listed, or a node goes by another name."""
        self._touched.update(store.allocations, self._told)

    def take(self, store: Store) -> Workloads | None:
        """What is different from what was told; None if nothing is.

        One that ended is told as leaving once more: its registry may still list it. One that is only not listed any
        more is gone with nothing said of it.
        """
        told: list[Workload] = []
        gone: list[str] = []
        for identity in sorted(self._touched):
            allocation = store.allocations.get(identity)
            if allocation is None or allocation.ended:
                last = self._ended.get(identity, allocation)
                before = self._told.pop(identity, None)
                if before is None:
                    continue
                gone.append(identity)
                if last is not None:
                    told.append(attrs.evolve(before, leaving=True))
            elif not store.is_native_only(allocation):
                found = workload(allocation, store)
                if found != self._told.get(identity):
                    self._told[identity] = found
                    told.append(found)
        self._touched.clear()
        self._ended.clear()
        return Workloads(tuple(told), tuple(gone)) if told or gone else None

    def forget(self) -> Workloads | None:
        """All of it, since nobody listens to this region any more; None if nothing was told."""
        gone, self._told = tuple(sorted(self._told)), {}
        return Workloads(gone=gone) if gone else None


def workload(allocation: Allocation, store: Store) -> Workload:
    """An allocation as other platforms' endpoints are told of it: labels and account as a native service's."""
    spec = store.spec(allocation)
    return Workload(
        id=allocation.id,
        labels=labels(convert.known_labels(allocation, store.nodes.get(allocation.node))),
        leaving=allocation.leaving,
        service_account=convert.service_account({}, allocation.job, spec.parent if spec else ""),
    )
