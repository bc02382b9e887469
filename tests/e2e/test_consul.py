"""What happens in Consul is followed by traffic, and no request that went to a living instance fails meanwhile."""

from __future__ import annotations

import pytest

from tests.e2e.world import Instance, Mesh, Sidecar, eventually

pytestmark = pytest.mark.e2e

VERSIONS = """
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: tagged}
spec:
  host: tagged.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: tagged}
spec:
  hosts: [tagged.service.consul]
  http: [{route: [{destination: {host: tagged.service.consul, subset: v2}}]}]
"""


@pytest.fixture(scope="module")
def versions(shared: Mesh) -> None:
    """All requests for the service `tagged` go to its version v2."""
    shared.apply("versions.yaml", VERSIONS)


def assert_untouched(client: Sidecar, service: str, instance: Instance) -> None:
    """None of 100 requests for the service arrives at this instance."""
    before = instance.count()
    client.shares(service, 100)
    assert instance.count() == before


def test_a_registered_instance_takes_traffic_and_a_deregistered_one_none(shared: Mesh, client: Sidecar) -> None:
    """Both behind sidecars of their own, so that each request passes two Envoys."""
    first = shared.instance("shop", "shop-1", sidecar=True)
    client.wait_served_by("shop", first)
    with client.load("shop") as load:
        second = shared.instance("shop", "shop-2", sidecar=True)
        client.wait_served_by("shop", first, second)
        shared.deregister(first)
        client.wait_served_by("shop", second)
        assert_untouched(client, "shop", first)
    assert load.failures == []
    assert load.answered.keys() == {"shop-1", "shop-2"}


def test_a_failed_check_takes_traffic_away_and_its_recovery_brings_it_back(shared: Mesh, client: Sidecar) -> None:
    healthy, flapping = shared.instance("checked", "checked-1"), shared.instance("checked", "checked-2")
    client.wait_served_by("checked", healthy, flapping)
    with client.load("checked") as load:
        shared.fail_check(flapping)
        client.wait_served_by("checked", healthy)
        assert_untouched(client, "checked", flapping)
        shared.pass_check(flapping)
        client.wait_served_by("checked", healthy, flapping)
    assert load.failures == []


def test_a_changed_weight_changes_the_shares(shared: Mesh, client: Sidecar) -> None:
    """On one connection requests come one by one, so that Envoy's weighted turns are exact but for their start."""
    light, heavy = shared.instance("weighted", "weighted-1"), shared.instance("weighted", "weighted-2")
    client.wait_served_by("weighted", light, heavy)
    with client.load("weighted") as load:
        heavy.weight = 9
        shared.register(heavy)
        eventually(
            lambda: client.shares("weighted", 50, connections=1)["weighted-2"] > 40, "a share of 9 to 1 for weighted-2"
        )
    assert load.failures == []
    before = light.count(), heavy.count()
    client.shares("weighted", 200, connections=1)
    assert light.count() - before[0] == pytest.approx(20, abs=2)
    assert heavy.count() - before[1] == pytest.approx(180, abs=2)


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize("by", ["tag", "meta"])
def test_a_changed_version_moves_an_instance_into_the_subset(shared: Mesh, client: Sidecar, by: str) -> None:
    def give(instance: Instance, version: str) -> None:
        if by == "tag":
            instance.tags = (version,)
        else:
            instance.meta["version"] = version
        shared.register(instance)

    old, new = shared.instance("tagged", f"{by}-1"), shared.instance("tagged", f"{by}-2")
    give(old, "v1")
    give(new, "v2")
    client.wait_served_by("tagged", new)
    with client.load("tagged") as load:
        give(old, "v2")
        client.wait_served_by("tagged", old, new)
        give(new, "v1")
        client.wait_served_by("tagged", old)
        assert_untouched(client, "tagged", new)
    assert load.failures == []
    shared.deregister(old)
    shared.deregister(new)


def test_of_an_instance_that_dies_only_the_requests_under_way_are_lost(shared: Mesh, client: Sidecar) -> None:
    """Its health check has not failed yet: connections that are refused are retried elsewhere by default."""
    living, dying = shared.instance("mortal", "mortal-1"), shared.instance("mortal", "mortal-2")
    client.wait_served_by("mortal", living, dying)
    with client.load("mortal") as load:
        eventually(lambda: load.count > 100, "100 requests answered")
        dying.process.kill()
        after_death = load.count
        eventually(lambda: load.count > after_death + 300, "300 requests answered after the death")
        at_death = len(load.failures)
        shared.deregister(dying)
        eventually(lambda: load.count > after_death + 500, "500 requests answered after the death")
    assert len(load.failures) == at_death <= load.threads
    assert all("reset before headers" in failure for failure in load.failures), load.failures


def test_a_sidecar_that_is_told_to_end_under_load_loses_no_request(shared: Mesh, client: Sidecar) -> None:
    leaving, staying = shared.instance("drained", "drained-1", sidecar=True), shared.instance("drained", "drained-2")
    assert leaving.sidecar is not None
    client.wait_served_by("drained", leaving, staying)
    with client.load("drained") as load:
        shared.deregister(leaving)
        leaving.sidecar.process.stop()
        client.wait_served_by("drained", staying)
    assert load.failures == []
    assert "drained in" in leaving.sidecar.log
