"""What Nomad says, as far as the mesh uses it: registrations, allocations, nodes, jobs. Pure values.

Made by `adapters.nomad.read` of Nomad's JSON, kept by `adapters.nomad.feed`, turned into the model by
`adapters.nomad.convert`. The names are Nomad's own.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from adapters.platform import Problem

ServiceName = tuple[str, str]
"""Nomad namespace and service name."""
JobName = tuple[str, str]
"""Nomad namespace and job ID."""

NOMAD, CONSUL = "nomad", "consul"


@attrs.frozen
class Registration:
    """One instance of a service, as a client registered it (/v1/service/NAME). It says nothing of its health."""

    id: str
    name: ServiceName
    alloc: str
    job: str
    node: str
    datacenter: str
    address: str
    port: int
    tags: tuple[str, ...] = ()


@attrs.frozen
class Allocation:
    """Where a task group runs, and how it is there.

    `assigned` is the index at which the servers last decided about it (AllocModifyIndex): the job that it runs is the
    newest of before. `version` is that job's, where it was told: lists tell it, events don't. `healthy` is a
    deployment's verdict of a moment, None if there was none.
    """

    id: str
    namespace: str
    job: str
    group: str
    node: str
    client_status: str
    desired_status: str
    migrate: bool = False
    canary: bool = False
    healthy: bool | None = None
    assigned: int = 0
    version: int | None = None

    @property
    def ended(self) -> bool:
        """Whether its tasks are no more: what is registered of it is a ghost."""
        return self.client_status in ("complete", "failed", "lost")

    @property
    def leaving(self) -> bool:
        """Whether Nomad decided to end it, or to have it moved from a node that is drained."""
        return self.desired_status in ("stop", "evict") or self.migrate


@attrs.frozen
class Node:
    """A client. Eligibility and drain concern what is placed next: what runs on it is told by its allocations."""

    id: str
    name: str
    datacenter: str
    status: str
    node_class: str = ""


@attrs.frozen
class Declared:
    """A service as a job declares it: its meta, which no registration carries, and how many checks Nomad runs."""

    name: str
    provider: str
    group: str
    meta: tuple[tuple[str, str], ...] = ()
    canary_meta: tuple[tuple[str, str], ...] = ()
    checks: int = 0


@attrs.frozen
class Spec:
    """One version of a job; `modified` is the index at which it was submitted (JobModifyIndex)."""

    job: JobName
    version: int
    modified: int
    parent: str = ""
    services: tuple[Declared, ...] = ()

    def service(self, name: str, group: str) -> Declared | None:
        return next((s for s in self.services if s.name == name and s.group == group), None)


@attrs.frozen
class Listing:
    """Everything, read once. Each list with Nomad's index: every change up to it is in."""

    services: Mapping[ServiceName, tuple[int, Mapping[str, Registration]]]
    services_index: int
    allocations: Mapping[str, Allocation]
    allocations_index: int
    nodes: Mapping[str, Node]
    nodes_index: int
    problems: tuple[Problem, ...] = ()


@attrs.frozen
class Registered:
    """An event: an instance was registered, or registered anew."""

    index: int
    registration: Registration


@attrs.frozen
class Deregistered:
    """An event: an instance was taken away on purpose."""

    index: int
    name: ServiceName
    id: str


@attrs.frozen
class AllocationTold:
    """An event: an allocation is another."""

    index: int
    allocation: Allocation


@attrs.frozen
class NodeTold:
    """An event: a node is another."""

    index: int
    node: Node


@attrs.frozen
class NodeGone:
    """An event: a node was purged."""

    index: int
    id: str


@attrs.frozen
class JobTold:
    """An event: a job was submitted, or is otherwise another."""

    index: int
    spec: Spec


@attrs.frozen
class Unreadable:
    """An event whose payload is not what its topic carries."""

    index: int
    problem: Problem


NomadEvent = Registered | Deregistered | AllocationTold | NodeTold | NodeGone | JobTold | Unreadable
