"""Files read once, for commands that look and end: `mesh-adapter validate` and `analyze`.

The same reading, validation and fold as the running control plane, so that both say the same.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable

from galley.config import Config, Problem
from galley.document import Unreadable
from galley.ingest.files import list_units, read_unit
from galley.kind import NO_CHECKS, Checks
from galley.process import State, fold


def load_files(
    paths: Iterable[str | os.PathLike[str]], checks: Checks = NO_CHECKS
) -> tuple[Config, tuple[Problem, ...]]:
    """The objects that would be in force, and everything wrong with the rest. A directory stands for its files.

    `checks` are those that the control plane makes besides those of the kinds.
    """
    now = datetime.datetime.now().astimezone()
    state = State(checks=checks)
    for path in paths:
        root = os.fspath(path)
        try:
            units = list_units(root)
        except OSError as error:
            state = fold(state, Unreadable(root, root, f"cannot be listed: {error.strerror}"), now)
            continue
        if not units and not os.path.isdir(root):
            state = fold(state, Unreadable(root, root, "does not exist", "check the path"), now)
        for unit in units:
            state = fold(state, read_unit(unit), now)
    return state.config(), state.problems()
