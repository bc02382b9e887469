"""`stdio`: log entries and metrics as lines on standard output, standard error, or in a file that may rotate."""

from __future__ import annotations

import datetime
import enum
import json
import logging
import logging.handlers
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from galley.finding import Finding
from galley.schema import Int32, Numbered
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.plain import shown_value

_MEGABYTE = 1024 * 1024


class Stream(enum.Enum):
    """Where lines go."""

    STDOUT = "STDOUT"
    STDERR = "STDERR"
    FILE = "FILE"
    ROTATED_FILE = "ROTATED_FILE"


class Level(Numbered):
    """Severities, the least first."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


_ORDER = tuple(Level)


@attrs.frozen
class Params:
    """Istio's, with its defaults: 100 MB before a file rotates, 30 days, 1,000 files."""

    log_stream: Stream = Stream.STDOUT
    severity_levels: tuple[tuple[str, Level], ...] = ()
    metric_level: Level = Level.INFO
    output_as_json: bool = False
    output_level: Level = Level.INFO
    output_path: str = ""
    max_megabytes_before_rotation: Int32 = 100
    max_days_before_rotation: Int32 = 30
    max_rotated_files: Int32 = 1000


Write = Callable[[str], None]


class StdioHandler:
    """Writes at once: lines are short, and the operating system buffers them."""

    def __init__(self, params: Params, write: Write, close: Callable[[], None], now: Callable[[], float]) -> None:
        self._params = params
        self._levels = {name.lower(): level for name, level in params.severity_levels}
        self._least = _ORDER.index(params.output_level)
        self._write = write
        self._close = close
        self._now = now

    def report(self, instances: Sequence[Instance]) -> None:
        for each in instances:
            level = self._level(each)
            if _ORDER.index(level) >= self._least:
                self._write(self._line(each, level))

    def _level(self, instance: Instance) -> Level:
        if instance.template == "metric":
            return self._params.metric_level
        severity = str(instance.fields.get("severity", "")).lower()
        known = self._levels.get(severity)
        return known or next((each for each in Level if each.value.lower() == severity), Level.INFO)

    def _line(self, instance: Instance, level: Level) -> str:
        fields = instance.fields
        time_ = fields.get("timestamp") or datetime.datetime.fromtimestamp(self._now(), datetime.UTC)
        line: dict[str, Any] = {"level": level.value.lower(), "time": shown_value(time_), "instance": _full(instance)}
        if instance.template == "metric":
            line["value"] = shown_value(fields["value"]) if "value" in fields else None
            line |= _shown(fields.get("dimensions", {}))
        else:
            line |= _shown(fields.get("variables", {}))
        if self._params.output_as_json:
            return json.dumps(line)
        said = {name: each for name, each in line.items() if name not in ("level", "time", "instance")}
        return "\t".join((line["time"], line["level"], line["instance"], json.dumps(said)))

    async def close(self) -> None:
        self._close()


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: shown_value(value) for name, value in values.items()}


def _full(instance: Instance) -> str:
    return f"{instance.name}.instance.{instance.namespace}"


class _Rotated(logging.handlers.RotatingFileHandler):
    """The standard library's rotation by size; files older than the days are taken away when one is rotated."""

    def __init__(self, params: Params) -> None:
        size = params.max_megabytes_before_rotation * _MEGABYTE
        super().__init__(params.output_path, maxBytes=size, backupCount=params.max_rotated_files, encoding="utf-8")
        self._days = params.max_days_before_rotation

    def write(self, line: str) -> None:
        self.handle(logging.LogRecord("stdio", logging.INFO, "", 0, "%s", (line,), None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A line that cannot be written is the handler's failure, not a page on standard error."""
        error = sys.exc_info()[1]
        if error is not None:
            raise error

    def doRollover(self) -> None:  # noqa: N802 - as above
        super().doRollover()
        if not self._days:
            return
        oldest = time.time() - self._days * 86_400
        path = pathlib.Path(self.baseFilename)
        for each in path.parent.glob(f"{path.name}.*"):
            if each.suffix[1:].isdecimal() and each.stat().st_mtime < oldest:
                each.unlink()


def _open(params: Params, surroundings: Surroundings) -> StdioHandler:
    match params.log_stream:
        case Stream.STDOUT | Stream.STDERR:
            name = params.log_stream.value.lower()
            return StdioHandler(
                params, lambda line: print(line, file=getattr(sys, name), flush=True), _nothing, surroundings.now
            )
        case Stream.FILE:
            file = open(params.output_path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed with the handler
            return StdioHandler(params, lambda line: print(line, file=file), file.close, surroundings.now)
        case Stream.ROTATED_FILE:
            rotated = _Rotated(params)
            return StdioHandler(params, rotated.write, rotated.close, surroundings.now)


def _nothing() -> None:
    return None


def _check(params: Params) -> Iterator[Finding]:
    in_file = params.log_stream in (Stream.FILE, Stream.ROTATED_FILE)
    if in_file and not params.output_path:
        yield Finding(("outputPath",), "is missing", "name the file")
    for name in ("max_megabytes_before_rotation", "max_days_before_rotation", "max_rotated_files"):
        if getattr(params, name) < 0:
            head, *rest = name.split("_")
            wire = head + "".join(each.title() for each in rest)
            yield Finding((wire,), f"must not be negative, it is {getattr(params, name)}")


STDIO = HandlerType("stdio", frozenset({"logentry", "metric"}), Params, _open, _check)
