"""The table and the verdict as people read them."""

from __future__ import annotations

from mesh_adapter.demo.table import table, verdict
from mesh_adapter.demo.tally import Row
from mesh_adapter.demo.verdict import Measured, Step


def test_columns_line_up_and_only_the_split_service_is_configured() -> None:
    rows = (
        Row("web", "v1", 1000, 1.0, 0, 3.14, 20.0, {"web-v1": 1000}),
        Row("reviews", "v2", 100, 0.1, 3, 1.0, 9.99, {"reviews-v2-a": 60, "reviews-v2-b": 40}),
    )
    assert table(rows, {"v1": 90.0, "v2": 10.0}) == [
        "SERVICE  VERSION  REQUESTS    SHARE  CONFIGURED  ERRORS  P50 MS  P99 MS  INSTANCES",
        "web      v1           1000  100.0 %                   0     3.1    20.0",
        "reviews  v2            100   10.0 %        10 %       3     1.0    10.0  reviews-v2-a 60  reviews-v2-b 40",
    ]


def test_without_traffic_there_are_headings_only() -> None:
    assert len(table((), {})) == 1


def test_a_verdict_names_the_problems() -> None:
    good = Step(1, "split", {"v1": 100.0}, Measured({"v1": 10}))
    bad = Step(1, "split", {"v1": 100.0}, Measured({"v1": 10}, {"lost": 1}))
    assert verdict(good) == ["    as configured: v1 100 % of 10 requests, 0 errors"]
    assert verdict(bad) == ["    NOT AS CONFIGURED: v1 100 % of 10 requests, 1 errors", "      1 x lost"]
