"""Who finds the addresses behind a cluster: what is told by EDS, and what the proxy looks up."""

from __future__ import annotations

import attrs
import pytest

from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Endpoint, Resolution, Service
from pilot.plan.clusters import outbound_clusters
from pilot.plan.endpoints import load_assignments
from pilot.plan.resolution import resolved
from tests.unit.pilot.plan.world import endpoint, service

VIEW = OutboundView()


def told(resolution: Resolution, *endpoints: Endpoint) -> tuple[ir.Cluster, int]:
    """The one cluster of a service, and how many load assignments are told beside it."""
    found: Service = attrs.evolve(service(endpoints=endpoints), resolution=resolution)
    clusters, assignments = resolved(found, outbound_clusters(found, (), VIEW), load_assignments(found, (), VIEW))
    (cluster,) = clusters
    return cluster, len(assignments)


def inside(cluster: ir.Cluster) -> list[str]:
    localities = cluster.endpoints.localities if cluster.endpoints else ()
    return [each.address for locality in localities for each in locality.endpoints]


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "unix:///run/a.sock"])
def test_addresses_are_told_by_the_control_plane(address: str) -> None:
    cluster, assignments = told(Resolution.ENDPOINTS, endpoint(address))
    assert (cluster.discovery, inside(cluster), assignments) == (ir.Discovery.EDS, [], 1)


def test_a_name_among_them_is_looked_up_by_the_proxy_which_takes_no_file() -> None:
    cluster, assignments = told(Resolution.ENDPOINTS, endpoint("a.example"), endpoint("unix:///run/a"))
    assert (cluster.discovery, inside(cluster), assignments) == (ir.Discovery.STRICT_DNS, ["a.example"], 0)


@pytest.mark.parametrize(
    ("names", "discovery"),
    [
        ((), ir.Discovery.STRICT_DNS),
        (("a.example",), ir.Discovery.LOGICAL_DNS),
        (("a.example", "b.example"), ir.Discovery.STRICT_DNS),
    ],
)
def test_one_name_at_a_time_is_possible_for_one_name_only(names: tuple[str, ...], discovery: ir.Discovery) -> None:
    cluster, _ = told(Resolution.DNS_ROUND_ROBIN, *map(endpoint, names))
    assert (cluster.discovery, inside(cluster)) == (discovery, list(names))
    assert told(Resolution.DNS, *map(endpoint, names))[0].discovery is ir.Discovery.STRICT_DNS


def test_a_host_that_requests_name_is_not_balanced() -> None:
    cluster, assignments = told(Resolution.BY_REQUEST)
    assert (cluster.discovery, assignments) == (ir.Discovery.DYNAMIC_FORWARD_PROXY, 0)
    assert (cluster.load_balancer, cluster.endpoints) == (ir.LoadBalancer.CLUSTER_PROVIDED, None)
