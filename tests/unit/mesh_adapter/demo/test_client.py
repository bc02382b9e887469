"""The client's timetable."""

from __future__ import annotations

import pytest

from mesh_adapter.demo.client import next_turn


@pytest.mark.parametrize(("now", "turn"), [(9.0, 10.0), (10.0, 10.0), (10.1, 10.5), (10.5, 10.5), (12.6, 13.0)])
def test_missed_turns_are_left_out(now: float, turn: float) -> None:
    assert next_turn(now, first=10.0, every=0.5) == pytest.approx(turn)
