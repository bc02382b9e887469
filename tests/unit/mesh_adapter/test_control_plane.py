"""What platforms and sources tell becomes snapshots; what goes wrong is said and takes nothing away."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from adapters.platform import Delete, Event, Fresh, Stale, Synced, Upsert
from adapters.platform import Problem as PlatformProblem
from adapters.settings import Arrangement, PlatformSettings
from galley.document import Fresh as SourceFresh
from galley.document import Removed, SourceEvent, Unreadable
from galley.document import Stale as SourceStale
from galley.document import Synced as SourceSynced
from mesh_adapter import feed
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.platforms import Opened
from pilot.model.service import Port, Protocol, ServiceKey
from tests.unit.galley.documents import loaded, virtual_service
from tests.unit.mesh_adapter.told import DEADLINE, NOW, StartPlane, Told, node, until
from tests.unit.pilot.plan.world import endpoint, service

WEB = service("web.example", endpoints=[endpoint("10.0.0.1")])
REVIEWS = service("reviews", endpoints=[endpoint("10.0.0.2")])
RATINGS = service("ratings", endpoints=[endpoint("10.0.0.3")])
KEY = ServiceKey("default", "web.example")


def hosts(plane: ControlPlane) -> set[str]:
    snapshot = plane.discovery.snapshot
    return {key.host for key in snapshot.catalog.services} if snapshot else set()


def rules(plane: ControlPlane) -> list[str]:
    return [str(each) for each in plane.config_state().config().objects()]


async def ready(plane: ControlPlane) -> None:
    await asyncio.wait_for(plane.ready.wait(), DEADLINE)


async def test_nothing_is_published_before_every_platform_and_source_has_synced(start_plane: StartPlane) -> None:
    one: Told[Event] = Told(Upsert(WEB), Synced())
    other: Told[Event] = Told(Stale("refused"))
    source: Told[SourceEvent] = Told()
    plane = start_plane({"one": one, "other": other}, {"rules": source})
    await until(lambda: plane.status().waiting == ("platform other: refused", "configuration rules"))
    assert not plane.ready.is_set()
    assert plane.discovery.snapshot is None
    source.tell(SourceStale("rules does not exist"))
    await until(lambda: "configuration rules: rules does not exist" in plane.status().waiting)
    assert plane.stale_sources() == {"rules": "rules does not exist"}
    source.tell(SourceFresh(), SourceSynced())
    other.tell(Fresh(), Synced())
    await ready(plane)
    assert plane.status().ready
    assert hosts(plane) == {"web.example"}


async def test_without_platforms_and_sources_it_is_ready_at_once(start_plane: StartPlane) -> None:
    plane = start_plane({})
    await ready(plane)
    assert hosts(plane) == set()


async def test_services_of_all_platforms_are_merged_and_differences_follow(start_plane: StartPlane) -> None:
    one: Told[Event] = Told(Upsert(WEB), Upsert(RATINGS), Synced())
    other: Told[Event] = Told(Upsert(REVIEWS), Synced())
    plane = start_plane({"one": one, "other": other})
    await ready(plane)
    assert hosts(plane) == {"web.example", "ratings", "reviews"}
    one.tell(Delete(KEY))
    await until(lambda: hosts(plane) == {"ratings", "reviews"})


async def test_a_platform_that_suddenly_tells_of_nothing_is_not_believed(start_plane: StartPlane) -> None:
    one: Told[Event] = Told(Upsert(WEB), Synced())
    plane = start_plane({"one": one}, arrangement=Arrangement({"one": PlatformSettings(hold=0.3)}))
    await ready(plane)
    one.tell(Delete(KEY))
    await until(lambda: plane.platforms()[0].stale.startswith("suspect: 1 endpoints of 1 services"))
    assert (hosts(plane), plane.platforms()[0].held) == ({"web.example"}, 1)
    assert plane.platforms()[0].stale_since == NOW.isoformat(timespec="seconds")
    await until(lambda: hosts(plane) == set())
    status = plane.platforms()[0]
    assert (status.state, status.stale_since, status.held) == ("SYNCED", "", 0)


async def test_platforms_come_and_go_and_are_replaced_while_it_runs(start_plane: StartPlane) -> None:
    one: Told[Event] = Told(Upsert(WEB), Upsert(RATINGS), Synced())
    plane = start_plane({"one": one})
    await ready(plane)
    late: Told[Event] = Told(Upsert(REVIEWS))
    plane.arrange(["late", "one"], {"late": Opened(late)}, Arrangement())
    await until(lambda: hosts(plane) == {"web.example", "ratings", "reviews"})
    assert plane.status().ready
    assert [(each.name, each.state) for each in plane.platforms()] == [("late", "SYNCING"), ("one", "SYNCED")]
    other: Told[Event] = Told(Upsert(WEB))
    plane.arrange(["one", "late"], {"one": Opened(other)}, Arrangement())
    await until(lambda: other.watches == 1)
    assert hosts(plane) == {"web.example", "ratings", "reviews"}
    other.tell(Synced())
    await until(lambda: hosts(plane) == {"web.example", "reviews"})
    one.tell(Upsert(RATINGS))
    plane.arrange(["one"], {}, Arrangement())
    await until(lambda: hosts(plane) == {"web.example"})


async def test_a_watch_that_began_anew_is_current_again_when_it_has_told_everything(
    start_plane: StartPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "RESTART_PAUSE", 0.0)
    problem = PlatformProblem("services.yaml:3", "no ports")
    one: Told[Event] = Told(Upsert(WEB), Upsert(RATINGS), problem, Synced(), RuntimeError("a bug"))
    plane = start_plane({"one": one})
    await until(lambda: plane.platforms()[0].failures == 1)
    one.tell(Upsert(WEB))
    await until(lambda: one.watches == 2)
    assert "the adapter failed (RuntimeError: a bug)" in plane.platforms()[0].stale
    one.tell(Synced())
    await until(lambda: plane.platforms()[0].state == "SYNCED")
    await until(lambda: hosts(plane) == {"web.example"})
    assert plane.platforms()[0].problems == ()


async def test_a_stale_platform_takes_nothing_away(start_plane: StartPlane, caplog: pytest.LogCaptureFixture) -> None:
    platform: Told[Event] = Told(Upsert(WEB), Synced())
    plane = start_plane({"one": platform})
    await ready(plane)
    platform.tell(PlatformProblem("services.yaml:3", "no ports", "give one"), Stale("no leader"))
    await until(lambda: plane.platforms()[0].stale == "no leader")
    assert plane.status().ready
    assert hosts(plane) == {"web.example"}
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "platform one: services.yaml:3: no ports (give one)",
        "platform one is stale: no leader",
    ]
    platform.tell(Fresh())
    await until(lambda: not plane.platforms()[0].stale)


async def test_a_document_comes_into_force_and_goes(start_plane: StartPlane) -> None:
    platform: Told[Event] = Told(Upsert(REVIEWS), Synced())
    source: Told[SourceEvent] = Told(loaded(virtual_service()), SourceSynced())
    plane = start_plane({"one": platform}, {"rules": source})
    await ready(plane)
    assert rules(plane) == ["VirtualService default/reviews"]
    source.tell(Removed("rules.yaml"))
    await until(lambda: not rules(plane))
    snapshot = plane.discovery.snapshot
    assert snapshot is not None
    assert snapshot.config.virtual_services == ()


async def test_a_broken_document_keeps_the_last_good_version_and_is_reported_once(
    start_plane: StartPlane, caplog: pytest.LogCaptureFixture
) -> None:
    platform: Told[Event] = Told(Upsert(REVIEWS), Synced())
    source: Told[SourceEvent] = Told(loaded(virtual_service()), SourceSynced())
    plane = start_plane({"one": platform}, {"rules": source})
    await ready(plane)
    source.tell(Unreadable("rules.yaml", "rules.yaml:3:1", "is not YAML", "mend it"))
    await until(lambda: bool(plane.config_problems()))
    (problem,) = plane.config_problems()
    assert (problem.where, problem.message, problem.kept_since) == ("rules.yaml:3:1", "is not YAML", NOW)
    assert rules(plane) == ["VirtualService default/reviews"]
    platform.tell(Delete(ServiceKey("default", "none")), Upsert(WEB))
    await until(lambda: "web.example" in hosts(plane))
    assert sum("rules.yaml:3:1" in record.getMessage() for record in caplog.records) == 1


MIXER_RULE = """\
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: deny}
spec:
  match: source.name == "a"
  actions: [{handler: deny, instances: [nothing]}]
---
apiVersion: config.istio.io/v1alpha2
kind: denier
metadata: {name: deny}
spec: {status: {code: 7}}
---
apiVersion: config.istio.io/v1alpha2
kind: checknothing
metadata: {name: nothing}
"""


async def test_a_rule_of_mixer_with_a_mistake_is_reported_and_stays_in_force_as_it_was(
    start_plane: StartPlane,
) -> None:
    source: Told[SourceEvent] = Told(loaded(MIXER_RULE), SourceSynced())
    plane = start_plane({}, {"files": source})
    await ready(plane)
    assert ([str(each) for each in plane.rules.rules], plane.config_problems()) == (["rule default/deny"], ())
    source.tell(loaded(MIXER_RULE.replace("source.name", "source.nam")))
    await until(lambda: bool(plane.config_problems()))
    (problem,) = plane.config_problems()
    assert problem.message == "spec.match at 1:1: unknown attribute source.nam"
    assert [each.predicate and each.predicate.source for each in plane.rules.rules] == ['source.name == "a"']


async def test_a_host_that_no_platform_knows_is_warned_of_until_one_does(
    start_plane: StartPlane, caplog: pytest.LogCaptureFixture
) -> None:
    platform: Told[Event] = Told(Upsert(WEB), Synced())
    source: Told[SourceEvent] = Told(loaded(virtual_service()), SourceSynced())
    plane = start_plane({"one": platform}, {"rules": source})
    await ready(plane)
    (warning,) = plane.config_problems()
    assert (warning.code, warning.warning) == ("IST0101", True)
    assert "IST0101" in caplog.text
    platform.tell(Upsert(REVIEWS))
    await until(lambda: not plane.config_problems())


async def test_platforms_that_disagree_are_a_conflict(start_plane: StartPlane) -> None:
    other = service("web.example", Port("other", 80, Protocol.HTTP2))
    plane = start_plane({"one": Told(Upsert(WEB), Synced()), "two": Told(Upsert(other), Synced())})
    await ready(plane)
    (conflict,) = plane.platform_conflicts()
    assert "default/web.example port 80" in conflict.where


async def test_a_watch_that_raises_is_stale_and_watched_again(
    start_plane: StartPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "RESTART_PAUSE", 0.0)
    platform: Told[Event] = Told(Upsert(WEB), Synced(), RuntimeError("a bug"))
    source: Told[SourceEvent] = Told(SourceSynced(), RuntimeError("another"))
    plane = start_plane({"one": platform}, {"rules": source})
    await until(lambda: bool(plane.platforms()[0].stale and plane.stale_sources()))
    assert "RuntimeError: a bug" in plane.platforms()[0].stale
    assert "RuntimeError: another" in plane.stale_sources()["rules"]
    platform.tell(Upsert(REVIEWS), Fresh())
    await until(lambda: hosts(plane) == {"web.example", "reviews"})
    assert not plane.platforms()[0].stale


async def test_an_event_that_breaks_the_fold_does_not_take_others_along(
    start_plane: StartPlane, caplog: pytest.LogCaptureFixture
) -> None:
    """A platform of another package that tells nonsense."""
    nonsense: Any = None
    platform: Told[Event] = Told(Upsert(nonsense), Upsert(WEB), Synced())
    plane = start_plane({"one": platform})
    await ready(plane)
    assert hosts(plane) == {"web.example"}
    assert "an event could not be folded" in caplog.text


async def test_a_burst_becomes_one_snapshot(start_plane: StartPlane) -> None:
    """The snapshot after the first comes a debounce later, with everything that was told meanwhile."""
    platform: Told[Event] = Told(Synced())
    plane = start_plane({"one": platform}, debounce=0.2)
    await ready(plane)
    woken: list[int] = []
    plane.discovery.connect(node()).on_change(lambda: woken.append(len(hosts(plane))))
    platform.tell(*(Upsert(service(f"s{number}.example")) for number in range(50)))
    await until(lambda: len(hosts(plane)) == 50)
    assert woken == [50]


async def test_an_event_that_changes_nothing_publishes_nothing(start_plane: StartPlane) -> None:
    platform: Told[Event] = Told(Upsert(WEB), Synced())
    plane = start_plane({"one": platform})
    await ready(plane)
    before = plane.discovery.snapshot
    platform.tell(Upsert(WEB), Stale("away"))
    await until(lambda: bool(plane.platforms()[0].stale))
    assert plane.discovery.snapshot is before


async def test_close_ends_the_watches_and_publishes_no_more(start_plane: StartPlane) -> None:
    platform: Told[Event] = Told(Upsert(WEB), Synced())
    plane = start_plane({"one": platform})
    await ready(plane)
    before = plane.discovery.snapshot
    platform.tell(Upsert(REVIEWS))
    await asyncio.wait_for(plane.close(), DEADLINE)
    await asyncio.sleep(0.01)  # longer than SETTLE: a snapshot that is on its way would be out
    assert plane.discovery.snapshot is before


async def test_close_before_start_is_fine() -> None:
    plane = ControlPlane({"one": Told()}, {}, clock=lambda: NOW)
    await asyncio.wait_for(plane.close(), DEADLINE)
