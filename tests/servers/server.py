"""What every server here can do: start, stop, be killed, restart with its data or without, be a context manager."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from tests.servers.process import Process


class Server(ABC):
    """A server in the given folder, on ports that stay the same over restarts.

    Subclasses say how its process is made and when it is ready; they make a new Process for each start, so that a test
    may change options between a stop and a start.
    """

    #: Whether a restart finds the data that it had; a server in development mode keeps them in memory.
    keeps_data = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: Process | None = None

    @property
    def data(self) -> Path:
        """Where it keeps its data."""
        return self.folder / "data"

    @property
    def process(self) -> Process:
        """The child process of the last start."""
        if self._process is None:
            raise RuntimeError(f"{type(self).__name__} was never started")
        return self._process

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start it and wait until it is ready. Raises ServerFailedError with the end of its log."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._process = self._make_process()
        self._process.start()
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in an orderly manner. Repeatable."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End it as a crash would. Repeatable."""
        if self._process is not None:
            self._process.kill()

    def restart(self, *, empty: bool | None = None) -> None:
        """Stop and start it on the same ports; with its data unless empty (the default where it keeps none)."""
        empty = not self.keeps_data if empty is None else empty
        if not empty and not self.keeps_data:
            raise ValueError(f"{type(self).__name__} keeps its data in memory: make it with persistent=True")
        self.stop()
        if empty:
            self.clear()
        self.start()

    def clear(self) -> None:
        """Forget all data; only while it is stopped."""
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _make_process(self) -> Process:
        """The process to start, with its configuration written."""

    @abstractmethod
    def _wait_ready(self, process: Process) -> None:
        """Return when it answers what tests will ask; use process.wait_until."""
