"""What a scheduler says of a workload is laid over the instances that another registry tells of it."""

from __future__ import annotations

from typing import Any

from adapters.merge import Merger
from adapters.platform import Delete, Synced, Upsert, Workload, Workloads
from adapters.screen import Limits, Screen
from adapters.settings import Arrangement
from adapters.workloads import ID_LABEL
from pilot.model.service import Endpoint, Health, Port, Protocol, Service, ServiceKey, labels

KEY = ServiceKey("default", "web.service.consul")
HTTP = (Port("http", 80, Protocol.HTTP),)


def endpoint(alloc: str, **more: Any) -> Endpoint:
    told = labels({ID_LABEL: alloc, **more.pop("said", {})})
    return Endpoint(f"10.0.0.{alloc}", (("http", 8080),), alloc, labels=told, service_account="web", **more)


def web(*endpoints: Endpoint) -> Service:
    return Service(KEY, HTTP, endpoints)


def workload(alloc: str, **more: Any) -> Workload:
    known = {ID_LABEL: alloc, "nomad.job": "shop", "canary": "false"} | more.pop("known", {})
    return Workload(alloc, labels(known), **({"service_account": "shop"} | more))


def merger(*endpoints: Endpoint) -> Merger:
    made = Merger(["consul", "nomad"])
    made.apply("consul", Upsert(web(*endpoints)))
    return made


def found(merger: Merger) -> dict[str, Endpoint]:
    service = merger.catalog().services.get(KEY)
    return {each.instance: each for each in service.endpoints} if service else {}


def test_labels_and_account_are_of_the_job_whichever_was_told_first() -> None:
    before, after = merger(endpoint("1"), endpoint("2")), Merger(["consul", "nomad"])
    assert before.apply("nomad", Workloads((workload("1"),)))
    after.apply("nomad", Workloads((workload("1"),)))
    after.apply("consul", Upsert(web(endpoint("1"), endpoint("2"))))
    assert found(before) == found(after)
    assert dict(found(before)["1"].labels) == {ID_LABEL: "1", "nomad.job": "shop", "canary": "false"}
    assert [found(before)[each].service_account for each in ("1", "2")] == ["shop", "web"]
    assert found(before)["2"].labels == endpoint("2").labels


def test_what_a_registration_says_wins_but_for_the_schedulers_own_labels() -> None:
    made = merger(endpoint("1", said={"canary": "yes", "nomad.job": "other", "service-account": "web"}))
    made.apply("nomad", Workloads((workload("1"),)))
    assert dict(found(made)["1"].labels)["canary"] == "yes"
    assert dict(found(made)["1"].labels)["nomad.job"] == "shop"
    assert found(made)["1"].service_account == "web"


def test_what_is_about_to_end_drains_and_is_well_again_if_it_was_not_meant() -> None:
    made = merger(endpoint("1"), endpoint("2", health=Health.UNHEALTHY))
    made.apply("nomad", Workloads((workload("1", leaving=True), workload("2"))))
    assert [found(made)[each].health for each in ("1", "2")] == [Health.DRAINING, Health.UNHEALTHY]
    made.apply("nomad", Workloads((workload("1"),)))
    assert found(made)["1"].health is Health.HEALTHY


def test_a_workload_that_is_forgotten_stays_as_last_known_until_its_registry_lets_it_go() -> None:
    made = merger(endpoint("1"), endpoint("2"))
    made.apply("nomad", Workloads((workload("1"), workload("2"))))
    made.apply("nomad", Workloads((workload("1", leaving=True),), gone=("1", "2")))
    assert [found(made)[each].health for each in ("1", "2")] == [Health.DRAINING, Health.HEALTHY]
    assert found(made)["2"].service_account == "shop"
    made.apply("consul", Delete(KEY))
    made.apply("consul", Upsert(web(endpoint("1"), endpoint("2"))))
    assert [each.service_account for each in found(made).values()] == ["web", "web"]


def test_a_workload_told_again_after_it_was_gone_is_kept() -> None:
    made = merger(endpoint("1"))
    made.apply("nomad", Workloads((workload("1"),)))
    made.apply("nomad", Workloads(gone=("1",)))
    made.apply("nomad", Workloads((workload("1"),)))
    made.apply("consul", Delete(KEY))
    made.apply("consul", Upsert(web(endpoint("1"))))
    assert found(made)["1"].service_account == "shop"


def test_a_platform_says_nothing_of_its_own_instances_and_is_forgotten_with_what_it_said() -> None:
    made = merger(endpoint("1"))
    assert made.apply("consul", Workloads((workload("1"),)))
    assert found(made)["1"].service_account == "web"
    made.apply("nomad", Workloads((workload("1"),)))
    made.catalog()
    made.arrange(("consul",), Arrangement())
    assert found(made)["1"].service_account == "web"


def test_facts_that_concern_nobody_change_no_catalog() -> None:
    made = merger(endpoint("1"))
    before = made.catalog()
    assert not made.apply("nomad", Workloads((workload("9"),)))
    assert made.catalog() is before
    made.apply("nomad", Workloads(gone=("9",)))
    made.apply("consul", Upsert(web(endpoint("9"))))
    assert found(made)["9"].service_account == "web"


def test_what_a_watch_that_began_anew_does_not_tell_again_is_gone() -> None:
    screen = Screen(Limits())
    for event in (Workloads((workload("1"), workload("2"))), Synced()):
        assert list(screen.take(event, 0.0)) == [event]
    list(screen.failed("it broke"))
    again = Workloads((workload("2"),))
    assert list(screen.take(again, 1.0)) == [again]
    assert Workloads(gone=("1",)) in list(screen.take(Synced(), 1.0))
    list(screen.failed("it broke again"))
    list(screen.take(again, 2.0))
    assert not [each for each in screen.take(Synced(), 2.0) if isinstance(each, Workloads)]
