"""What is wrong at one path of a document, before anybody knows its file and line.

Decoding and the checks of a kind speak in findings, so that they stay pure functions of plain data; `galley.validate`
gives them the document's coordinates and makes them problems.
"""

from __future__ import annotations

import re

import attrs

from galley.document import Path

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@attrs.frozen
class Finding:
    """One thing that is wrong. `message` reads on from the path: `spec.http[0].route` + `weights sum to 90`.

    A `warning` leaves the object usable.
    """

    path: Path
    message: str
    mend: str = ""
    warning: bool = False

    @property
    def text(self) -> str:
        """The message with its path in front."""
        return f"{path_text(self.path)} {self.message}" if self.path else self.message


def path_text(path: Path) -> str:
    """`spec.http[0].match[0].headers["x-user"]`: the path as an operator would write it."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{step}"]')
    return "".join(parts)


def related(path: Path, other: Path) -> bool:
    """Whether one of the two paths lies inside the other."""
    depth = min(len(path), len(other))
    return path[:depth] == other[:depth]
