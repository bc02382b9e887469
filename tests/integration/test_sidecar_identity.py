"""`mesh-adapter sidecar --identity sds`: a real Envoy that reaches the control plane by its agent's certificate."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh_adapter.cli import cli
from tests.e2e.traffic import Connection
from tests.e2e.world import SERVICE
from tests.integration.control_plane_child import COMMAND, Child, join_token, metric
from tests.servers.http import call
from tests.servers.ports import free_ports
from tests.servers.process import Process

pytestmark = pytest.mark.integration


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    ca = ("--ca", "embedded", "--ca-dir", str(tmp_path / "ca"))
    found = Child(tmp_path, *ca, "--attest", f"static,join_tokens={tmp_path}/join")
    found.start()
    yield found
    found.process.stop()


def sidecar(child: Child, folder: Path, envoy: Path, account: str, *options: str) -> Process:
    """Of the service web, whose evidence is for `account`."""
    (folder / "token").write_text(join_token(child.folder, account))
    admin, outbound = free_ports(2)
    command = [COMMAND, "sidecar", "--service", "web", "--identity", "sds", "--envoy", str(envoy)]
    command += ["--xds-addr", f"127.0.0.1:{child.tls}", "--sds-socket", str(folder / "agent.sock")]
    command += ["--evidence", f"static={folder}/token", "--root-cert-file", str(folder / "ca" / "1" / "root-cert.pem")]
    command += ["--admin-port", str(admin), "--outbound-port", str(outbound), "--concurrency", "1"]
    command += ["--health-port", "0", "--metrics-port", "0", *options]
    return Process("sidecar", command, folder=folder)


def test_an_envoy_is_configured_by_its_own_identity(child: Child, tmp_path: Path, envoy_binary: Path) -> None:
    process = sidecar(child, tmp_path, envoy_binary, "web", "--account", "web")
    process.start()
    try:

        def synced() -> bool:
            proxies = call("GET", f"http://127.0.0.1:{child.http}/debug/syncz").json
            return bool(proxies) and all(each["types"]["CDS"]["state"] == "SYNCED" for each in proxies)

        process.wait_until(synced, "synced")
        assert metric(child, "citadel_server_authentication_failure_count") == 0
        assert metric(child, "citadel_server_success_cert_issuance_count") == 2, "the control plane's own and this"
    finally:
        process.stop()
    assert not (tmp_path / "agent.sock").exists()


def test_an_envoy_that_says_it_is_somebody_else_is_told_nothing(
    child: Child, tmp_path: Path, envoy_binary: Path
) -> None:
    process = sidecar(child, tmp_path, envoy_binary, "web", "--account", "billing")
    process.start()
    try:
        log = tmp_path / "sidecar.log"
        process.wait_until(lambda: b"was admitted as 'web' of 'default'" in log.read_bytes(), "refused")
        assert call("GET", f"http://127.0.0.1:{child.http}/debug/syncz").json == []
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--agent-only"], "need --identity sds"),
        (["--identity", "sds", "--xds-addr", "unix:/x"], "give --xds-addr HOST:PORT"),
        (["--identity", "sds"], "--root-cert-file"),
        (["--identity", "sds", "--sds-socket", "agent.sock"], "is no absolute path"),
        (["--identity", "sds", "--root-cert-file", __file__], "--evidence is missing"),
        (["--identity", "sds", "--root-cert-file", __file__, "--evidence", "token"], "is not KIND=FILE"),
        (
            [
                "--identity",
                "sds",
                "--root-cert-file",
                __file__,
                "--evidence",
                "a=x",
                "--sds-socket-group",
                "nobody-s",
            ],
            "there is no group 'nobody-s'",
        ),
        (["--identity", "sds", "--cert-ttl", "-1s"], "is not a duration above zero"),
    ],
    ids=range(8),
)
def test_what_can_t_be_is_a_usage_error(options: list[str], reason: str) -> None:
    done = CliRunner().invoke(cli, ["sidecar", "--service", "web", *options])
    assert (done.exit_code, reason in done.output) == (2, True), done.output


def test_two_sidecars_speak_mutual_tls_by_their_agents_certificates(tmp_path: Path, envoy_binary: Path) -> None:
    """The control plane plans it, each side's agent has the certificates: the request passes, by a handshake."""
    port, inbound = free_ports(2)
    ca = ("--ca", "embedded", "--ca-dir", str(tmp_path / "ca"))
    child = Child(tmp_path, *ca, "--attest", f"static,join_tokens={tmp_path}/join")
    (tmp_path / "services.yaml").write_text(HELLO.format(inbound=inbound))
    workload = Process("hello", [sys.executable, SERVICE, "hello", str(port), "http", "127.0.0.1"], folder=tmp_path)
    processes = [child.process, workload]
    try:
        child.start()
        workload.start()
        envoys = {}
        for name, options in (("hello", ("--port", str(port), "--inbound-port", str(inbound))), ("client", ())):
            (tmp_path / name).mkdir()
            envoys[name] = own_sidecar(child, tmp_path, name, envoy_binary, *options)
            processes.append(envoys[name][0])
            envoys[name][0].start()

        def served() -> bool:
            with contextlib.closing(Connection(envoys["client"][2], "hello.example")) as connection:
                return connection.send().status == 200

        envoys["client"][0].wait_until(served, "served")
        stats = call("GET", f"http://127.0.0.1:{envoys['hello'][1]}/stats?filter=ssl.handshake").text
        assert any(line.startswith("listener.") and not line.endswith(": 0") for line in stats.splitlines()), stats
    finally:
        for each in reversed(processes):
            each.stop()


def own_sidecar(child: Child, folder: Path, name: str, envoy: Path, *options: str) -> tuple[Process, int, int]:
    """Of the account `name`: the process, Envoy's admin port and its outbound port."""
    token = folder / name / "token"
    token.write_text(join_token(child.folder, name))
    admin, outbound = free_ports(2)
    command = [COMMAND, "sidecar", "--service", name, "--identity", "sds", "--envoy", str(envoy), "--account", name]
    command += ["--xds-addr", f"127.0.0.1:{child.tls}", "--sds-socket", str(folder / name / "agent.sock")]
    command += ["--evidence", f"static={token}", "--root-cert-file", str(folder / "ca" / "1" / "root-cert.pem")]
    command += ["--admin-port", str(admin), "--outbound-port", str(outbound), "--concurrency", "1"]
    command += ["--address", "127.0.0.1", "--health-port", "0", "--metrics-port", "0", *options]
    return Process(f"sidecar-{name}", command, folder=folder / name), admin, outbound


HELLO = """\
services:
- name: hello.example
  ports:
  - {{name: http, port: 80, protocol: HTTP}}
  endpoints:
  - {{address: 127.0.0.1, port: {inbound}, serviceAccount: hello, labels: {{security.istio.io/tlsMode: istio}}}}
"""
