"""Counts, shares and percentiles."""

from __future__ import annotations

import pytest

from mesh_adapter.demo import tally
from tests.unit.mesh_adapter.demo.samples import hop, sample


def test_a_row_for_each_version_in_the_order_of_the_call() -> None:
    samples = [
        sample(hop("web", "v2", ms=5), hop("reviews", "v2", "b", ms=1)),
        sample(hop("web", "v1", ms=9), hop("reviews", "v2", "a", ms=3, ok=False)),
        sample(hop("web", "v2", ms=7), hop("reviews", "v2", "b", ms=2)),
    ]
    assert tally.rows(samples) == (
        tally.Row("web", "v1", 1, 1 / 3, 0, 9, 9, {"web-v1": 1}),
        tally.Row("web", "v2", 2, 2 / 3, 0, 5, 7, {"web-v2": 2}),
        tally.Row("reviews", "v2", 3, 1.0, 1, 2, 3, {"a": 1, "b": 2}),
    )


def test_no_traffic_is_no_row() -> None:
    assert tally.rows([]) == ()


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (100, 100)])
def test_percentiles_are_values_that_were_seen(percent: float, value: float) -> None:
    assert tally.percentile([float(each) for each in range(1, 101)], percent) == value


def test_a_single_value_is_every_percentile() -> None:
    assert tally.percentile([4.0], 50) == tally.percentile([4.0], 99) == 4.0


def test_versions_instances_and_errors_are_counted() -> None:
    samples = [sample(hop(), hop("web")), sample(hop(version="v2", instance="b"), error="lost")]
    assert tally.versions(samples, "reviews") == {"v1": 1, "v2": 1}
    assert tally.instances(samples, "reviews") == {"reviews-v1": 1, "b": 1}
    assert tally.errors(samples) == {"lost": 1}
