"""The file that names all platforms: what it says, and what a fault in it costs."""

from __future__ import annotations

import pytest

from adapters.platforms_file import parse


def test_entries_with_their_options_as_they_were_written() -> None:
    text = b"platforms:\n- name: east\n  kind: consul\n  addr: 10.0.0.1:8500\n  datacenters: [a, b]\n- name: static\n"
    east, static = parse(text, "p.yaml").entries
    assert (east.name, east.kind, east.where) == ("east", "consul", "p.yaml:2:3")
    assert east.given == {"addr": "10.0.0.1:8500", "datacenters": ("a", "b")}
    assert (east.where_of("addr"), east.where_of("unknown")) == ("p.yaml:4:9", "p.yaml:2:3")
    assert (static.name, static.kind) == ("static", "static")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (b"platforms: [\n", "p.yaml:2:1", "not YAML"),
        (b"{}", "p.yaml:1:1", "platforms is missing"),
        (b"platforms: []\nmore: 1", "p.yaml:2:7", "unknown field 'more'"),
        (b"platforms: east", "p.yaml:1:12", "platforms is not a list"),
        (b"- name: east", "p.yaml:1:1", "the file is not a mapping"),
    ],
)
def test_a_fault_around_the_entries_costs_the_file(text: bytes, where: str, message: str) -> None:
    found = parse(text, "p.yaml")
    assert (found.entries, found.bad) == ((), None)
    assert (found.problems[0].where, message in found.problems[0].message) == (where, True)


@pytest.mark.parametrize(
    ("entry", "message", "bad"),
    [
        ("{name: b, addr: {c: d}}", "b.addr is not a text", {"b"}),
        ("{name: b, addr: [{c: d}]}", "b.addr[0] is not a text", {"b"}),
        ("{name: b, addr: x, addr: y}", "platforms[1].addr is given twice", None),
        ("{name: a}", "the name 'a' is taken", set()),
        ("{name: 'a b'}", "'a b' is no name", None),
        ("{name: " + "x" * 100 + "}", "is no name", None),
        ("text", "platforms[1] is not a mapping", None),
    ],
)
def test_a_fault_inside_an_entry_costs_that_entry(entry: str, message: str, bad: set[str] | None) -> None:
    found = parse(f"platforms:\n- name: a\n- {entry}\n".encode(), "p.yaml")
    assert [each.name for each in found.entries] == ["a"]
    assert found.bad == (None if bad is None else frozenset(bad))
    (problem,) = found.problems
    assert message in problem.message
    assert problem.mend
