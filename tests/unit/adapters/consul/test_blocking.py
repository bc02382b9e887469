"""The rules of blocking queries, one test a rule (B1 to B5, B9, B17)."""

from __future__ import annotations

from adapters.consul.blocking import (
    Cursor,
    answered,
    failed,
    read_timeout,
)


def test_the_first_answer_is_a_change_and_its_index_is_asked_with() -> None:
    turn = answered(Cursor(), 7, b"[]")
    assert (turn.cursor.index, turn.changed, turn.went_back, turn.since) == (7, True, False, 0)


def test_an_index_that_goes_back_is_reset_to_zero_and_everything_counts_as_changed() -> None:
    turn = answered(Cursor(index=9, last=9, body=b"[]"), 4, b"[]")
    assert (turn.cursor.index, turn.changed, turn.went_back, turn.since) == (0, True, True, 0)
    again = answered(turn.cursor, 4, b"[]")
    assert (again.cursor.index, again.changed, again.went_back) == (4, False, False)


def test_an_index_below_one_or_none_is_one_so_that_the_next_query_blocks() -> None:
    assert answered(Cursor(), 0, b"").cursor.index == 1
    assert answered(Cursor(), None, b"").cursor.index == 1


def test_an_answer_with_the_same_content_is_no_change_whatever_its_index() -> None:
    before = answered(Cursor(), 7, b"[1]").cursor
    assert not answered(before, 7, b"[1]").changed
    assert not answered(before, 8, b"[1]").changed
    assert answered(before, 8, b"[2]").changed
    assert answered(before, 8, b"[1]").since == 7


def test_after_a_failure_everything_is_asked_for_and_the_last_index_is_remembered() -> None:
    after = failed(Cursor(index=9, last=9, body=b"[]"))
    assert (after.index, after.last, after.failures) == (0, 9, 1)
    turn = answered(after, 9, b"[]")
    assert (turn.recovered, turn.changed, turn.went_back, turn.since) == (True, False, False, 0)
    assert answered(after, 3, b"[]").went_back


def test_an_overloaded_agent_need_not_send_everything_again() -> None:
    assert failed(Cursor(index=9, last=9), overloaded=True).index == 9


def test_the_timeout_allows_for_the_sixteenth_that_the_server_adds() -> None:
    assert read_timeout(300) >= 300 * 17 / 16
    assert read_timeout(1) > 1
