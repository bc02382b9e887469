"""What can be wrong with an expression, before it runs and while it does."""

from __future__ import annotations

import attrs


@attrs.frozen
class Position:
    """Where in the text: `offset` from 0, line and column from 1."""

    offset: int
    line: int
    column: int

    @classmethod
    def of(cls, text: str, offset: int) -> Position:
        before = text[:offset]
        return cls(offset, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class ExpressionError(Exception):
    """The expression cannot be used: found when configuration is read, never while a request waits."""

    def __init__(self, message: str, position: Position, mend: str = "") -> None:
        super().__init__(f"{position}: {message}")
        self.message = message
        self.position = position
        self.mend = mend


class EvaluationError(Exception):
    """The expression has no value for this bag."""


class AbsentError(EvaluationError):
    """An attribute, or an entry of one, is not there; `|` looks no further than for this."""

    def __init__(self, name: str, key: str | None = None) -> None:
        super().__init__(name, key)
        self.name = name
        self.key = key

    def __str__(self) -> str:
        if self.key is None:
            return f"attribute {self.name} is absent"
        return f'{self.name or "the map"} has no entry "{self.key}"'
