"""Decides who finds the addresses behind a cluster: the control plane, or the proxy by DNS. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from pilot import ir
from pilot.model.service import Resolution, Service
from pilot.plan.clusters import resolved_by_proxy
from pilot.plan.endpoints import UNIX, needs_dns


def resolved(
    service: Service, clusters: Sequence[ir.Cluster], assignments: Sequence[ir.LoadAssignment]
) -> tuple[Sequence[ir.Cluster], Sequence[ir.LoadAssignment]]:
    """What of both is to be told: a proxy that looks up names is given the endpoints within the clusters."""
    if service.resolution is Resolution.BY_REQUEST:
        return [_by_request(cluster) for cluster in clusters], ()
    if not needs_dns(service):
        return clusters, assignments
    names = [_without_files(assignment) for assignment in assignments]
    pairs = zip(clusters, names, strict=True)
    return [_one_at_a_time(service, resolved_by_proxy(*pair)) for pair in pairs], ()


def _by_request(cluster: ir.Cluster) -> ir.Cluster:
    """Nothing is balanced, ejected or warmed up: each host that a request names is one of its own."""
    return attrs.evolve(
        cluster,
        discovery=ir.Discovery.DYNAMIC_FORWARD_PROXY,
        load_balancer=ir.LoadBalancer.CLUSTER_PROVIDED,
        minimum_ring_size=None,
        maglev_table_size=None,
        slow_start=None,
        locality_weighted=False,
    )


def _one_at_a_time(service: Service, cluster: ir.Cluster) -> ir.Cluster:
    """Envoy's LOGICAL_DNS takes one name, no more and no fewer."""
    localities = cluster.endpoints.localities if cluster.endpoints else ()
    single = sum(len(locality.endpoints) for locality in localities) == 1
    if service.resolution is not Resolution.DNS_ROUND_ROBIN or not single:
        return cluster
    return attrs.evolve(cluster, discovery=ir.Discovery.LOGICAL_DNS)


def _without_files(assignment: ir.LoadAssignment) -> ir.LoadAssignment:
    """A Unix domain socket among names can't be told to an Envoy that looks up all of them."""
    kept = (
        attrs.evolve(each, endpoints=tuple(e for e in each.endpoints if not e.address.startswith(UNIX)))
        for each in assignment.localities
    )
    return attrs.evolve(assignment, localities=tuple(each for each in kept if each.endpoints))
