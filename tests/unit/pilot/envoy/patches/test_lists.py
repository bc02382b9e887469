"""One operation on a list."""

from __future__ import annotations

import pytest

from galley.kinds.envoy_filter import Operation
from pilot.envoy.patches.lists import edited


@pytest.mark.parametrize(
    ("operation", "named", "result"),
    [
        (Operation.ADD, None, "abbcX"),
        (Operation.ADD, "b", "abbcX"),
        (Operation.INSERT_FIRST, None, "Xabbc"),
        (Operation.INSERT_FIRST, "c", "Xabbc"),
        (Operation.INSERT_BEFORE, None, "Xabbc"),
        (Operation.INSERT_BEFORE, "b", "aXbbc"),
        (Operation.INSERT_BEFORE, "z", "abbc"),
        (Operation.INSERT_AFTER, None, "abbcX"),
        (Operation.INSERT_AFTER, "b", "abXbc"),
        (Operation.INSERT_AFTER, "c", "abbcX"),
        (Operation.INSERT_AFTER, "z", "abbc"),
        (Operation.REPLACE, "b", "aXbc"),
        (Operation.REPLACE, "z", "abbc"),
        (Operation.REMOVE, "b", "ac"),
        (Operation.REMOVE, "z", "abbc"),
    ],
)
def test_the_list_afterwards(operation: Operation, named: str | None, result: str) -> None:
    found = edited(list("abbc"), operation, "X", (lambda each: each == named) if named else None)
    assert "".join(found) == result
