"""The two ways to write a log line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from mesh_adapter import logs
from mesh_adapter.logs import JsonFormatter, TextFormatter


def record(message: str = "platform %s is stale", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("mesh", logging.WARNING, "file.py", 1, message, arguments or ("one",), None)
    made.created = 1769856067.12
    vars(made).update(extra)
    return made


def failed() -> logging.LogRecord:
    made = record()
    try:
        raise ValueError("a bug")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_text() -> None:
    line = TextFormatter().format(record(platform="one"))
    assert line == "2026-01-31T10:41:07.120Z warning platform one is stale"


def test_text_with_an_exception() -> None:
    text = TextFormatter().format(failed())
    assert text.splitlines()[-1] == "ValueError: a bug"


def test_json_keeps_the_extra_fields() -> None:
    line = JsonFormatter().format(record(platform="one", objects=("a", "b")))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-31T10:41:07.120+00:00",
        "level": "warning",
        "logger": "mesh",
        "message": "platform one is stale",
        "platform": "one",
        "objects": ["a", "b"],
    }


def test_json_with_an_exception_and_a_value_that_json_does_not_know() -> None:
    made = failed()
    made.where = object
    found = json.loads(JsonFormatter().format(made))
    assert found["exception"].endswith("ValueError: a bug")
    assert found["where"] == "<class 'object'>"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    found.handlers[:] = handlers
    found.setLevel(level)


@pytest.mark.parametrize(("style", "starts"), [("text", "2"), ("json", "{")])
def test_configure(root: logging.Logger, capsys: pytest.CaptureFixture[str], style: str, starts: str) -> None:
    logs.configure("warning", style)
    logging.getLogger("mesh").info("not this")
    logging.getLogger("mesh").warning("this")
    assert len(root.handlers) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines()), err[0]) == ("", 1, starts)
