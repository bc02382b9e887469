"""A gRPC server and its client without generated code, for tests of what proxies do to unary calls and streams.

The server runs in the test's own process; messages are bytes. `/echo.Echo/Say` answers with what it is sent, `/Fail`
with the status named in the request, `/Stream` with the request as often as it says, and `/Chat` message by message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc

SERVICE = "echo.Echo"
TIMEOUT = 15.0


def _fail(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_trailing_metadata((("x-told", "in the trailers"),))
    context.abort(grpc.StatusCode[request.decode()], "as asked")
    raise AssertionError("abort does not return")


_ECHO = grpc.method_handlers_generic_handler(
    SERVICE,
    {
        "Say": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
        "Fail": grpc.unary_unary_rpc_method_handler(_fail),
        "Stream": grpc.unary_stream_rpc_method_handler(lambda request, _: (request for _ in range(int(request)))),
        "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
    },
)


@contextlib.contextmanager
def serving(port: int) -> Iterator[None]:
    """The server on that port of loopback."""
    server = grpc.server(ThreadPoolExecutor(8), handlers=[_ECHO])
    assert server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


class Client:
    """One connection to a sidecar's outbound port, calling by `host`."""

    def __init__(self, port: int, host: str) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.default_authority", host)])

    def say(self, message: bytes) -> bytes:
        answer: bytes = self.channel.unary_unary(f"/{SERVICE}/Say")(message, timeout=TIMEOUT)
        return answer

    def fail(self, status: grpc.StatusCode) -> grpc.RpcError:
        """The error of a call that is to end with this status."""
        try:
            self.channel.unary_unary(f"/{SERVICE}/Fail")(status.name.encode(), timeout=TIMEOUT)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"the call did not fail with {status}")

    def stream(self, count: int) -> list[bytes]:
        return list(self.channel.unary_stream(f"/{SERVICE}/Stream")(str(count).encode(), timeout=TIMEOUT))

    def chat(self, messages: list[bytes]) -> list[bytes]:
        return list(self.channel.stream_stream(f"/{SERVICE}/Chat")(iter(messages), timeout=TIMEOUT))

    def missing(self) -> grpc.RpcError:
        """The error of a call of a method that is not there."""
        try:
            self.channel.unary_unary(f"/{SERVICE}/Nothing")(b"", timeout=TIMEOUT)
        except grpc.RpcError as error:
            return error
        raise AssertionError("a method that is not there answered")
