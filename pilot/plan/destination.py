"""The traffic policy of a cluster that a route or a connection leads to, found by the cluster's name. Pure."""

from __future__ import annotations

from pilot.plan import names
from pilot.plan.client import Client
from pilot.plan.policy import Policy, policy, subset_of

NOTHING = Policy()


def policy_of(client: Client, cluster: str) -> Policy:
    """What the destination rules in force for the client say; of a cluster that is no service's, nothing."""
    parsed = names.parse_outbound_cluster(cluster)
    service = client.index.hosts.find(parsed[0], client.view.namespace) if parsed else None
    if service is None or parsed is None:
        return NOTHING
    rules = client.index.destination_rules_for(service, client.view)
    return policy(rules, parsed[1], subset_of(rules, parsed[2])) if rules else NOTHING
