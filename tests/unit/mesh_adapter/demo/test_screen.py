"""Lines and pictures."""

from __future__ import annotations

import io

import pytest

from mesh_adapter.demo.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "20", "LINES": "4"}.items():
        monkeypatch.setenv(name, value)


def test_a_picture_is_drawn_over_the_last_one() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.draw(["a", "b"])
    screen.draw(["c"])
    assert out.getvalue() == "a\nb\n\x1b[2A\x1b[Jc\n"


def test_lines_go_above_the_picture() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.draw(["picture"])
    screen.say("line")
    assert out.getvalue() == "picture\n\x1b[1A\x1b[Jline\npicture\n"
    screen.leave()
    screen.say_all("after", "it")
    assert out.getvalue().endswith("picture\nafter\nit\n")


def test_what_could_not_be_erased_is_cut() -> None:
    out = Terminal()
    Screen(out).draw(["x" * 30] * 6)
    assert out.getvalue() == ("x" * 19 + "\n") * 3


def test_without_a_terminal_there_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    Screen(out).draw(["picture"])
    assert out.getvalue() == ""
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen(Terminal()).terminal
