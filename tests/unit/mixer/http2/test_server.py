"""The server on a socket, called by grpcio's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest

from mixer.http2.limits import Limits
from mixer.http2.server import Call, Routes, RpcError, Server


class Count:
    """An inlet that answers with how many messages it got."""

    cancelled_calls = 0

    def __init__(self, call: Call) -> None:
        self._count = 0

    def received(self, body: bytes) -> None:
        if body == b"bad":
            raise RpcError(3, "a bad message")
        self._count += 1

    def ended(self) -> bytes:
        return str(self._count).encode()

    def cancelled(self) -> None:
        Count.cancelled_calls += 1


async def slow(body: bytes, call: Call) -> bytes:
    await asyncio.sleep(float(body))
    return b"slow"


async def at_once(body: bytes, call: Call) -> bytes:
    assert asyncio.current_task() is None
    if body == b"rpc":
        raise RpcError(7, "not you")
    return body


async def late(body: bytes, call: Call) -> bytes:
    """Waits for a future outside of a task, and goes on in one."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, future.set_result, body)
    got: bytes = await future
    async with asyncio.timeout(5):
        await asyncio.sleep(0)
    return got


def failing(body: bytes, call: Call) -> bytes:
    if body == b"rpc":
        raise RpcError(7, "not you")
    raise RuntimeError("a fault of the handler")


ROUTES = Routes(
    {
        "/t.T/Echo": lambda body, call: body,
        "/t.T/Meta": lambda body, call: f"{call.metadata['x-a']} {call.peer}".encode(),
        "/t.T/Slow": slow,
        "/t.T/AtOnce": at_once,
        "/t.T/Late": late,
        "/t.T/Fail": failing,
    },
    {"/t.T/Count": Count},
)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, int]]:
    made = Server(ROUTES, Limits(first_call=5))
    port = await made.listen("127.0.0.1", 0)
    yield made, port
    await made.close(grace=0)


@pytest.fixture
async def channel(server: tuple[Server, int]) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server[1]}") as made:
        yield made


async def call(channel: grpc.aio.Channel, method: str, body: bytes, **options: object) -> bytes:
    answer: bytes = await channel.unary_unary(f"/t.T/{method}")(body, **options)
    return answer


async def code(channel: grpc.aio.Channel, method: str, body: bytes, **options: object) -> tuple[object, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel, method, body, **options)
    return caught.value.code(), str(caught.value.details())


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 70_000, 1_000_000])
async def test_messages_of_all_sizes_come_back(channel: grpc.aio.Channel, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    assert await call(channel, "Echo", body[:size]) == body[:size]


async def test_a_message_beyond_the_limit_is_refused_and_the_connection_lives(channel: grpc.aio.Channel) -> None:
    assert (await code(channel, "Echo", b"x" * 1_100_000))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await call(channel, "Echo", b"after") == b"after"


async def test_metadata_and_peer(channel: grpc.aio.Channel) -> None:
    assert await call(channel, "Meta", b"", metadata=[("x-a", "1")]) == b"1 127.0.0.1"


async def test_statuses(channel: grpc.aio.Channel) -> None:
    assert await code(channel, "Fail", b"rpc") == (grpc.StatusCode.PERMISSION_DENIED, "not you")
    assert await code(channel, "Fail", b"") == (grpc.StatusCode.INTERNAL, "internal error")
    assert (await code(channel, "Nothing", b""))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_many_at_once_over_one_connection(channel: grpc.aio.Channel) -> None:
    answers = await asyncio.gather(*(call(channel, "Echo", str(n).encode()) for n in range(300)))
    assert answers == [str(n).encode() for n in range(300)]


async def test_a_slow_call_does_not_hold_up_others_and_ends_at_its_deadline(channel: grpc.aio.Channel) -> None:
    slowly = asyncio.create_task(code(channel, "Slow", b"30", timeout=0.5))
    assert await call(channel, "Echo", b"quick") == b"quick"
    assert (await slowly)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert await call(channel, "Slow", b"0") == b"slow"


async def test_a_coroutine_that_need_not_wait_costs_no_task(channel: grpc.aio.Channel) -> None:
    assert await call(channel, "AtOnce", b"now") == b"now"
    assert await code(channel, "AtOnce", b"rpc") == (grpc.StatusCode.PERMISSION_DENIED, "not you")


async def test_a_coroutine_that_waits_goes_on_in_a_task(channel: grpc.aio.Channel) -> None:
    assert await call(channel, "Late", b"soon") == b"soon"


async def test_a_call_that_its_caller_gives_up_is_cancelled_where_it_waits() -> None:
    ended: list[str] = []

    async def waiting(body: bytes, call: Call) -> bytes:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return b""

    made = Server(Routes({"/t.T/Wait": waiting}))
    port = await made.listen("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert (await code(channel, "Wait", b"", timeout=0.2))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    await made.close(grace=5)
    assert ended == ["cancelled"]


async def test_streams_of_messages(channel: grpc.aio.Channel) -> None:
    stream = channel.stream_unary("/t.T/Count")
    assert await stream(iter([b"one", b"two", b"three"])) == b"3"
    with pytest.raises(grpc.aio.AioRpcError, match="a bad message"):
        await stream(iter([b"one", b"bad"]))


async def test_a_closing_server_answers_what_has_begun(server: tuple[Server, int]) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server[1]}") as channel:
        begun = asyncio.create_task(call(channel, "Slow", b"0.3"))
        await call(channel, "Echo", b"")
        await server[0].close(grace=10)
        assert await begun == b"slow"


async def test_a_connection_without_a_call_is_hung_up_on() -> None:
    made = Server(ROUTES, Limits(first_call=0.05))
    reader, writer = await asyncio.open_connection("127.0.0.1", await made.listen("127.0.0.1", 0))
    async with asyncio.timeout(5):
        while await reader.read(1000):
            pass
    writer.close()
    await made.close(grace=0)
