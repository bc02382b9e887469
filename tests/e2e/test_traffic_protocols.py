"""What is spoken besides HTTP/1.1, through two real Envoys: gRPC and its status, gRPC-Web, WebSocket."""

from __future__ import annotations

import contextlib
import http.client

import grpc
import pytest

from tests.e2e import grpc_echo, websocket
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually, host
from tests.servers.ports import free_port

pytestmark = pytest.mark.e2e


def test_grpc_calls_and_streams_keep_their_status_through_both_sidecars(shared: Mesh, client: Sidecar) -> None:
    port = free_port()
    with grpc_echo.serving(port):
        served_beside(shared, "grpc-echo", port, "grpc")
        caller = grpc_echo.Client(client.outbound_port, host("grpc-echo"))
        eventually(lambda: _says(caller), "gRPC answering")
        for status in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.ABORTED):
            error = caller.fail(status)
            assert (error.code(), error.details()) == (status, "as asked")
            assert ("x-told", "in the trailers") in error.trailing_metadata()
        assert caller.missing().code() is grpc.StatusCode.UNIMPLEMENTED
        assert caller.stream(50) == [b"50"] * 50
        messages = [str(number).encode() * 1000 for number in range(50)]
        assert caller.chat(messages) == messages
        caller.channel.close()


METHODS = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: grpc-methods}}
spec:
  hosts: [grpc-methods]
  http:
  - match: [{{uri: {{exact: /{grpc_echo.SERVICE}/Say}}}}]
    route: [{{destination: {{host: grpc-methods}}}}]
  - match: [{{uri: {{prefix: /{grpc_echo.SERVICE}/}}}}]
    fault: {{abort: {{grpcStatus: PERMISSION_DENIED, percentage: {{value: 100}}}}}}
    route: [{{destination: {{host: grpc-methods}}}}]
"""


def test_a_grpc_call_is_routed_by_its_method(shared: Mesh, client: Sidecar) -> None:
    """One method is let through, the others of the service are not."""
    port = free_port()
    shared.apply("grpc-methods.yaml", METHODS)
    with grpc_echo.serving(port):
        served_beside(shared, "grpc-methods", port, "grpc")
        caller = grpc_echo.Client(client.outbound_port, host("grpc-methods"))
        eventually(lambda: _says(caller), "the method that is let through answering")
        assert caller.fail(grpc.StatusCode.NOT_FOUND).code() is grpc.StatusCode.PERMISSION_DENIED
        caller.channel.close()


def _says(caller: grpc_echo.Client) -> bool:
    try:
        return caller.say(b"hello") == b"hello"
    except grpc.RpcError:
        return False


def test_grpc_web_of_a_browser_is_made_grpc_on_the_way(shared: Mesh, client: Sidecar) -> None:
    port = free_port()
    with grpc_echo.serving(port):
        served_beside(shared, "grpc-web-echo", port, "grpc-web")

        def frames() -> tuple[int, bytes]:
            with contextlib.closing(http.client.HTTPConnection(LOOPBACK, client.outbound_port, timeout=15)) as found:
                headers = {"Host": host("grpc-web-echo"), "Content-Type": "application/grpc-web+proto"}
                found.request("POST", f"/{grpc_echo.SERVICE}/Say", b"\0\0\0\0\5hello", headers)
                response = found.getresponse()
                return response.status, response.read()

        eventually(lambda: frames()[0] == 200, "gRPC-Web answering")
        status, body = frames()
        message, trailers = body[:10], body[10:]
        assert (status, message) == (200, b"\0\0\0\0\5hello")
        assert trailers[0] == 0x80
        assert b"grpc-status:0" in trailers.replace(b" ", b"")


def test_a_websocket_is_upgraded_and_echoes_through_both_sidecars(shared: Mesh, client: Sidecar) -> None:
    port = free_port()
    with websocket.echoing(port):
        served_beside(shared, "ws-echo", port, "http")

        def upgraded() -> bool:
            with websocket.opened(client.outbound_port, host("ws-echo")) as found:
                return found.echo(b"") == b""

        eventually(upgraded, "the upgrade")
        with websocket.opened(client.outbound_port, host("ws-echo"), "/chat") as found:
            for message in (b"hello", b"x" * 50_000, b""):
                assert found.echo(message) == message
            assert found.close() == websocket.CLOSE


def served_beside(mesh: Mesh, service: str, port: int, protocol: str) -> Sidecar:
    """A sidecar in front of that port, and Consul told of it and of what is spoken there."""
    beside = mesh.client("--port", str(port), name=service)
    mesh.consul.put(
        "/v1/agent/service/register",
        {
            "ID": service,
            "Name": service,
            "Address": LOOPBACK,
            "Port": port,
            "Meta": {"protocol": protocol, "sidecar-port": str(beside.inbound_port)},
        },
    )
    return beside
