"""`mesh-adapter start` as a child, given bad input of every kind: it says what is wrong where, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy_data_plane.envoy.service.discovery import v3 as library

from pilot.envoy import codec
from pilot.xds.resource import CDS
from pilot.xds.server import SERVICES
from tests.servers.http import RefusedError, call
from tests.servers.ports import free_port, free_ports
from tests.servers.process import Process

pytestmark = pytest.mark.integration

DEADLINE = 60.0
COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))
NODE_ID = "sidecar~10.0.0.1~web-1.default~service.consul"
Request: Any = codec.message(library.DiscoveryRequest)
Response: Any = codec.message(library.DiscoveryResponse)

SERVICES_FILE = """\
services:
- name: web.example
  ports:
  - {name: http, port: 80, protocol: HTTP}
  endpoints:
  - {address: 10.0.0.1, port: 8080}
"""
GOOD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example]
  http:
  - route:
    - destination: {host: web.example}
      weight: 100
"""


class Child:
    """A `mesh-adapter start` with a static file and a directory of rules, on ports that stay the same."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.static = folder / "services.yaml"
        self.static.write_text(SERVICES_FILE)
        self.rule = folder / "rules" / "web.yaml"
        self.rule.parent.mkdir()
        self.rule.write_text(GOOD)
        self.xds_port, self.http_port = free_ports(2)
        addresses = ("--xds-addr", f"127.0.0.1:{self.xds_port}", "--http-addr", self.http)
        platforms = options or ("--static-file", str(self.static))
        command = [COMMAND, "start", *platforms, "--config", str(self.rule.parent), *addresses]
        self.process = Process("start", command, folder=folder)

    @property
    def http(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def log(self) -> str:
        return self.process.log.read_text()

    def start(self) -> None:
        self.process.start()
        self.eventually(lambda: call("GET", f"http://{self.http}/readyz").text == "ready\n", "ready")

    def eventually(self, holds: Callable[[], bool], what: str) -> None:
        self.process.wait_until(holds, what, seconds=DEADLINE)

    def debug(self, page: str) -> Any:
        return call("GET", f"http://{self.http}/debug/{page}").json

    def metric(self, sample: str) -> float:
        lines = call("GET", f"http://{self.http}/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{sample} ")), 0.0)

    def endpoints(self) -> list[str]:
        return [each["address"] for service in self.debug("registryz") for each in service["endpoints"]]

    def objects(self) -> list[str]:
        return [each["name"] for each in self.debug("configz")]

    def wait_for_problem(self, message: str) -> Any:
        """The first problem of a document whose message has these words."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [each for each in self.debug("problems")["configuration"] if message in each["message"]]
            return bool(found)

        self.eventually(there, f"told of {message!r}")
        return found[0]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command to its end."""
    return subprocess.run([COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=DEADLINE)


def xds_stream(child: Child) -> contextlib.AbstractAsyncContextManager[Stream]:
    return _xds_stream(child.xds_port)


class Stream:
    """One aggregated stream, state of the world. Every wait has a deadline."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def say(self, **fields: Any) -> None:
        await asyncio.wait_for(self._call.write(Request(**fields).SerializeToString()), DEADLINE)

    async def hear(self) -> Any:
        data = await asyncio.wait_for(self._call.read(), DEADLINE)
        assert data is not grpc.aio.EOF, f"the stream ended: {await self._call.code()} {await self._call.details()}"
        return Response.FromString(data)

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        code = await asyncio.wait_for(self._call.code(), DEADLINE)
        return code, await self._call.details()


@contextlib.asynccontextmanager
async def _xds_stream(port: int) -> AsyncIterator[Stream]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(f"/{SERVICES[0].name}/{SERVICES[0].stream}")()
        yield Stream(call)
        call.cancel()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One control plane for the tests that only look, or that put back what they changed."""
    child = Child(tmp_path_factory.mktemp("start"))
    child.start()
    yield child
    child.process.kill()


@pytest.fixture
def running(shared: Child) -> Iterator[Child]:
    """The shared one, with its files as at the start afterwards."""
    yield shared
    shared.static.write_text(SERVICES_FILE)
    shared.rule.write_text(GOOD)

    def settled() -> bool:
        problems = shared.debug("problems")["configuration"]
        (platform,) = shared.debug("platforms")
        return not problems and not platform["stale"] and not platform["problems"]

    shared.eventually(settled, "as it was")


BAD_DOCUMENTS = {
    "broken YAML": (GOOD.replace("[web.example]", "[web.example"), ":6:", "not valid YAML"),
    "unknown kind": (GOOD.replace("VirtualService", "VirtualServer"), ":2:", "VirtualServer"),
    "unknown field": (GOOD + "  nothing: 1\n", ":10:", "nothing"),
    "wrong type": (GOOD.replace("[web.example]", "5"), ":5:", "hosts"),
    "weights that do not sum": (GOOD + "    - {destination: {host: web.example}, weight: 20}\n", ":7:", "120"),
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
def test_a_bad_document_is_refused_with_its_line_and_the_last_good_one_stays(running: Child, case: str) -> None:
    text, line, message = BAD_DOCUMENTS[case]
    running.rule.write_text(text)
    problem = running.wait_for_problem(message)
    assert problem["where"].startswith(f"{running.rule}{line}")
    assert not problem["warning"]
    assert problem["kept_since"], "the version before stays in force"
    assert running.objects() == ["web"]
    assert problem["where"] in running.log
    found = run("validate", str(running.rule))
    assert found.returncode == 1
    assert found.stdout.startswith(problem["where"])


def test_a_host_that_no_platform_knows_is_a_warning(running: Child) -> None:
    running.rule.write_text(GOOD.replace("destination: {host: web.example}", "destination: {host: none.example}"))
    problem = running.wait_for_problem("none.example")
    assert (problem["code"], problem["warning"]) == ("IST0101", True)
    assert problem["where"].startswith(str(running.rule))
    assert "IST0101" in running.log
    assert running.objects() == ["web"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("services: [\n", 2, "not YAML"),
        (SERVICES_FILE.replace("port: 8080", "port: eighty"), 6, "not a whole number"),
        (SERVICES_FILE + "  wrong: 1\n", 7, "wrong"),
    ],
)
def test_a_broken_static_file_keeps_its_endpoints(running: Child, text: str, line: int, message: str) -> None:
    running.static.write_text(text)
    running.eventually(lambda: bool(running.debug("platforms")[0]["problems"]), "told of the file")
    (problem,) = running.debug("platforms")[0]["problems"]
    assert problem["where"].startswith(f"{running.static.name}:{line}:")
    assert message in problem["message"]
    assert running.endpoints() == ["10.0.0.1"]
    assert problem["where"] in running.log


def test_a_static_file_that_vanishes_is_stale_and_its_endpoints_stay(running: Child) -> None:
    running.static.unlink()
    running.eventually(lambda: bool(running.debug("platforms")[0]["stale"]), "stale")
    assert str(running.static) in running.debug("platforms")[0]["stale"]
    assert running.endpoints() == ["10.0.0.1"]
    assert running.metric('mesh_adapter_platform_stale{platform="static"}') == 1
    assert call("GET", f"http://{running.http}/readyz").text == "ready\n"
    assert "platform static is stale" in running.log


def test_a_rule_that_is_deleted_is_gone(running: Child) -> None:
    running.rule.unlink()
    running.eventually(lambda: running.objects() == [], "without the rule")


@pytest.mark.parametrize("node_id", ["sidecar~web", "sidecar~no-ip~web.default~d", "sidecar~10.0.0.1~web~d"])
async def test_a_node_id_that_does_not_parse_is_refused_with_the_grammar(shared: Child, node_id: str) -> None:
    async with xds_stream(shared) as stream:
        await stream.say(type_url=CDS, node={"id": node_id})
        code, details = await stream.ended()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert repr(node_id) in details
    assert "TYPE~IP~NAME.NAMESPACE~DOMAIN" in details


async def test_an_unknown_type_leaves_the_stream_alive(shared: Child) -> None:
    async with xds_stream(shared) as stream:
        await stream.say(type_url="type.googleapis.com/unheard.Of", node={"id": NODE_ID})
        await stream.say(type_url=CDS)
        assert (await stream.hear()).type_url == CDS
    assert shared.metric("pilot_xds_unknown_type") >= 1
    assert "unheard.Of" in shared.log


async def test_a_proxy_that_rejects_everything_is_counted_shown_and_not_sent_the_same_again(shared: Child) -> None:
    rejected = shared.metric('pilot_total_xds_rejects{type="cds"}')
    async with xds_stream(shared) as stream:
        await stream.say(type_url=CDS, node={"id": NODE_ID, "user_agent_version": "1.40.0"})
        told = await stream.hear()
        pushes = shared.metric('pilot_xds_pushes{type="cds"}')
        await stream.say(type_url=CDS, response_nonce=told.nonce, error_detail={"message": "web.example is bad"})
        # Answered in order: when this one is, the rejection was dealt with and nothing was sent for it.
        await stream.say(type_url="type.googleapis.com/after.That")
        await asyncio.to_thread(shared.eventually, lambda: "after.That" in shared.log, "done with the rejection")
        status = await asyncio.to_thread(run, "proxy-status", "--http-addr", shared.http)
        assert shared.metric('pilot_xds_pushes{type="cds"}') == pushes
        assert shared.metric('pilot_total_xds_rejects{type="cds"}') == rejected + 1
    assert status.returncode == 1
    assert "NACKED" in status.stdout
    assert "web-1.default CDS: web.example is bad; caused by outbound|80||web.example" in status.stdout
    assert "web.example is bad" in shared.log


@pytest.mark.parametrize("option", ["--xds-addr", "--http-addr"])
def test_a_port_in_use_is_named_with_its_option(shared: Child, option: str) -> None:
    taken = {"--xds-addr": f"127.0.0.1:{shared.xds_port}", "--http-addr": shared.http}[option]
    addresses = {"--xds-addr": f"127.0.0.1:{free_port()}", "--http-addr": f"127.0.0.1:{free_port()}", option: taken}
    found = run("start", "--static-file", str(shared.static), *(word for pair in addresses.items() for word in pair))
    assert found.returncode == 1
    assert f"cannot listen on {taken}" in found.stderr
    assert option in found.stderr
    assert "Traceback" not in found.stderr


def test_consul_out_of_reach_at_the_start(tmp_path: Path) -> None:
    """Not ready, and it says why and goes on trying: who listens there later is asked."""
    port = free_port()
    child = Child(tmp_path, "--platform", "consul", "--consul-addr", f"http://127.0.0.1:{port}")
    child.process.start()
    try:
        child.eventually(lambda: "platform consul: " in _readiness(child), "waiting for Consul")
        text = _readiness(child)
        assert "127.0.0.1" in text
        assert "refused" in text
        assert "ready" not in [line.strip() for line in child.log.splitlines()]
        assert call("GET", f"http://{child.http}/healthz").text == "ok\n"
        assert child.metric('mesh_adapter_platform_synced{platform="consul"}') == 0
        with socket.create_server(("127.0.0.1", port)) as late:
            late.settimeout(DEADLINE)
            late.accept()[0].close()
    finally:
        child.process.kill()


def _readiness(child: Child) -> str:
    """What /readyz says while it is 503."""
    try:
        return call("GET", f"http://{child.http}/readyz").text
    except RefusedError as error:
        return error.body if error.status == 503 else f"{error.status}, not 503"


async def test_sigterm_ends_it_well_and_the_same_ports_work_at_once(tmp_path: Path) -> None:
    child = Child(tmp_path)
    command = list(child.process.command)
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
            try:
                assert started.stdout
                lines = [await asyncio.to_thread(started.stdout.readline) for _ in range(4)]
                assert lines.pop(1).startswith("mixer listening on 127.0.0.1:")
                assert lines == [
                    f"xds listening on 127.0.0.1:{child.xds_port}\n",
                    f"http listening on {child.http}\n",
                    "ready\n",
                ]
                async with xds_stream(child) as stream:
                    await stream.say(type_url=CDS, node={"id": NODE_ID})
                    await stream.hear()
                    began = time.monotonic()
                    started.send_signal(signal.SIGTERM)
                    assert (await stream.ended())[0] is grpc.StatusCode.UNAVAILABLE
                rest = await asyncio.to_thread(started.stdout.read)
                assert rest == "stopped\n"
                assert await asyncio.to_thread(started.wait, DEADLINE) == 0
                assert time.monotonic() - began < DEADLINE
            finally:
                started.kill()


def test_logs_as_json(tmp_path: Path) -> None:
    child = Child(tmp_path)
    child.rule.write_text("a: [\n")
    child.process = Process("start", [*child.process.command, "--log-format", "json"], folder=tmp_path)
    child.start()
    child.process.stop()
    logged = [json.loads(line) for line in child.log.splitlines() if line.startswith("{")]
    assert [each["where"].startswith(f"{child.rule}:") for each in logged if "where" in each] == [True]
