"""When the agent tries again."""

from __future__ import annotations

import pytest

from citadel.agent.renewal import pause


@pytest.mark.parametrize(
    ("failures", "left", "draw", "expected"),
    [
        (1, None, 1.0, 2.0),
        (1, None, 0.0, 1.0),
        (3, 36000.0, 1.0, 8.0),
        (20, 36000.0, 1.0, 60.0),
        (5000, 36000.0, 1.0, 60.0),
        (20, None, 1.0, 10.0),
        (20, -5.0, 1.0, 10.0),
        (20, 40.0, 1.0, 10.0),
        (20, 4.0, 1.0, 1.0),
        (20, 0.1, 1.0, 0.25),
    ],
)
def test_it_doubles_and_leaves_room_before_the_end(
    failures: int, left: float | None, draw: float, expected: float
) -> None:
    assert pause(failures, left, draw) == pytest.approx(expected)
