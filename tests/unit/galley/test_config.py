"""Config and the form of a problem."""

from __future__ import annotations

import datetime

from galley.config import Config, ConfigObject, Problem
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.virtual_service import VirtualService


def test_objects_are_sorted_under_their_kinds() -> None:
    first = ConfigObject("VirtualService", "a", "z", VirtualService())
    second = ConfigObject("VirtualService", "b", "a", VirtualService())
    rule = ConfigObject("DestinationRule", "a", "a", DestinationRule())
    config = Config.of([second, rule, first], version=3)
    assert config.virtual_services == (first, second)
    assert config.destination_rules == (rule,)
    assert config.version == 3
    assert config.objects() == (first, second, rule)


def test_an_object_says_what_it_is() -> None:
    assert (
        str(ConfigObject("VirtualService", "default", "reviews", VirtualService())) == "VirtualService default/reviews"
    )


def test_a_problem_reads_as_the_style_page_has_it() -> None:
    problem = Problem(
        "reviews.yaml:14:9",
        "VirtualService default/reviews",
        "spec.http[0].route weights sum to 90, not 100",
        "make them sum to 100, or leave all weights out to split evenly",
        kept_since=datetime.datetime(2026, 1, 2, 10, 41, 7, tzinfo=datetime.UTC),
    )
    assert str(problem) == (
        "reviews.yaml:14:9  VirtualService default/reviews: spec.http[0].route weights sum to 90, not 100\n"
        "    make them sum to 100, or leave all weights out to split evenly; "
        "the version accepted at 10:41:07 stays in force"
    )


def test_a_problem_without_advice_is_one_line() -> None:
    assert str(Problem("a.yaml", "", "is not valid YAML", code="IST1")) == "a.yaml  is not valid YAML [IST1]"
