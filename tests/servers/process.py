"""One child process of a test: started with a log, awaited by a condition, stopped by its own process id.

The servers beside this file use it. It never stops anything that it did not start: a process, and the processes that
descend from it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LOG_LINES_SHOWN = 30
POLL_EVERY = 0.05
KILL_TAKES_AT_MOST = 10.0


class ServerFailedError(Exception):
    """A server that ended, or was not ready in time; the message ends with the last lines of its log."""


class Process:
    """A child process, in a process group of its own, with its output and its temporary files in the given folder."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = tuple(command)
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._environment = dict(environment or {})
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The process id; only while it runs."""
        if self._child is None:
            raise ServerFailedError(f"{self.name} is not running")
        return self._child.pid

    def start(self) -> None:
        """Start it; the log goes on where a former start left it."""
        if self.running:
            raise ServerFailedError(f"{self.name} runs already, with process id {self.pid}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._child = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder), **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.add(self)

    def wait_until(self, condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
        """Poll until the condition holds. Raises ServerFailedError when the process ends first or the time is over.

        A condition that raises OSError (nobody listens yet, for one) is one that does not hold yet.
        """
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if condition():
                    return
            if not self.running:
                raise ServerFailedError(
                    f"{self.name} ended (exit code {self._exit_code()}) before {what}{self._tail()}"
                )
            if time.monotonic() > deadline:
                raise ServerFailedError(f"{self.name}: not {what} after {seconds:g} s{self._tail()}")
            time.sleep(POLL_EVERY)

    def stop(self, *, seconds: float = 15) -> None:
        """SIGTERM, and SIGKILL for what is left of it and its descendants when the time is over. Repeatable."""
        if self._child is None:
            return
        descendants = _descendants(self._child.pid)
        if self.running:
            self._child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
        self._end(descendants)

    def kill(self) -> None:
        """SIGKILL for it and its descendants, as a crash of the machine would. Repeatable."""
        if self._child is not None:
            self._end(_descendants(self._child.pid))

    def pause(self) -> None:
        """SIGSTOP: it keeps its sockets and answers nothing, as a machine that hangs does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: the end of a pause."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self, lines: int = LOG_LINES_SHOWN) -> str:
        """The last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _end(self, descendants: Sequence[tuple[int, str]]) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        for pid, began in descendants:
            _kill_and_wait(pid, began)
        _running.discard(self)

    def _exit_code(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def _tail(self) -> str:
        return f"; its last {LOG_LINES_SHOWN} log lines ({self.log}):\n{self.log_tail()}"


_running: weakref.WeakSet[Process] = weakref.WeakSet()


@atexit.register
def _kill_what_is_left() -> None:
    """Nothing outlives the test run, not even what a failing test forgot."""
    for process in tuple(_running):
        process.kill()


def _descendants(pid: int) -> list[tuple[int, str]]:
    """Children, their children and so on, each with the time it began (so that a reused id is not taken for it)."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        waiting = [child for parent in waiting for child in children.get(parent, [])]
        found.extend(waiting)
    return [(child, _began(child)) for child in found]


def _kill_and_wait(pid: int, began: str) -> None:
    """SIGKILL a descendant, unless its id is another process's by now, and see it gone: it may hold ports and mounts.

    It is not our child, so it can't be waited for; a zombie is gone enough (whoever inherited it will reap it).
    """
    deadline = time.monotonic() + KILL_TAKES_AT_MOST
    while (fields := _stat(pid)) is not None and fields[19] == began and fields[0] not in "ZX":
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ServerFailedError(f"process {pid} survives SIGKILL")
        time.sleep(POLL_EVERY)


def _began(pid: int) -> str:
    fields = _stat(pid)
    return "" if fields is None else fields[19]


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command's name: state, parent, … (see proc(5)); None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
