"""How a path is written, and when two are about the same thing."""

from __future__ import annotations

from galley.finding import Finding, path_text, related


def test_a_path_is_written_as_an_operator_would() -> None:
    assert path_text(("spec", "http", 0, "headers", "x-user")) == 'spec.http[0].headers["x-user"]'


def test_the_message_reads_on_from_the_path() -> None:
    assert Finding(("spec", "hosts"), "are missing").text == "spec.hosts are missing"


def test_paths_are_related_when_one_lies_in_the_other() -> None:
    assert related(("a", "b"), ("a", "b", 0))
    assert related(("a", "b", 0), ("a",))
    assert not related(("a", "b"), ("a", "c"))
