"""One feed, rule by rule: lists and events, gaps, repetitions, restarts, ghosts, what is held (N1, N2, N6 to N9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from adapters.nomad.checks import Checks
from adapters.nomad.facts import (
    Allocation,
    AllocationTold,
    Declared,
    Deregistered,
    JobTold,
    Listing,
    Node,
    NodeGone,
    NodeTold,
    Registered,
    Registration,
    Spec,
    Unreadable,
)
from adapters.nomad.feed import RELIST_EVERY, RELIST_SOONEST, Feed
from adapters.platform import Problem
from pilot.model.service import Health

WEB, DB = ("default", "web"), ("default", "db")
PATIENCE = 10.0


def alloc(identity: str, job: str = "web", **changed: Any) -> Allocation:
    made = Allocation(identity, "default", job, "g", "n1", "running", "run", assigned=1, version=0)
    return attrs.evolve(made, **changed)


def registration(identity: str, name: tuple[str, str] = WEB, **changed: Any) -> Registration:
    made = Registration(identity, name, f"a-{identity}", name[1], "n1", "dc1", f"10.0.0.{identity}", 80)
    return attrs.evolve(made, **changed)


def spec(job: str = "web", version: int = 0, modified: int = 1, **declared: Any) -> Spec:
    service = attrs.evolve(Declared(job, "nomad", "g"), **declared)
    return Spec(("default", job), version, modified, services=(service,))


def listing(
    registrations: Sequence[Registration], index: int = 10, allocations: Sequence[Allocation] | None = None
) -> Listing:
    """Everything at one index; each registration with an allocation that runs unless others are given."""
    services: dict[tuple[str, str], tuple[int, dict[str, Registration]]] = {}
    for each in registrations:
        services.setdefault(each.name, (index, {}))[1][each.id] = each
    running = [alloc(r.alloc, r.job) for r in registrations] if allocations is None else allocations
    node = Node("n1", "worker", "dc1", "ready")
    return Listing(services, index, {a.id: a for a in running}, index, {"n1": node}, index)


class World:
    """A feed and its clock."""

    def __init__(self, *registrations: Registration, specs: Sequence[Spec] = (spec(), spec("db"))) -> None:
        self.now = 0.0
        self.feed = Feed("global", "nomad", PATIENCE, Checks(2.0, 50.0))
        self.specs = specs
        self.feed.opened(self.now)
        self.told(listing(registrations))

    def told(self, found: Listing) -> frozenset[tuple[str, str]]:
        assert self.feed.list_due(self.now)
        changed = self.feed.listed(found, self.now)
        for job in self.feed.jobs_due(self.now):
            changed |= self.feed.job_read(job, [s for s in self.specs if s.job == job], self.now)
        return changed

    def hear(self, *events: object) -> frozenset[tuple[str, str]]:
        return self.feed.heard(events, self.now)  # type: ignore[arg-type]

    def addresses(self, name: tuple[str, str] = WEB) -> set[str]:
        return {i.endpoint.address for i in self.feed.instances(name)}

    def health(self, name: tuple[str, str] = WEB) -> list[Health]:
        return [i.endpoint.health for i in self.feed.instances(name)]


def test_a_list_then_events_that_are_younger_count_and_older_ones_do_not() -> None:
    """N1: Nomad replays what it has buffered to whoever connects."""
    world = World(registration("1"))
    old = (Deregistered(9, WEB, "1"), Registered(10, registration("2")), AllocationTold(10, alloc("a-2")))
    assert world.hear(*old) == frozenset()
    assert world.addresses() == {"10.0.0.1"}
    assert world.hear(AllocationTold(11, alloc("a-2")), Registered(12, registration("2"))) == {WEB}
    assert world.addresses() == {"10.0.0.1", "10.0.0.2"}


def test_an_event_that_is_told_again_changes_nothing() -> None:
    """N2: resuming repeats the last event."""
    world = World(registration("1"))
    events = (AllocationTold(11, alloc("a-2")), Registered(12, registration("2")))
    assert world.hear(*events) == {WEB}
    assert world.hear(events[1], events[1]) == frozenset()
    gone = Deregistered(13, WEB, "2")
    assert world.hear(gone) == {WEB}
    assert world.hear(gone, Deregistered(13, WEB, "never-there")) == frozenset()
    assert world.addresses() == {"10.0.0.1"}


def test_events_while_the_list_is_read_are_applied_to_it_if_it_does_not_know_of_them() -> None:
    world = World(registration("1"))
    world.now = RELIST_EVERY
    assert world.feed.list_due(world.now)
    world.hear(AllocationTold(20, alloc("a-2")), Registered(21, registration("2")), Deregistered(22, WEB, "1"))
    assert world.addresses() == {"10.0.0.2"}
    of_before = listing([registration("1")], index=19)
    assert world.feed.listed(of_before, world.now) == frozenset()
    assert world.addresses() == {"10.0.0.2"}


def test_before_the_first_list_nothing_is_believed() -> None:
    feed = Feed("global", "nomad", PATIENCE, Checks(2.0, 50.0))
    assert not feed.list_due(0.0)
    feed.opened(0.0)
    assert feed.heard((Registered(5, registration("1")),), 0.0) == frozenset()
    assert not feed.is_settled(100.0)


def test_after_a_cut_all_is_kept_until_the_next_list() -> None:
    world = World(registration("1"), registration("4"), registration("2", DB))
    world.feed.cut()
    assert not world.feed.current
    assert not world.feed.list_due(1e9)
    assert world.addresses() == {"10.0.0.1", "10.0.0.4"}
    world.feed.opened(5.0)
    world.now = 5.0
    changed = world.told(listing([registration("2", DB), registration("3")], index=30))
    assert changed == {WEB}
    assert world.addresses() == {"10.0.0.1", "10.0.0.3", "10.0.0.4"}
    assert world.feed.hold.active
    assert world.feed.current


def test_a_list_that_was_begun_before_the_cut_is_not_used() -> None:
    world = World(registration("1"))
    world.now = RELIST_EVERY
    assert world.feed.list_due(world.now)
    world.feed.cut()
    world.feed.opened(world.now)
    assert not world.feed.list_due(world.now)
    assert world.feed.listed(listing([]), world.now) == frozenset()
    assert world.addresses() == {"10.0.0.1"}
    assert world.feed.list_due(world.now)


def test_an_index_that_goes_back_has_everything_listed_again() -> None:
    """A server that was restored: what it has may be older, and indexes can't be compared."""
    world = World(registration("1"))
    world.hear(NodeTold(40, Node("n1", "worker", "dc1", "ready")))
    world.hear(Deregistered(12, WEB, "1"))
    assert not world.feed.current
    assert world.addresses() == {"10.0.0.1"}
    world.told(listing([registration("1"), registration("2")], index=12))
    assert world.addresses() == {"10.0.0.1", "10.0.0.2"}


def test_what_an_event_takes_away_is_believed_even_if_nothing_is_left() -> None:
    """N9: the end of a purged job is told by its registrations only."""
    world = World(registration("1"))
    assert world.hear(Deregistered(11, WEB, "1")) == {WEB}
    assert world.feed.names() == frozenset()
    assert not world.feed.hold.active


def test_what_a_list_lost_is_believed_where_its_allocation_is_still_known() -> None:
    world = World(registration("1"))
    world.feed.cut()
    world.feed.opened(0.0)
    ended = alloc("a-1", client_status="complete", desired_status="stop")
    world.told(listing([], index=30, allocations=[ended]))
    assert world.feed.names() == frozenset()
    assert world.feed.hold.reason() == ""


def test_a_list_without_anything_is_held_and_believed_when_it_stays_so() -> None:
    world = World(registration("1"))
    world.now = RELIST_EVERY
    empty = listing([], index=2, allocations=[])
    world.told(empty)
    assert world.addresses() == {"10.0.0.1"}
    assert "suspect" in world.feed.hold.reason()
    for _ in range(10):
        if not world.feed.hold.active:
            break
        world.now = world.feed.next_due()
        changed = world.told(empty)
    assert changed == {WEB}
    assert PATIENCE <= world.now - RELIST_EVERY < 1.5 * PATIENCE
    assert world.addresses() == set()


def test_what_is_held_is_let_go_when_it_returns() -> None:
    world = World(registration("1"))
    world.now = RELIST_EVERY
    world.told(listing([], index=2, allocations=[]))
    world.hear(AllocationTold(3, alloc("a-9")), Registered(4, registration("9", address="10.0.0.1")))
    world.feed.job_read(world.feed.jobs_due(world.now)[0], [spec()], world.now)
    assert len(world.feed.instances(WEB)) == 1
    assert world.addresses() == {"10.0.0.1"}
    assert not world.feed.hold.active


def test_a_ghost_is_left_out() -> None:
    """N8: registrations outlive their tasks, or their allocation."""
    ended = alloc("a-2", client_status="lost")
    world = World()
    world.now = RELIST_EVERY
    ghosts = [registration("1"), registration("2"), registration("3")]
    world.told(listing(ghosts, index=20, allocations=[alloc("a-1"), ended]))
    assert world.addresses() == {"10.0.0.1"}
    assert world.hear(AllocationTold(21, alloc("a-1", client_status="failed"))) == {WEB}
    assert world.addresses() == set()


def test_a_node_that_is_down_takes_its_instances_out_of_traffic() -> None:
    world = World(registration("1"))
    assert world.hear(NodeTold(11, Node("n1", "worker", "dc1", "down"))) == {WEB}
    assert world.health() == [Health.UNHEALTHY]
    assert world.hear(NodeTold(12, Node("n1", "worker", "dc1", "down"))) == frozenset()
    assert world.hear(NodeTold(13, Node("n1", "worker", "dc1", "ready"))) == {WEB}
    assert world.hear(NodeGone(14, "n1")) == {WEB}
    assert world.health() == [Health.HEALTHY]


def test_names_that_differ_twice_have_everything_listed_again() -> None:
    """N6, N8: a stream that lives and tells nothing, a registration that was dropped."""
    world = World(registration("1"))
    world.now = 60.0
    world.feed.probed((WEB, DB), world.now)
    assert not world.feed.list_due(world.now)
    world.feed.probed((WEB,), world.now)
    world.feed.probed((WEB, DB), world.now)
    assert not world.feed.list_due(world.now)
    world.feed.probed((WEB, DB), world.now)
    assert world.feed.list_due(world.now)


def test_everything_is_listed_again_now_and_then() -> None:
    world = World(registration("1"))
    assert world.feed.next_due() == RELIST_EVERY
    assert not world.feed.list_due(RELIST_EVERY - 1)
    assert world.feed.list_due(RELIST_EVERY)
    world.feed.not_listed(RELIST_EVERY, 2.0)
    assert world.feed.next_due() == RELIST_EVERY + 2


def test_an_event_that_can_not_be_read_is_a_problem_until_the_next_list() -> None:
    world = World(registration("1"))
    broken = Problem("nomad event Service/k", "what", "mend")
    world.hear(Unreadable(11, broken))
    assert [str(problem) for problem in world.feed.problems] == [str(broken)]
    assert world.feed.next_due() == RELIST_SOONEST
    world.now = RELIST_SOONEST
    world.told(listing([registration("1")], index=12))
    assert not world.feed.problems


def test_an_instance_waits_for_its_job_which_says_how_it_takes_part() -> None:
    world = World()
    assert world.hear(AllocationTold(11, alloc("a-1")), Registered(12, registration("1"))) == frozenset()
    assert world.addresses() == set()
    assert world.feed.jobs_due(0.0) == (("default", "web"),)
    assert world.feed.jobs_due(0.0) == ()
    world.feed.job_not_read(("default", "web"), 0.0, 1.0)
    assert world.feed.jobs_due(0.5) == ()
    assert world.feed.next_due() == 1.0
    assert world.feed.jobs_due(1.0) == (("default", "web"),)
    assert world.feed.job_read(("default", "web"), [spec(meta=(("mesh-port", "9"),))], 1.0) == {WEB}
    assert [i.mesh_port for i in world.feed.instances(WEB)] == [9]


def test_a_job_that_is_no_more_keeps_no_instance_out() -> None:
    world = World(registration("1"), specs=())
    assert world.addresses() == {"10.0.0.1"}


def test_each_allocation_has_the_meta_of_the_version_that_it_runs() -> None:
    """An event of an allocation does not say which: it is the newest job of before the servers decided."""
    world = World(registration("1"), specs=(spec(meta=(("version", "1"),)),))
    new = spec(version=1, modified=20, meta=(("version", "2"),))
    canary = alloc("a-2", assigned=21, version=None, canary=True)
    world.hear(JobTold(20, new), AllocationTold(21, canary), Registered(22, registration("2")))
    world.hear(AllocationTold(23, alloc("a-1", version=None, healthy=True)))
    told = {i.endpoint.address: dict(i.endpoint.labels)["version"] for i in world.feed.instances(WEB)}
    assert told == {"10.0.0.1": "1", "10.0.0.2": "2"}
    world.hear(AllocationTold(24, alloc("a-1", version=None, assigned=24, desired_status="stop")))
    told = {i.endpoint.address: dict(i.endpoint.labels)["version"] for i in world.feed.instances(WEB)}
    assert told == {"10.0.0.1": "1", "10.0.0.2": "2"}


def test_a_version_that_runs_and_is_not_known_is_read() -> None:
    world = World(registration("1"))
    world.now = RELIST_EVERY
    world.specs = (spec(), spec(version=4, modified=30, meta=(("version", "4"),)))
    world.told(listing([registration("1")], index=40, allocations=[alloc("a-1", version=4)]))
    assert [dict(i.endpoint.labels)["version"] for i in world.feed.instances(WEB)] == ["4"]


def test_checks_are_asked_for_and_decide() -> None:
    """N7: a registration says nothing of its health."""
    world = World(registration("1"), specs=(spec(checks=1),))
    assert world.health() == [Health.UNHEALTHY]
    assert not world.feed.is_settled(world.now)
    assert world.feed.checks_due(world.now) == ("a-1",)
    assert world.feed.checks_read("a-1", {"web": ("success",)}, world.now) == {WEB}
    assert world.health() == [Health.HEALTHY]
    assert world.feed.is_settled(world.now)
    assert world.feed.checks_due(2.0) == ("a-1",)
    assert world.feed.checks_read("a-1", {"web": ("failure",)}, 2.0) == {WEB}
    assert world.health() == [Health.UNHEALTHY]


def test_a_pending_check_and_a_node_that_does_not_answer_say_nothing() -> None:
    world = World(registration("1"), specs=(spec(checks=1),))
    world.feed.checks_due(0.0)
    world.feed.checks_read("a-1", {"web": ("success",)}, 0.0)
    world.feed.checks_due(2.0)
    assert world.feed.checks_read("a-1", {"web": ("pending",)}, 2.0) == frozenset()
    world.feed.checks_due(4.0)
    world.feed.checks_not_read("a-1", 4.0)
    assert world.health() == [Health.HEALTHY]


def test_the_checks_of_what_is_gone_are_not_asked_for() -> None:
    world = World(registration("1"), registration("2"), specs=(spec(checks=1),))
    world.hear(Deregistered(11, WEB, "1"))
    assert world.feed.checks_due(0.0) == ("a-2",)
    assert world.feed.checks.all_seen is False
    world.feed.checks_read("a-2", {}, 0.0)
    assert world.feed.checks.all_seen


def test_no_checks_are_asked_for_while_jobs_are_not_known_at_first() -> None:
    """Nothing can be told without them, and 5,000 questions to nodes would keep them waiting."""
    world = World(registration("1"), registration("2", DB), specs=(spec(checks=1), spec("db", checks=1)))
    late = Feed("global", "nomad", PATIENCE, Checks(2.0, 50.0))
    late.opened(0.0)
    assert late.list_due(0.0)
    late.listed(listing([registration("1"), registration("2", DB)]), 0.0)
    assert set(late.jobs_due(0.0)) == {WEB, DB}
    late.job_read(WEB, (spec(checks=1),), 3.0)
    assert late.checks_due(3.0) == ()
    assert late.next_due() > 3.0, "it is not asked again and again"
    late.job_read(DB, (spec("db", checks=1),), 4.0)
    assert set(late.checks_due(4.0)) == {"a-1", "a-2"} == set(world.feed.checks_due(0.0))
    assert not late.is_settled(4.9)
    assert late.is_settled(5.0), "a second after the jobs"


def test_one_allocation_with_two_services_has_the_checks_of_each() -> None:
    two = registration("2", DB, alloc="a-1", job="web")
    services = tuple(Declared(name, "nomad", "g", checks=1) for name in ("web", "db"))
    world = World(registration("1"), two, specs=(attrs.evolve(spec(), services=services),))
    world.feed.checks_due(0.0)
    world.feed.checks_read("a-1", {"web": ("success",), "db": ("failure",)}, 0.0)
    assert (world.health(WEB), world.health(DB)) == ([Health.HEALTHY], [Health.UNHEALTHY])
    assert world.hear(Deregistered(11, DB, "2")) == {DB}
    assert world.health(WEB) == [Health.HEALTHY]
