"""Whatever happens on the way, a proxy ends where one that connects afresh begins.

Random changes, subscriptions, ACKs, NACKs, lost streams and late answers, seeded, against models of a
state-of-the-world and of a delta client. At the end everything is accepted; then what the model holds must be the
state itself, and on an aggregated stream no route may ever have led to a cluster that the proxy did not hold.
"""

from __future__ import annotations

import random

import pytest

from pilot.xds.resource import CDS, EDS, Resource, Resources
from tests.property.xds_clients import CLUSTERS, DeltaClient, SotwClient, accepted
from tests.unit.pilot.xds.conversation import assignment, listener, make, route, state

SEQUENCES = 1_002
"""Six lives of each seed: two variants, three kinds of trouble."""
STEPS = 40


def random_state(chance: random.Random, version: int) -> Resources:
    """A consistent mesh: EDS for every cluster, routes for every listener, every route to a cluster that exists."""

    def some() -> int:
        return chance.randint(max(0, version - 1), version)

    clusters = chance.sample(CLUSTERS, chance.randint(1, len(CLUSTERS)))
    routes = [f"r{n}" for n in range(chance.randint(1, 2))]
    resources: list[Resource] = []
    for name in clusters:
        resources += [make(CDS, name, some() // 4, ((EDS, name),)), assignment(name, some())]
    for name in routes:
        resources.append(route(name, f"{some()}>{chance.choice(clusters)}"))
    for number in range(chance.randint(1, 2)):
        leads_to = chance.choice(routes)
        resources.append(listener(f"l{number}", f"{some() // 4}>{leads_to}", [leads_to]))
    return state(*resources)


def live(client: SotwClient | DeltaClient, chance: random.Random, trouble: str) -> Resources:
    """A life of random steps, then peace: a last new state, everything accepted. Returns that state.

    In a life without `trouble` no route may ever lead nowhere. After refusals the last state is new in all its parts,
    for what was refused is not repeated until it changes.
    """
    latest: Resources | None = None
    client.connect(latest)
    for version in range(STEPS):
        step = chance.random()
        if step < 0.35:
            latest = random_state(chance, version)
            client.update(latest)
        elif step < 0.9:
            if client.inbox:
                client.answer(refuse=trouble == "refusals" and chance.random() < 0.3)
        elif trouble == "lost streams" and step < 0.93:
            client.connect(latest)
        if not trouble:
            client.check_routes()
    for _ in accepted(client):
        if not trouble:
            client.check_routes()
    latest = random_state(chance, STEPS)
    if trouble == "refusals":
        latest = renewed(latest)
    client.update(latest)
    if trouble == "lost streams":
        client.connect(latest)
    for _ in accepted(client):
        pass
    return latest


def renewed(resources: Resources) -> Resources:
    """Every resource at a new version, as a mended configuration would bring what was refused."""
    return state(
        *(
            make(each.type_url, each.name, f"new>{each.version.rpartition('>')[2]}", each.refers)
            for every in resources.values()
            for each in every.resources.values()
        )
    )


@pytest.mark.parametrize("model", [SotwClient, DeltaClient])
@pytest.mark.parametrize("trouble", ["", "lost streams", "refusals"])
def test_a_proxy_ends_where_one_that_connects_afresh_begins(
    model: type[SotwClient] | type[DeltaClient], trouble: str
) -> None:
    for seed in range(SEQUENCES // 6):
        chance = random.Random(seed)
        client = model(chance)
        latest = live(client, chance, trouble)
        fresh = model(chance)
        fresh.connect(latest)
        for _ in accepted(fresh):
            pass
        assert client.versions() == fresh.versions(), f"seed {seed}"
        assert client.routes_led_nowhere == 0, f"seed {seed}"
        client.update(latest)
        assert not client.inbox, f"seed {seed}: more is said though all is told"
