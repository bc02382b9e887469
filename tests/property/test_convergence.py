"""Whatever changed in model and rules on the way, a proxy holds what one that connects afresh is told.

From snapshots through planning and encoding to both variants of the protocol: 1,000 random sequences, always the same.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilot.generate import Generator
from pilot.xds.resource import Resources
from tests.property.test_pilot_generate import VIEWS, Change, World, changes
from tests.property.xds_clients import DeltaClient, SotwClient, accepted

SEQUENCES = 1_000


@pytest.mark.parametrize("model", [SotwClient, DeltaClient])
@settings(max_examples=SEQUENCES // 2, derandomize=True, deadline=None, database=None)
@given(history=st.lists(changes, min_size=1, max_size=10), seed=st.integers(0, 2**32 - 1))
def test_what_a_proxy_holds_does_not_depend_on_what_happened_before(
    model: type[SotwClient] | type[DeltaClient], history: Sequence[Change], seed: int
) -> None:
    chance = random.Random(seed)
    view = chance.choice(VIEWS)
    world, generator = World(), Generator()
    latest: Resources | None = None
    client = model(chance)
    client.connect(None)
    for change in history:
        world.take(change)
        generator.update(world.snapshot)
        latest = generator.resources(view)
        client.update(latest)
        while client.inbox and chance.random() < 0.7:
            client.answer(refuse=False)
        if chance.random() < 0.1:
            client.connect(latest)
    for _ in accepted(client):
        pass

    afresh = Generator()
    afresh.update(world.snapshot)
    fresh = model(chance)
    fresh.connect(afresh.resources(view))
    for _ in accepted(fresh):
        pass
    assert client.versions() == fresh.versions()
