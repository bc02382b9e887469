"""What others are told of allocations, whose services are in another registry."""

from __future__ import annotations

from typing import Any

import attrs

from adapters.nomad.checks import Checks
from adapters.nomad.facts import Allocation, AllocationTold, Declared, Listing, Node, NodeTold, Registration, Spec
from adapters.nomad.feed import Feed
from adapters.platform import Workload, Workloads
from pilot.model.service import labels

NODE = Node("n1", "worker", "dc1", "ready")


def alloc(identity: str = "a1", **changed: Any) -> Allocation:
    made = Allocation(identity, "default", "shop", "g", "n1", "running", "run", assigned=1, version=0)
    return attrs.evolve(made, **changed)


def workload(identity: str = "a1", node: str = "worker", canary: str = "false", **more: Any) -> Workload:
    known = {"nomad.alloc": identity, "nomad.group": "g", "nomad.job": "shop", "nomad.node": node, "canary": canary}
    return Workload(identity, labels(known), **({"service_account": "shop"} | more))


def feed(*allocations: Allocation, registrations: tuple[Registration, ...] = ()) -> Feed:
    made = Feed("global", "nomad", 10.0, Checks(2.0, 50.0))
    made.opened(0.0)
    assert made.list_due(0.0)
    listed(made, *allocations, registrations=registrations)
    return made


def listed(made: Feed, *allocations: Allocation, registrations: tuple[Registration, ...] = ()) -> None:
    services = {each.name: (10, {each.id: each}) for each in registrations}
    made.listed(Listing(services, 10, {each.id: each for each in allocations}, 10, {"n1": NODE}, 10), 0.0)


def test_all_that_runs_is_told_once_and_then_what_is_different() -> None:
    made = feed(alloc(), alloc("a2", client_status="complete"))
    assert made.workloads() == Workloads((workload(),))
    assert made.workloads() is None
    made.heard([AllocationTold(11, alloc(healthy=True))], 1.0)
    assert made.workloads() is None
    made.heard([AllocationTold(12, alloc(canary=True, job="shop/dispatch-1", migrate=True))], 1.0)
    told = workload(canary="true", leaving=True)
    told = attrs.evolve(told, labels=labels({**dict(told.labels), "nomad.job": "shop/dispatch-1"}))
    assert made.workloads() == Workloads((told,))


def test_one_that_ended_is_told_as_leaving_for_the_last_time() -> None:
    made = feed(alloc())
    made.workloads()
    made.heard([AllocationTold(11, alloc(client_status="failed"))], 1.0)
    assert made.workloads() == Workloads((workload(leaving=True),), ("a1",))
    made.heard([AllocationTold(12, alloc(client_status="failed"))], 1.0)
    assert made.workloads() is None


def test_one_that_is_only_not_listed_any_more_is_gone_with_nothing_said_of_it() -> None:
    made = feed(alloc(), alloc("a2"))
    made.workloads()
    made.opened(1.0)
    assert made.list_due(1.0)
    listed(made, alloc("a2", client_status="complete"))
    assert made.workloads() == Workloads((workload("a2", leaving=True),), ("a1", "a2"))
    assert made.no_workloads() is None


def test_the_name_of_a_node_that_is_told_later_is_told() -> None:
    made = feed(alloc(node="n2"))
    assert made.workloads() == Workloads((workload(node="n2"),))
    made.heard([NodeTold(11, Node("n2", "other", "dc1", "ready"))], 1.0)
    assert made.workloads() == Workloads((workload(node="other"),))
    assert made.no_workloads() == Workloads(gone=("a1",))


def test_native_services_need_no_other_platform() -> None:
    registered = Registration("r", ("default", "shop"), "a1", "shop", "n1", "dc1", "10.0.0.1", 80)
    made = feed(alloc(), registrations=(registered,))
    made.job_read(
        ("default", "shop"), (Spec(("default", "shop"), 0, 1, services=(Declared("shop", "nomad", "g"),)),), 0.0
    )
    assert made.workloads() is None
    both = (Declared("shop", "nomad", "g"), Declared("admin", "consul", "g"))
    mixed = feed(alloc(), registrations=(registered,))
    mixed.job_read(("default", "shop"), (Spec(("default", "shop"), 0, 1, services=both),), 0.0)
    assert mixed.workloads() == Workloads((workload(),))
