from __future__ import annotations

from pilot.plan.memo import Memo


def made(memo: Memo, key: str, log: list[str]) -> str:
    def make() -> str:
        log.append(key)
        return key.upper()

    return memo.get(key, make)


def test_a_value_is_made_once_and_goes_on_with_the_memo_that_follows() -> None:
    log: list[str] = []
    first = Memo()
    assert made(first, "a", log) == made(first, "a", log) == "A"
    assert made(Memo(first), "a", log) == "A"
    assert log == ["a"]


def test_what_nobody_asked_a_whole_memo_for_is_made_again() -> None:
    log: list[str] = []
    first = Memo()
    made(first, "a", log)
    made(Memo(Memo(first)), "a", log)
    assert log == ["a", "a"]
