"""Whatever is asked and when: no window grants more than its maximum within its duration."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.quota import FixedWindow, Limit, RollingWindow

_ASKED = st.lists(
    st.tuples(st.floats(0, 0.7, allow_nan=False), st.integers(1, 2**63 - 1) | st.integers(1, 5), st.booleans()),
    max_size=60,
)


@given(asked=_ASKED, maximum=st.integers(0, 12))
@settings(deadline=None)
def test_a_rolling_window_never_grants_too_much(asked: list[tuple[float, int, bool]], maximum: int) -> None:
    window = RollingWindow(Limit(maximum, 1.0))
    now, granted = 100.0, []
    for wait, amount, best_effort in asked:
        now += wait
        got = window.take(amount, best_effort, now)
        assert 0 <= got <= amount
        assert best_effort or got in (0, amount)
        granted.append((now, got))
    for begin, _ in granted:
        assert sum(got for at, got in granted if begin <= at < begin + 1.0) <= maximum


@given(asked=_ASKED, maximum=st.integers(0, 12))
@settings(deadline=None)
def test_a_fixed_window_grants_no_more_than_its_maximum_a_window(
    asked: list[tuple[float, int, bool]], maximum: int
) -> None:
    window = FixedWindow(Limit(maximum, 1.0))
    now, begins, used = 100.0, float("-inf"), 0
    for wait, amount, best_effort in asked:
        now += wait
        if now >= begins + 1.0:
            begins, used = now, 0
        used += window.take(amount, best_effort, now)
        assert used <= maximum
