"""How the control plane starts and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.world import COMMAND, DEADLINE, LOOPBACK, ControlPlane, Mesh, eventually, mesh_adapter
from tests.servers.http import RefusedError
from tests.servers.ports import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which somebody else listens."""
    with socket.create_server((LOOPBACK, free_port())) as server:
        yield f"{LOOPBACK}:{server.getsockname()[1]}"


def test_it_is_not_ready_before_it_has_reached_consul_and_tries_until_it_has(mesh: Mesh) -> None:
    control = mesh.make_control()
    control.process.start()
    eventually(lambda: control.get("/healthz") == "ok\n", "answering")
    eventually(lambda: "refused" in not_ready(control), "telling why it is not ready")
    assert not_ready(control).startswith("waiting for platform consul: ")
    assert mesh.consul.http_addr in not_ready(control)
    assert "\nready\n" not in control.log
    mesh.consul.start()
    control.wait_ready()
    eventually(lambda: "\nready\n" in control.log, "saying that it is ready")


def not_ready(control: ControlPlane) -> str:
    """What /readyz answers with 503."""
    with pytest.raises(RefusedError) as refused:
        control.get("/readyz")
    assert refused.value.status == 503
    return refused.value.body


@pytest.mark.parametrize("option", ["--xds-addr", "--http-addr"])
def test_an_address_in_use_is_named_and_ends_it_with_status_1(taken: str, option: str) -> None:
    addresses = {"--xds-addr": f"{LOOPBACK}:0", "--http-addr": f"{LOOPBACK}:0", option: taken}
    arguments = [word for pair in addresses.items() for word in pair]
    done = mesh_adapter("start", "--platform", "consul", "--consul-addr", f"{LOOPBACK}:1", *arguments)
    assert done.returncode == 1
    assert f"cannot listen on {taken}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(number: signal.Signals) -> None:
    """Also while Consul can't be reached."""
    addresses = ("--xds-addr", f"{LOOPBACK}:0", "--http-addr", f"{LOOPBACK}:0")
    platform = ("--platform", "consul", "--consul-addr", f"{LOOPBACK}:{free_port()}")
    with subprocess.Popen(
        [COMMAND, "start", *platform, *addresses], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http listening on"):
                break
        process.send_signal(number)
        said, complained = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert said.endswith("stopped\n")
    assert "Traceback" not in complained
