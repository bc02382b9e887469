"""The list of checks is compared exactly, however little of it is parsed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.consul.checks import CheckChange, CheckList
from adapters.consul.convert import UnreadableError

Checks = dict[tuple[str, str], tuple[str, int, str]]

keys = st.tuples(st.sampled_from(("n1", "n2")), st.sampled_from(("a", "b", "c", "d")))
values = st.tuples(
    st.sampled_from(("", "web", "db")), st.integers(0, 3), st.sampled_from(("", '"},{"', "]", "\\", "é"))
)
lists = st.dictionaries(keys, values, max_size=8)


def body(checks: Checks, spaced: bool = False) -> bytes:
    listed = [
        {"Node": node, "CheckID": check, "ServiceName": name, "Output": output, "ModifyIndex": index}
        for (node, check), (name, index, output) in sorted(checks.items())
    ]
    return json.dumps(listed, separators=(", ", ": ") if spaced else (",", ":"), ensure_ascii=False).encode()


def expected(before: Checks, after: Checks) -> CheckChange:
    """The same without any shortcut."""
    touched = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    left = {before[k][0] for k in touched & before.keys() if k not in after or after[k][0] != before[k][0]}
    came = [after[key] for key in touched & after.keys() if after[key][0] and after[key][0] not in left]
    latest = {name: max(index for n, index, _ in came if n == name) for name, _, _ in came}
    sides = [(key, side[key]) for key in touched for side in (before, after) if key in side]
    return CheckChange(
        names=frozenset(value[0] for _, value in sides if value[0]),
        nodes=frozenset(key[0] for key, value in sides if not value[0]),
        latest=latest,
        indexes=frozenset(after[key][1] for key in touched if key in after),
        vanished=bool(before.keys() - after.keys()),
    )


@settings(deadline=None)
@given(st.lists(lists, min_size=1, max_size=4), st.booleans())
def test_it_finds_what_a_full_comparison_finds(history: list[Checks], spaced: bool) -> None:
    kept = CheckList()
    before: Checks = {}
    for after in history:
        assert kept.update(body(after, spaced)) == expected(before, after)
        before = after


def test_one_change_among_thousands_names_its_service_only() -> None:
    kept = CheckList()
    many: Checks = {(f"n{i % 50}", f"c{i}"): (f"s{i}", i, "fine") for i in range(5000)}
    kept.update(body(many))
    many["n7", "c7"] = ("s7", 9000, "broken")
    assert kept.update(body(many)) == CheckChange(frozenset({"s7"}), {"s7": 9000}, indexes=frozenset({9000}))


def test_a_node_check_names_the_node() -> None:
    kept = CheckList()
    kept.update(body({("n1", "serfHealth"): ("", 1, "")}))
    assert kept.update(body({("n1", "serfHealth"): ("", 2, "")})).nodes == {"n1"}


def test_null_is_the_empty_list() -> None:
    kept = CheckList()
    kept.update(body({("n1", "a"): ("web", 1, "")}))
    assert kept.update(b"null") == CheckChange(frozenset({"web"}), vanished=True)


@pytest.mark.parametrize("broken", [b"{}", b"[1]", b"[{]", b"rpc error", b'[{"Node":"n"}', b"[" * 5000])
def test_a_broken_answer_changes_nothing(broken: bytes) -> None:
    kept = CheckList()
    kept.update(body({("n1", "a"): ("web", 1, "")}))
    with pytest.raises(UnreadableError):
        kept.update(broken)
    assert kept.update(body({("n1", "a"): ("web", 1, "")})) == CheckChange()
