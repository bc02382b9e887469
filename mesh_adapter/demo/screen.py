"""Where the demo talks to people: lines that stay; on a terminal, below them, a picture that is redrawn in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TextIO

_UP = "\x1b[{}A"
_CLEAR_BELOW = "\x1b[J"


class Screen:
    """On anything but a terminal there is no picture, only lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._picture: list[str] = []
        self.terminal = out.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, line: str) -> None:
        """A line that stays."""
        self._out.write(self._erase() + line + "\n" + "".join(f"{each}\n" for each in self._picture))
        self._out.flush()

    def say_all(self, *lines: str) -> None:
        """Several of them."""
        self.say("\n".join(lines))

    def draw(self, lines: Sequence[str]) -> None:
        """The new picture; only on a terminal."""
        if not self.terminal:
            return
        columns, rows = shutil.get_terminal_size()
        erase = self._erase()
        # A line that wraps, or one above the top, could not be erased by moving up.
        self._picture = [line[: columns - 1] for line in lines[: rows - 1]]
        self._out.write(erase + "".join(f"{line}\n" for line in self._picture))
        self._out.flush()

    def leave(self) -> None:
        """The picture stays as it is; what is said next comes below it."""
        self._picture = []

    def _erase(self) -> str:
        """What takes the cursor to where the picture begins, and the picture away."""
        return _UP.format(len(self._picture)) + _CLEAR_BELOW if self._picture else ""
