"""The demo's child processes: started with a log of their own, watched, and ended for certain.

A child dies with this process, however this process dies: the kernel is told so before the child becomes its program.
Each has a session of its own, so that a terminal's Ctrl-C reaches only us, who end the children in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs

STOP_TAKES_AT_MOST = 4.0
KILL_TAKES_AT_MOST = 2.0
LINES_SHOWN = 15
_PR_SET_PDEATHSIG = 1


@attrs.frozen
class Command:
    """What to run as what name; `piped` gives its stdout to us, else it goes into the log like stderr."""

    name: str
    arguments: tuple[str, ...]
    piped: bool = False


@attrs.frozen
class Death:
    """A child that ended without having been told to."""

    name: str
    how: str
    log: Path
    last_lines: tuple[str, ...]

    def __str__(self) -> str:
        said = "".join(f"\n    {line}" for line in self.last_lines) or "\n    (nothing)"
        return f"{self.name} {self.how}; its log {self.log} ends with:{said}"


class ChildDiedError(Exception):
    """A child is gone that the demo can't go on without."""


@attrs.define(eq=False)
class Child:
    """A running one; `dismissed` once it was told to end, `reader` what reads its stdout, if that is piped."""

    name: str
    log: Path
    process: asyncio.subprocess.Process
    dismissed: bool = False
    watch: asyncio.Task[None] | None = None
    reader: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        self.dismissed = True
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def gone(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), seconds)
        return not self.running


class Children:
    """All of them. Deaths that nobody asked for are put into `deaths`."""

    def __init__(self, logs: Path) -> None:
        self.deaths: asyncio.Queue[Death] = asyncio.Queue()
        self._logs = logs
        self._children: dict[str, Child] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Of those that run, by name."""
        return {name: child.process.pid for name, child in self._children.items() if child.running}

    async def start(self, command: Command) -> Child:
        """Raises OSError if the program can't be started."""
        log = self._logs / f"{command.name}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if command.piped else out,
                stderr=out,
                env=_environment(),
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
            )
        child = self._children[command.name] = Child(command.name, log, process)
        child.watch = asyncio.create_task(self._watch(child))
        return child

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would; it counts as told."""
        self._children[name].send(signal.SIGKILL)

    async def stop(self, order: Iterable[str]) -> None:
        """Ends those named, then all others, SIGTERM first; all are gone after ten seconds at the most."""
        first = [self._children[name] for name in order if name in self._children]
        rest = [child for child in self._children.values() if child not in first]
        for child in first:
            child.send(signal.SIGTERM)
        await _end(first, STOP_TAKES_AT_MOST / 2)
        for child in rest:
            child.send(signal.SIGTERM)
        await _end(rest, STOP_TAKES_AT_MOST)

    async def _watch(self, child: Child) -> None:
        code = await child.process.wait()
        if not child.dismissed:
            self.deaths.put_nowait(Death(child.name, how_it_ended(code), child.log, tuple(last_lines(child.log))))


async def _end(children: Sequence[Child], seconds: float) -> None:
    """Waits, kills what is left, waits for that."""
    if not children:
        return
    gone = await asyncio.gather(*(child.gone(seconds) for child in children))
    left = [child for child, done in zip(children, gone, strict=True) if not done]
    for child in left:
        child.send(signal.SIGKILL)
    await asyncio.gather(*(child.gone(KILL_TAKES_AT_MOST) for child in left))
    await asyncio.gather(*(child.watch for child in children if child.watch))


def how_it_ended(code: int) -> str:
    """The end of a sentence that begins with the child's name."""
    if code >= 0:
        return f"ended with exit status {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def last_lines(log: Path) -> list[str]:
    """What it said last."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:]
    except OSError:
        return []


def _environment() -> dict[str, str]:
    """Ours without settings for the product: the demo is the same on every machine, whatever mesh it belongs to."""
    foreign = ("MESH_ADAPTER_", "CONSUL_", "NOMAD_", "VAULT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _die_with(parent: int) -> Callable[[], None]:
    """Runs in the child before its program does. The library is loaded before the fork: after it that may hang."""
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)

    return prepare
