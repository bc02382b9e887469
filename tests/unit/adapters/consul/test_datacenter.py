"""One datacenter's state as a conversation: what is told, what is asked next, what is believed."""

from __future__ import annotations

import json
import math

import attrs

from adapters.consul.convert import InstanceKey, Reading
from adapters.consul.datacenter import Datacenter, ListNames, ReadServices, Sweep, Work
from adapters.consul.sweep import GRACE
from adapters.instance import Instance
from pilot.model.service import Endpoint


@attrs.define
class World:
    """What Consul would answer: services with the IDs of their instances on node n1, and each one's last change."""

    services: dict[str, dict[str, int]]

    def names(self) -> bytes:
        return json.dumps({name: [] for name in self.services} | {"consul": []}).encode()

    def reading(self, name: str) -> Reading:
        ids = self.services.get(name, {})
        found = tuple(Instance(Endpoint(f"10.0.0.{i}", (), f"dc1/n1/{name}-{i}"), 80) for i in ids)
        versions: dict[InstanceKey, int] = {("n1", f"{name}-{i}"): version for i, version in ids.items()}
        digest, index = hash((name, tuple(ids.items()))), max(ids.values(), default=0)
        return Reading(name, found, versions, digest=digest, index=index)

    def on_node(self) -> dict[InstanceKey, tuple[str, int]]:
        return {("n1", f"{n}-{i}"): (n, v) for n, ids in self.services.items() for i, v in ids.items()}

    def checks(self) -> bytes:
        listed = [
            {"Node": "n1", "CheckID": f"{n}-{i}", "ServiceName": n, "ModifyIndex": version}
            for n, ids in sorted(self.services.items())
            for i, version in sorted(ids.items())
        ]
        return json.dumps(listed).encode()


def answer(
    state: Datacenter, world: World, now: float, fail: frozenset[str] = frozenset()
) -> tuple[list[Work], set[str]]:
    """Do all the work that is asked for, sweeps too, until there is no more; what was done and what changed."""
    done: list[Work] = []
    changed: set[str] = set()
    while work := state.work(now):
        for item in work:
            done.append(item)
            more: Work | None = item
            if isinstance(item, ListNames):
                more, released = state.listed(world.names(), now)
                changed |= released
            if isinstance(more, ReadServices):
                for name in more.names:
                    is_failed = name in fail
                    changed |= state.not_read(name, now) if is_failed else state.read(world.reading(name), now)
                if not more.names:
                    changed |= state.round_is_empty(now)
            if isinstance(more, Sweep):
                for _ in more.nodes:
                    state.swept_node("n1", world.on_node())
                for name in more.names:
                    state.swept_service(name, world.reading(name).digest)
                state.sweep_ended(now, complete=True)
    return done, changed


def loaded(world: World, patience: float = 30) -> Datacenter:
    state = Datacenter(patience)
    state.nodes_told(b'[{"Node": "n1"}]')
    state.checks_told(world.checks(), 10)
    state.names_told(world.names(), 0, 10, 0)
    answer(state, world, 0)
    assert state.loaded
    return state


def listed(state: Datacenter) -> dict[str, int]:
    return {name: len(state.instances(name)) for name in state.names()}


def test_at_first_the_names_are_read_then_all_services() -> None:
    world = World({"web": {"1": 5, "2": 6}, "db": {"3": 7}})
    state = Datacenter(30)
    done, changed = answer(state, world, 0)
    assert done[0] == ListNames()
    assert changed == {"web", "db"}
    assert listed(state) == {"web": 2, "db": 1}
    assert state.current
    assert answer(state, world, 1) == ([], set())
    assert state.next_due() == math.inf


def test_a_consul_without_services_is_loaded_too() -> None:
    assert listed(loaded(World({}))) == {}


def test_a_check_that_changed_has_its_service_read_and_nothing_else() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    world.services["web"]["1"] = 11
    state.checks_told(world.checks(), 11)
    assert answer(state, world, 1) == ([ReadServices(("web",))], {"web"})


def test_what_was_read_since_is_not_read_again() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = Datacenter(30)
    answer(state, world, 0)
    state.checks_told(world.checks(), 10)
    assert state.work(1) == ()
    world.services["web"]["1"] = 11
    state.critical_told(json.dumps(json.loads(world.checks())[1:]).encode())
    assert answer(state, world, 1) == ([ReadServices(("web",))], {"web"})
    state.checks_told(world.checks(), 11)
    assert state.work(1) == ()


def test_a_registration_seen_in_the_checks_needs_no_sweep_now() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    world.services["web"]["2"] = 11
    state.names_told(world.names(), 10, 11, 1)
    state.checks_told(world.checks(), 11)
    assert answer(state, world, 1)[0] == [ReadServices(("web",))]
    assert answer(state, world, 1 + 2 * GRACE)[0] == []


def test_a_deregistration_seen_in_the_checks_needs_no_sweep_now() -> None:
    world = World({"web": {"1": 5, "2": 6}, "db": {"3": 7}})
    state = loaded(world)
    del world.services["web"]["2"]
    state.names_told(world.names(), 10, 11, 1)
    state.checks_told(world.checks(), 11)
    assert answer(state, world, 1) == ([ReadServices(("web",))], {"web"})
    assert answer(state, world, 1 + 2 * GRACE)[0] == []


def test_a_change_that_no_list_shows_is_found_by_a_sweep() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    world.services["db"]["3"] = 11
    state.names_told(world.names(), 10, 11, 1)
    assert state.work(1) == ()
    done, changed = answer(state, world, 1 + GRACE)
    assert done == [Sweep(nodes=("n1",)), ReadServices(("db",))]
    assert changed == {"db"}


def test_where_nodes_are_many_the_sweep_goes_by_service() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    state.nodes_told(json.dumps([{"Node": f"n{i}"} for i in range(9)]).encode())
    answer(state, world, 0.5)
    del world.services["db"]["3"]
    world.services["db"]["4"] = 11
    state.names_told(world.names(), 10, 11, 1)
    done, changed = answer(state, world, 1 + GRACE)
    assert done[0] == Sweep(names=("web", "db"))
    assert changed == {"db"}


def test_a_node_that_changed_has_its_services_read() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    state.nodes_told(b'[{"Node": "n1", "Address": "10.5.5.5"}]')
    assert answer(state, world, 1)[0] == [ReadServices(("db", "web"))]


def test_services_that_go_one_by_one_are_believed_but_for_the_last() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    del world.services["web"]
    state.names_told(world.names(), 10, 11, 1)
    answer(state, world, 1)
    assert listed(state) == {"db": 1}
    del world.services["db"]
    state.names_told(world.names(), 11, 12, 2)
    answer(state, world, 2)
    assert listed(state) == {"db": 1}
    assert state.hold.active


def test_nothing_after_everything_is_held_until_it_was_said_three_times_over_the_patience() -> None:
    full = World({"web": {"1": 5, "2": 6}, "db": {"3": 7}})
    state = loaded(full)
    state.names_told(World({}).names(), 10, 11, 100)
    assert answer(state, World({}), 100)[1] == {"web", "db"}
    assert listed(state) == {"web": 2, "db": 1}
    assert ListNames() in answer(state, World({}), 110)[0]
    assert answer(state, World({}), 120)[1] == set()
    assert answer(state, World({}), 131)[1] == {"web", "db"}
    assert listed(state) == {}
    assert state.next_due() == math.inf


def test_with_no_patience_a_loss_is_believed_at_once() -> None:
    state = loaded(World({"web": {"1": 5}}), patience=0)
    state.names_told(World({}).names(), 10, 11, 1)
    answer(state, World({}), 1)
    assert listed(state) == {}


def test_after_a_restart_the_loss_of_most_is_held_and_those_who_return_are_current() -> None:
    state = loaded(World({"web": {"1": 5, "2": 6}, "db": {"3": 7, "4": 8}}))
    state.outage(50)
    after = World({"web": {"1": 3}})
    answer(state, after, 50)
    assert state.current
    assert listed(state) == {"web": 2, "db": 2}
    after.services["db"] = {"3": 4}
    state.names_told(after.names(), 2, 4, 51)
    answer(state, after, 51)
    assert listed(state) == {"web": 2, "db": 2}
    assert {i.endpoint.instance for i in state.instances("db")} == {"dc1/n1/db-3", "dc1/n1/db-4"}
    after.services |= {"web": {"1": 3, "2": 5}, "db": {"3": 4, "4": 6}}
    state.checks_told(after.checks(), 6)
    answer(state, after, 52)
    assert not state.hold.active


def test_who_returned_may_go_again_while_others_are_held() -> None:
    state = loaded(World({"web": {"1": 5, "2": 6}, "db": {"3": 7, "4": 8}}))
    state.outage(50)
    after = World({"web": {"1": 3}, "new": {"9": 3}})
    answer(state, after, 50)
    del after.services["web"]
    state.names_told(after.names(), 3, 4, 51)
    answer(state, after, 51)
    assert {i.endpoint.instance for i in state.instances("web")} == {"dc1/n1/web-2"}


def test_after_a_restart_the_loss_of_a_few_is_believed() -> None:
    state = loaded(World({"web": {"1": 5, "2": 6}, "db": {"3": 7, "4": 8}}))
    state.outage(50)
    answer(state, World({"web": {"1": 5, "2": 6}, "db": {"3": 7}}), 50)
    assert listed(state) == {"web": 2, "db": 1}


def test_nothing_is_read_piecemeal_between_an_outage_and_the_full_look() -> None:
    world = World({"web": {"1": 5, "2": 6}, "db": {"3": 7}})
    state = loaded(world)
    state.outage(50)
    state.checks_told(b"[]", 2)
    assert state.work(50) == (ListNames(),)
    assert state.work(50) == ()
    state.not_listed(50, pause=1)
    assert state.work(50.5) == ()
    assert state.work(51) == (ListNames(),)
    assert listed(state) == {"web": 2, "db": 1}


def test_readings_from_before_an_outage_are_not_used() -> None:
    world = World({"web": {"1": 5, "2": 6}, "db": {"3": 7}})
    state = loaded(world)
    state.checks_told(b"[]", 11)
    assert state.work(1) == (ReadServices(("db", "web")),)
    state.outage(1)
    empty = World({})
    for name in ("web", "db"):
        assert state.read(empty.reading(name), 1) == frozenset()
    answer(state, world, 2)
    assert listed(state) == {"web": 2, "db": 1}
    assert not state.hold.active


def test_a_full_look_with_a_failed_read_is_repeated_and_in_the_end_believed_without() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = Datacenter(30)
    for now in (0, 1):
        answer(state, world, now, fail=frozenset({"db"}))
        assert not state.loaded
    work, _ = state.listed(world.names(), 2) if state.work(2) == (ListNames(),) else (None, None)
    assert isinstance(work, ReadServices)
    state.not_read("db", 2)
    state.read(world.reading("web"), 2)
    assert state.loaded
    assert listed(state) == {"web": 1}
    assert answer(state, world, 3)[1] == {"db"}


def test_a_service_that_could_not_be_read_is_read_again_and_kept_until_then() -> None:
    world = World({"web": {"1": 5}, "db": {"3": 7}})
    state = loaded(world)
    world.services["web"]["1"] = 11
    state.checks_told(world.checks(), 11)
    begun = state.work(1)
    assert begun == (ReadServices(("web",)),)
    state.not_read("web", 1)
    assert listed(state) == {"web": 1, "db": 1}
    assert not state.work(1.1)
    assert answer(state, world, 1.6)[0] == [ReadServices(("web",))]
