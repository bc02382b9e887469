"""Where traffic goes when a client and the instances have places: near first, elsewhere when that fails, by weight.

Places come from Consul (the datacenter is the region, a service's meta names the zone) and from the client's sidecar.
"""

from __future__ import annotations

import math

import pytest

from tests.e2e.world import Instance, Mesh, Sidecar, eventually

pytestmark = pytest.mark.e2e

DOCUMENTS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: near}
spec:
  host: near.service.consul
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 3, interval: 0.5s, baseEjectionTime: 1s, maxEjectionPercent: 100}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shared-out}
spec:
  host: shared-out.service.consul
  trafficPolicy:
    loadBalancer:
      localityLbSetting:
        distribute: [{from: dc1/*, to: {dc1/north: 70, dc1/south: 30}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: labelled}
spec:
  host: labelled.service.consul
  trafficPolicy:
    loadBalancer: {localityLbSetting: {failoverPriority: [rack]}}
    outlierDetection: {consecutive5xxErrors: 3}
"""


@pytest.fixture(scope="module", autouse=True)
def rules(shared: Mesh) -> None:
    """In force before there is any of the services."""
    shared.apply("localities.yaml", DOCUMENTS)


@pytest.fixture(scope="module")
def northern(shared: Mesh) -> Sidecar:
    """A client whose place is known."""
    return shared.client("--locality", "dc1/north", "--label", "rack=r1", name="northern")


def in_zones(shared: Mesh, service: str, *zones: str, **meta: str) -> list[Instance]:
    """An instance in each of the zones."""
    return [shared.instance(service, f"{service}-{zone}", meta={"zone": zone, **meta}) for zone in zones]


def test_a_zone_that_dies_hands_its_traffic_to_the_next_and_takes_it_back(
    shared: Mesh, client: Sidecar, northern: Sidecar
) -> None:
    """Consul's check still passes: Envoy notices by itself, and looks again when the ejection is over."""
    near, far, other = in_zones(shared, "near", "north", "south", "south-too")
    northern.wait_served_by("near", near)
    client.wait_served_by("near", near, far, other)
    near.process.kill()
    northern.wait_served_by("near", far, other)
    near.process.start()
    northern.wait_served_by("near", near)


def test_a_zone_whose_checks_fail_is_left_at_once(shared: Mesh, northern: Sidecar) -> None:
    near, far = in_zones(shared, "near", "north", "south")
    northern.wait_served_by("near", near)
    with northern.load("near") as load:
        eventually(lambda: load.count > 50, "traffic")
        shared.fail_check(near)
        eventually(lambda: load.answered[far.name] > 50, "traffic in the south")
        shared.pass_check(near)
        before = load.answered[near.name]
        eventually(lambda: load.answered[near.name] > before + 50, "traffic in the north again")
    assert load.failures == []


def test_zones_get_the_shares_that_are_written(shared: Mesh, northern: Sidecar) -> None:
    """Whatever there is of instances in each; one in a zone that is not written gets nothing."""
    north, south, _ = in_zones(shared, "shared-out", "north", "south", "west")
    more = shared.instance("shared-out", "shared-out-south-2", meta={"zone": "south"})
    served = {north.name, south.name, more.name}
    northern.wait_served_by("shared-out", north, south, more)
    count = 1000
    found = northern.shares("shared-out", count)
    assert set(found) == served
    assert abs(found[north.name] - 0.7 * count) <= 3 * math.sqrt(count * 0.7 * 0.3)


def test_labels_in_common_come_before_places(shared: Mesh, northern: Sidecar) -> None:
    (same_rack,) = in_zones(shared, "labelled", "south", rack="r1")
    (other_rack,) = in_zones(shared, "labelled", "north", rack="r2")
    northern.wait_served_by("labelled", same_rack)
    shared.fail_check(same_rack)
    northern.wait_served_by("labelled", other_rack)


ELSEWHERE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: two-homes}}
spec:
  hosts: [two-homes.service.consul]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}, locality: dc1/south}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: two-homes}}
spec:
  host: two-homes
  trafficPolicy:
    outlierDetection: {{consecutive5xxErrors: 3, interval: 0.5s, baseEjectionTime: 1s, maxEjectionPercent: 100}}
"""


def test_one_service_on_two_platforms_fails_over_from_one_to_the_other(shared: Mesh, northern: Sidecar) -> None:
    """Near, what Consul knows; farther, what the configuration tells of, as of a host outside of any platform."""
    (near,) = in_zones(shared, "two-homes", "north")
    far = shared.workload("two-homes", "two-homes-host")
    shared.apply("two-homes.yaml", ELSEWHERE.format(port=far.port))
    northern.wait_served_by("two-homes", near)
    near.behave(failures=-1, status=503)
    northern.wait_served_by("two-homes", far)
    near.behave()
    northern.wait_served_by("two-homes", near)
    shared.fail_check(near)
    northern.wait_served_by("two-homes", far)
