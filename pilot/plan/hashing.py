"""Decides what of a request or connection is hashed, by the destination rules of the clusters that it goes to. Pure.

A hash needs both sides: the cluster's ring or table (`pilot.plan.load_balancing`), and the policies of the route.
Called for every route with its clusters known.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.plan.client import Client
from pilot.plan.destination import policy_of

SOURCE_IP = ir.HashPolicy(ir.HashOf.SOURCE_IP)


def with_hash_policies(client: Client, routes: Iterable[ir.Route]) -> tuple[ir.Route, ...]:
    """The routes, each hashing what the destination rules of its clusters ask for, each thing once."""
    return tuple(_hashed(client, route) for route in routes)


def hashes_source_ip(client: Client, clusters: Iterable[ir.WeightedCluster]) -> bool:
    """Whether connections to these clusters go by their source: all that can be hashed of TCP."""
    return any(_hash_policy(client, each.cluster) == SOURCE_IP for each in clusters)


def _hashed(client: Client, route: ir.Route) -> ir.Route:
    if not isinstance(route.action, ir.Forward):
        return route
    found = (_hash_policy(client, each.cluster) for each in route.action.clusters)
    policies = tuple(dict.fromkeys(each for each in found if each))
    return attrs.evolve(route, action=attrs.evolve(route.action, hash_policies=policies)) if policies else route


def _hash_policy(client: Client, cluster: str) -> ir.HashPolicy | None:
    balancer = policy_of(client, cluster).load_balancer
    return _hash_key(balancer.consistent_hash) if balancer and balancer.consistent_hash else None


def _hash_key(hashing: kind.ConsistentHashLB) -> ir.HashPolicy | None:
    if hashing.http_header_name is not None:
        return ir.HashPolicy(ir.HashOf.HEADER, hashing.http_header_name)
    if hashing.http_query_parameter_name is not None:
        return ir.HashPolicy(ir.HashOf.QUERY_PARAMETER, hashing.http_query_parameter_name)
    if hashing.http_cookie:
        cookie = hashing.http_cookie
        attributes = tuple((each.name, each.value) for each in cookie.attributes)
        return ir.HashPolicy(ir.HashOf.COOKIE, cookie.name, cookie.path, cookie.ttl, attributes)
    return SOURCE_IP if hashing.use_source_ip else None
