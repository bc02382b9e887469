"""What to list and watch, and what is left of an object when it was read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Json = Mapping[str, Any]
Key = tuple[str, str]
"""Namespace (empty for what has none) and name."""

MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What reading an object of another shape than documented raises."""


class BrokenError(ValueError):
    """An object that can't be used: what is wrong, and what to do about it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.message, self.mend = message, mend


@attrs.frozen
class Broken:
    """Stands in the place of an object that `decode` refused; its last good version stays in force."""

    message: str
    mend: str


@attrs.frozen(eq=False)
class Resource(Generic[T_co]):
    """One collection of objects. `decode` makes of an object what is kept of it, so that the rest is not.

    It is called in the thread that reads; BrokenError, or any of MALFORMED, for an object that can't be used.
    `namespace` is empty for all namespaces. Trouble with a resource that is not `essential` makes nothing stale.
    """

    group: str
    version: str
    plural: str
    decode: Callable[[Json], T_co]
    namespace: str = ""
    essential: bool = True

    @property
    def path(self) -> str:
        """Of the collection, on the API server."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{self.namespace}/{self.plural}" if self.namespace else f"{root}/{self.plural}"

    def __str__(self) -> str:
        return f"{self.plural} in {self.namespace}" if self.namespace else self.plural
