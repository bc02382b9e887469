"""A program at the other end is known by its name, and by its version where that may be too old."""

from __future__ import annotations

import pytest

from pilot.model.agent import NOBODY, OLDEST_ENVOY, SINCE, Agent, Feature


@pytest.mark.parametrize("name", ["gRPC C-core linux Python", "gRPC Go", "grpc-java"])
def test_clients_of_grpc_are_known_by_their_names(name: str) -> None:
    assert Agent(name, "1.2").is_grpc


@pytest.mark.parametrize("name", ["envoy", "", "my grpc client"])
def test_others_are_not_taken_for_them(name: str) -> None:
    assert not Agent(name).is_grpc


@pytest.mark.parametrize("version", ["1.37.9", "1.9.0", "0.40.0"])
def test_an_envoy_that_is_too_old_is_told_the_oldest_that_is_served(version: str) -> None:
    found = Agent("envoy", version).too_old
    assert found == f"Envoy {version} is too old: the oldest that is served is 1.38; upgrade this proxy"


@pytest.mark.parametrize("version", ["1.38.0", "1.40.0", "1.100.1", "2.0.0", "", "nightly", "main.7"])
def test_newer_ones_and_unreadable_versions_are_served(version: str) -> None:
    assert not Agent("envoy", version).too_old


def test_versions_of_other_programs_say_nothing() -> None:
    assert not Agent("gRPC Go", "1.2.0").too_old
    assert not NOBODY.too_old


def test_an_older_envoy_is_spared_what_it_does_not_know() -> None:
    assert Agent("envoy", "1.38.3").withheld == {Feature.RETRY_BUDGET_INTERVAL}
    assert not Agent("envoy", "1.39.0").withheld


def test_nothing_is_withheld_where_no_version_is_known() -> None:
    assert not any(each.withheld for each in (NOBODY, Agent("envoy", "main"), Agent("gRPC Go", "1.38.0")))


def test_every_feature_has_the_version_it_came_with() -> None:
    assert set(SINCE) == set(Feature)
    assert all(since > OLDEST_ENVOY for since in SINCE.values())
