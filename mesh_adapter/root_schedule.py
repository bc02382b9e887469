"""New roots by the calendar: `--ca-root-rotate-every`. What `mesh-adapter cert rotate` does by hand, the leader does.

Started by `mesh_adapter.commands.start`. It begins a rotation when the root has been the only one for long enough, and
takes the steps that are due. Each step is durable and idempotent where it is kept (`citadel.rotation`), so a leader
that dies in the middle leaves nothing to clean up: the next one goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import attrs
import click

from citadel.rotation import State, Step
from mesh_adapter.leadership import Leadership
from mesh_adapter.root_rotation import RootRotation, told

log = logging.getLogger(__name__)

LONGEST_PAUSE = 600.0
LOOKS = 20
"""Between two roots it is looked at least so often."""


@attrs.frozen
class Progress:
    """How the roots are, as this replica last saw them while it led; for /debug/leader."""

    rotation: str = ""
    error: str = ""


def is_due(state: State, every: timedelta, now: datetime) -> bool:
    """Whether to begin with a new root: no rotation is under way, and the last one ended `every` ago."""
    return state.step is Step.STABLE and now >= state.since + every


class RootSchedule:
    """`rotator` gives the authority's rotation, which blocks; click's exceptions say what can't be done."""

    def __init__(
        self,
        rotator: Callable[[], AbstractContextManager[RootRotation]],
        every: timedelta,
        leadership: Leadership,
        clock: Callable[[], datetime],
    ) -> None:
        self._rotator, self._every, self._leadership, self._clock = rotator, every, leadership, clock
        self.progress = Progress()

    async def run(self) -> None:
        """Until cancelled."""
        pause = min(LONGEST_PAUSE, self._every.total_seconds() / LOOKS)
        while True:
            if self._leadership.leads():
                self._note(await asyncio.to_thread(self.turn))
            await asyncio.sleep(pause)

    def turn(self) -> Progress:
        """One look, and the steps that are due."""
        try:
            with self._rotator() as steps:
                if is_due(steps.state(), self._every, self._clock()) and self._leadership.leads():
                    steps.begin()
                after = steps.advance() if self._leadership.leads() else steps.state()
                return Progress(told(after, steps.due()))
        except click.ClickException as error:
            return Progress(self.progress.rotation, error.format_message())

    def _note(self, progress: Progress) -> None:
        if progress.error and progress.error != self.progress.error:
            log.warning("roots can't be rotated: %s", progress.error)
        if progress.rotation != self.progress.rotation:
            log.info("roots are %s", progress.rotation)
        self.progress = progress
