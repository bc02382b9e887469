"""Runs Envoy for a sidecar until it is told to end: the processes, signals and timers.

Called by the `sidecar` command, in the main thread. Takes no decision: `pilot.sidecar.supervision` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import math
import os
import signal
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

import attrs

from pilot.sidecar.address import free_port, is_taken
from pilot.sidecar.admin import Admin, AdminError
from pilot.sidecar.bootstrap import bootstrap
from pilot.sidecar.self_description import self_description
from pilot.sidecar.settings import LOOPBACK, SidecarSettings
from pilot.sidecar.supervision import Action, Limits, Phase, Step, Supervision

POLL_EVERY = 0.25
LOG_LEVELS = ("trace", "debug", "info", "warning", "error", "critical", "off")
_PR_SET_PDEATHSIG = 1


@attrs.frozen
class LaunchSettings:
    """How Envoy is run, apart from what it is told. `concurrency` is its number of worker threads."""

    envoy: Path
    concurrency: int = 2
    log_level: str = "info"
    limits: Limits = attrs.field(factory=Limits)


class PortTakenError(Exception):
    """Something on this host listens where the proxy is to; the message names the option."""


Beside = contextlib.AbstractAsyncContextManager[object]


def run(
    settings: SidecarSettings,
    launch: LaunchSettings,
    say: Callable[[str], None],
    beside: Callable[[], Beside] = contextlib.nullcontext,
) -> int:
    """The exit status, once Envoy was told to end by SIGTERM or SIGINT. Envoy's output goes where ours does.

    `say` is given one line at a time. `beside` is open, in the same event loop, from before Envoy's first start to
    after its end. Raises PortTakenError and what `beside` raises before the first start, and from then on nothing.
    """
    _refuse_taken_ports(settings)
    with tempfile.TemporaryDirectory(prefix="mesh-adapter-sidecar-") as folder:
        return asyncio.run(_run(_Launcher(settings, launch, say, Path(folder)), beside))


def run_beside_alone(beside: Callable[[], Beside]) -> None:
    """The same without an Envoy, which somebody else runs: until SIGTERM or SIGINT."""

    async def wait() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with beside():
            await stop.wait()

    asyncio.run(wait())


async def _run(launcher: _Launcher, beside: Callable[[], Beside]) -> int:
    async with beside():
        return await launcher.run()


def _refuse_taken_ports(settings: SidecarSettings) -> None:
    """Two Envoys of one user may listen on one port: the kernel would share out requests between two services."""
    for each in settings.listening:
        if each.port and is_taken(each.address, each.port):
            raise PortTakenError(
                f"{each.option}: port {each.port} of {each.address} is taken: stop what listens there "
                "(ss -ltnp shows it), or give another"
            )


class _Launcher:
    """What happens is put into `events`, as the method of Supervision that is to be told; one loop tells it."""

    def __init__(
        self, settings: SidecarSettings, launch: LaunchSettings, say: Callable[[str], None], folder: Path
    ) -> None:
        self._settings = settings
        self._launch = launch
        self._say = say
        self._folder = folder
        self._supervision = Supervision(launch.limits)
        self._events: asyncio.Queue[Callable[[float], Step]] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._admin = Admin(LOOPBACK, settings.admin_port)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._events.put_nowait, self._supervision.stop)
        try:
            await self._follow(self._supervision.begin(loop.time()))
            while self._supervision.phase is not Phase.OVER:
                happened = await self._next_event()
                await self._follow(happened(loop.time()))
        finally:
            self._signal(signal.SIGKILL)
            for task in self._tasks:
                task.cancel()
        return self._supervision.status

    async def _next_event(self) -> Callable[[float], Step]:
        deadline = self._supervision.deadline
        try:
            async with asyncio.timeout_at(deadline):
                return await self._events.get()
        except TimeoutError:
            return self._supervision.tick

    async def _follow(self, step: Step) -> None:
        if step.message:
            self._say(step.message)
        if step.action is Action.START:
            await self._start()
        elif step.action is Action.DRAIN:
            self._spawn(self._drain())
        elif step.action is Action.TERMINATE:
            self._signal(signal.SIGTERM)
        elif step.action is Action.KILL:
            self._signal(signal.SIGKILL)

    async def _start(self) -> None:
        """A session of its own keeps a terminal's Ctrl-C from Envoy, which would end without a drain."""
        settings = self._with_admin_port()
        self._admin = Admin(LOOPBACK, settings.admin_port)
        command = self._command(self._write(settings))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),
                env={**self_description(settings), **os.environ},
            )
        except OSError as error:
            self._events.put_nowait(partial(self._supervision.ended, how=f"could not be started ({error})"))
            return
        self._say(f"Envoy started: process {self._process.pid}, admin interface {LOOPBACK}:{settings.admin_port}")
        self._spawn(self._wait(self._process))

    def _with_admin_port(self) -> SidecarSettings:
        """The port must be known before Envoy starts, as listeners lead to it; chosen anew in case it was taken."""
        if self._settings.admin_port:
            return self._settings
        return attrs.evolve(self._settings, admin_port=free_port())

    def _write(self, settings: SidecarSettings) -> Path:
        path = self._folder / "envoy.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(bootstrap(settings), out)
        return path

    def _command(self, config: Path) -> tuple[str, ...]:
        """Without hot restart Envoys share no memory, so any number of them run on one host without a base id."""
        launch = self._launch
        drain_time = max(1, math.ceil(launch.limits.drain))
        return (
            *(str(launch.envoy), "--config-path", str(config), "--disable-hot-restart"),
            *("--concurrency", str(launch.concurrency), "--log-level", launch.log_level),
            *("--drain-time-s", str(drain_time), "--drain-strategy", "immediate"),
        )

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self._events.put_nowait(partial(self._supervision.ended, how=_how_it_ended(code)))

    async def _drain(self) -> None:
        """An Envoy that can't be asked is given the whole drain time."""
        try:
            await asyncio.to_thread(self._admin.drain)
            while self._supervision.phase is Phase.DRAINING:
                count = await asyncio.to_thread(self._admin.active)
                self._events.put_nowait(partial(self._supervision.active, count=count))
                await asyncio.sleep(POLL_EVERY)
        except AdminError as error:
            if self._supervision.phase is Phase.DRAINING:
                self._say(f"can't see whether Envoy has drained: {error}; waiting for the drain time to pass")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _how_it_ended(code: int) -> str:
    """The end of a sentence that begins with "Envoy"."""
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _die_with(parent: int) -> Callable[[], None]:
    """For the child, before it becomes Envoy: an Envoy that outlives a killed supervisor would hold its ports."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare
