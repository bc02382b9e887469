"""The real server on a free port, spoken to by grpcio's client in raw bytes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy_data_plane.envoy.service.discovery import v3 as library
from prometheus_client import CollectorRegistry

from pilot.envoy import codec
from pilot.envoy.discovery import new_resource
from pilot.xds.access import Admitted
from pilot.xds.cache import resource_set
from pilot.xds.protocol import Node, State
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS, Resource, Resources
from pilot.xds.server import SERVICES, Listen, XdsServer
from pilot.xds.syncz import syncz
from tests.servers.tls import Authority

DEADLINE = 10.0
STARTED = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
NODE_ID = "sidecar~10.0.0.1~web-1.default~default.svc.cluster.local"

Request: Any = codec.message(library.DiscoveryRequest)
Response: Any = codec.message(library.DiscoveryResponse)
DeltaRequest: Any = codec.message(library.DeltaDiscoveryRequest)
DeltaResponse: Any = codec.message(library.DeltaDiscoveryResponse)

pytestmark = pytest.mark.integration


class Fleet:
    """A directory in memory: one state for all proxies, changed by the test."""

    def __init__(self) -> None:
        self.latest: Resources | None = None
        self.nodes: list[Node] = []
        self.callbacks: dict[FleetSubscription, Callable[[], None]] = {}

    def connect(self, node: Node, caller: Admitted) -> FleetSubscription:
        if "~" not in node.id:
            raise ValueError(f"node id {node.id!r} is not TYPE~IP~NAME.NAMESPACE~DOMAIN")
        self.nodes.append(node)
        return FleetSubscription(self)

    def change(self, resources: Resources) -> None:
        self.latest = resources
        for callback in tuple(self.callbacks.values()):
            callback()


class FleetSubscription:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def resources(self) -> Resources | None:
        return self._fleet.latest

    def on_change(self, callback: Callable[[], None]) -> None:
        self._fleet.callbacks[self] = callback

    def withheld(self, names: Iterable[str]) -> Mapping[str, str]:
        return {name: "it is another's" for name in names if name not in {"mine"}}

    def close(self) -> None:
        self._fleet.callbacks.pop(self, None)


def resource(type_url: str, name: str, body: str, refers: Iterable[tuple[str, str]] = ()) -> Resource:
    return new_resource(type_url, name, body.encode(), refers, origin=f"Service default/{name}")


def mesh(version: int = 1) -> Resources:
    each = (
        resource(CDS, "a", f"cluster {version}", [(EDS, "a")]),
        resource(EDS, "a", f"endpoints {version}"),
        resource(LDS, "l", f"listener {version}", [(RDS, "r")]),
        resource(RDS, "r", f"routes {version}"),
        resource(SDS, "mine", f"secret {version}"),
    )
    return {one.type_url: resource_set(one.type_url, [one]) for one in each}


def with_endpoints(resources: Resources, body: str) -> Resources:
    return {**resources, EDS: resource_set(EDS, [resource(EDS, "a", body)])}


NAMES: Mapping[str, tuple[str, ...]] = {CDS: (), EDS: ("a",), LDS: (), RDS: ("r",), SDS: ("mine",)}


class Stream:
    """One stream of a proxy. Every wait has a deadline."""

    def __init__(self, channel: grpc.aio.Channel, method: str, response: Any) -> None:
        self.call = channel.stream_stream(method)()
        self._response = response

    async def say(self, request: Any) -> None:
        await asyncio.wait_for(self.call.write(request.SerializeToString()), DEADLINE)

    async def hear(self) -> Any:
        data = await asyncio.wait_for(self.call.read(), DEADLINE)
        if data is grpc.aio.EOF:
            raise AssertionError(f"the stream ended: {await self.call.code()} {await self.call.details()}")
        return self._response.FromString(data)

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        code = await asyncio.wait_for(self.call.code(), DEADLINE)
        return code, await self.call.details()


def node(node_id: str = NODE_ID) -> dict[str, Any]:
    return {"id": node_id, "cluster": "web", "user_agent_name": "envoy", "user_agent_version": "1.40.0"}


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def server(fleet: Fleet, registry: CollectorRegistry) -> AsyncIterator[XdsServer]:
    server = XdsServer(fleet, registry=registry, clock=lambda: STARTED)
    yield server
    await server.stop(0)


@pytest.fixture
async def channel(server: XdsServer) -> AsyncIterator[grpc.aio.Channel]:
    (port,) = await server.start([Listen("127.0.0.1:0")])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


def sotw(channel: grpc.aio.Channel, service: int = 0) -> Stream:
    return Stream(channel, f"/{SERVICES[service].name}/{SERVICES[service].stream}", Response)


def delta(channel: grpc.aio.Channel, service: int = 0) -> Stream:
    return Stream(channel, f"/{SERVICES[service].name}/{SERVICES[service].delta}", DeltaResponse)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not holds():
            await asyncio.sleep(0.001)


async def test_state_of_the_world_over_ads(channel: grpc.aio.Channel, fleet: Fleet) -> None:
    fleet.change(mesh())
    stream = sotw(channel)
    for type_url in ORDER:
        await stream.say(Request(type_url=type_url, node=node(), resource_names=NAMES[type_url]))
        told = await stream.hear()
        assert (told.type_url, len(told.resources)) == (type_url, 1)
        assert told.resources[0].type_url == type_url
        await stream.say(_ack(told))
    fleet.change(with_endpoints(mesh(), "endpoints moved"))
    told = await stream.hear()
    assert [each.value for each in told.resources] == [b"endpoints moved"]


def _ack(told: Any) -> Any:
    names = NAMES[told.type_url]
    return Request(
        type_url=told.type_url, version_info=told.version_info, response_nonce=told.nonce, resource_names=names
    )


async def test_delta_over_ads(channel: grpc.aio.Channel, fleet: Fleet) -> None:
    fleet.change(mesh())
    stream = delta(channel)
    for type_url in ORDER:
        await stream.say(DeltaRequest(type_url=type_url, node=node(), resource_names_subscribe=NAMES[type_url]))
        told = await stream.hear()
        assert [each.resource.type_url for each in told.resources] == [type_url]
        assert told.resources[0].version
        await stream.say(DeltaRequest(type_url=type_url, response_nonce=told.nonce))
    await stream.say(DeltaRequest(type_url=EDS, resource_names_subscribe=["none"]))
    told = await stream.hear()
    assert list(told.removed_resources) == ["none"]


@pytest.mark.parametrize("service", [1, 2, 3, 4, 5])
async def test_single_type_services(channel: grpc.aio.Channel, fleet: Fleet, service: int) -> None:
    """Their requests need no type, and another type is ignored."""
    (type_url,) = SERVICES[service].types
    other = next(each for each in ORDER if each != type_url)
    fleet.change(mesh())
    stream = sotw(channel, service)
    await stream.say(Request(type_url=other, node=node(), resource_names=["x"]))
    await stream.say(Request(resource_names=NAMES[type_url]))
    assert (await stream.hear()).type_url == type_url
    stream = delta(channel, service)
    await stream.say(DeltaRequest(node=node(), resource_names_subscribe=NAMES[type_url]))
    told = await stream.hear()
    assert [each.name for each in told.resources] == list(mesh()[type_url].resources)


@pytest.mark.parametrize("service", [1, 2, 3, 4, 5])
async def test_31_polling_is_not_served(channel: grpc.aio.Channel, service: int) -> None:
    call = channel.unary_unary(f"/{SERVICES[service].name}/{SERVICES[service].fetch}")(b"", timeout=DEADLINE)
    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "polling" in await call.details()


async def test_34_load_reporting_is_not_served(channel: grpc.aio.Channel) -> None:
    stream = Stream(channel, "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats", Response)
    code, _ = await stream.ended()
    assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_requests_before_the_control_plane_is_ready_are_answered_when_it_is(
    channel: grpc.aio.Channel, fleet: Fleet
) -> None:
    stream = sotw(channel)
    await stream.say(Request(type_url=CDS, node=node()))
    await until(lambda: bool(fleet.callbacks))
    fleet.change(mesh())
    assert (await stream.hear()).type_url == CDS


async def test_1_the_node_of_the_first_request_is_that_of_the_stream(
    channel: grpc.aio.Channel, fleet: Fleet, server: XdsServer
) -> None:
    fleet.change(mesh())
    stream = sotw(channel)
    await stream.say(Request(type_url=CDS, node=node()))
    await stream.hear()
    await stream.say(Request(type_url=LDS))
    await stream.hear()
    assert [each.id for each in fleet.nodes] == [NODE_ID]
    (connection,) = server.connections()
    assert (connection.node.user_agent_version, connection.connected_at) == ("1.40.0", STARTED)
    assert connection.address.startswith("ipv4:127.0.0.1:")


@pytest.mark.parametrize("first", [{}, {"node": {"cluster": "no id"}}])
async def test_a_first_request_without_a_node_is_refused(channel: grpc.aio.Channel, first: dict[str, Any]) -> None:
    stream = delta(channel)
    await stream.say(DeltaRequest(type_url=CDS, **first))
    code, details = await stream.ended()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "sidecar~IP~NAME.NAMESPACE~DOMAIN" in details


async def test_a_node_the_directory_refuses_ends_the_stream_with_its_words(
    channel: grpc.aio.Channel, registry: CollectorRegistry, server: XdsServer
) -> None:
    stream = sotw(channel)
    await stream.say(Request(type_url=CDS, node=node("web-1")))
    code, details = await stream.ended()
    assert (code, details) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "node id 'web-1' is not TYPE~IP~NAME.NAMESPACE~DOMAIN",
    )
    assert registry.get_sample_value("pilot_xds_refused_streams") == 1
    assert server.connections() == ()


@pytest.mark.parametrize("after_a_good_one", [False, True])
async def test_bytes_that_are_no_request_end_the_stream(
    channel: grpc.aio.Channel, fleet: Fleet, after_a_good_one: bool
) -> None:
    fleet.change(mesh())
    stream = sotw(channel)
    if after_a_good_one:
        await stream.say(Request(type_url=CDS, node=node()))
        await stream.hear()
    await stream.call.write(b"\xff\xff\xff")
    code, details = await stream.ended()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "sotw" in details


async def test_33_an_unknown_type_does_not_end_the_stream_and_is_counted(
    channel: grpc.aio.Channel, fleet: Fleet, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pilot.xds")
    fleet.change(mesh())
    stream = sotw(channel)
    await stream.say(Request(type_url="type.googleapis.com/unheard.Of", node=node()))
    await stream.say(Request(type_url="type.googleapis.com/unheard.Of"))
    await stream.say(Request(type_url=CDS))
    assert (await stream.hear()).type_url == CDS
    assert registry.get_sample_value("pilot_xds_unknown_type") == 2
    assert len([each for each in caplog.records if "unheard.Of" in each.getMessage()]) == 1


async def test_a_nack_is_counted_logged_once_with_its_object_and_shown(
    channel: grpc.aio.Channel,
    fleet: Fleet,
    registry: CollectorRegistry,
    server: XdsServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet.change(mesh())
    stream = sotw(channel)
    await stream.say(Request(type_url=CDS, node=node()))
    for version in (2, 3):
        told = await stream.hear()
        await stream.say(Request(type_url=CDS, response_nonce=told.nonce, error_detail={"message": "a is bad"}))
        await until(lambda: server.connections()[0].types[1].state is State.NACKED)
        fleet.change(mesh(version))
    assert registry.get_sample_value("pilot_total_xds_rejects", {"type": "cds"}) == 2
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "Service default/a" in record.getMessage()
    assert record.__dict__["proxy"] == NODE_ID
    told = await stream.hear()
    shown = syncz(server.connections())[0]["types"]
    assert isinstance(shown, dict)
    assert shown["CDS"]["error"] == "a is bad"
    assert shown["CDS"]["objects"] == [{"name": "a", "origin": "Service default/a"}]
    assert registry.get_sample_value("pilot_xds_cds_reject", {"node": NODE_ID}) == 1
    await stream.say(_ack(told))
    await until(lambda: server.connections()[0].types[1].state is State.SYNCED)
    assert registry.get_sample_value("pilot_xds_cds_reject", {"node": NODE_ID}) is None


async def test_connections_come_and_go(
    channel: grpc.aio.Channel, fleet: Fleet, server: XdsServer, registry: CollectorRegistry
) -> None:
    fleet.change(mesh())
    streams = [sotw(channel), delta(channel)]
    await streams[0].say(Request(type_url=CDS, node=node()))
    await streams[1].say(DeltaRequest(type_url=CDS, node=node()))
    for stream in streams:
        await stream.hear()
    assert sorted(each.variant for each in server.connections()) == ["delta", "sotw"]
    assert registry.get_sample_value("pilot_xds", {"version": "1.40.0"}) == 2
    streams[0].call.cancel()
    await until(lambda: len(server.connections()) == 1)
    await streams[1].call.done_writing()
    assert (await streams[1].ended())[0] is grpc.StatusCode.OK
    await until(lambda: not server.connections() and not fleet.callbacks)
    assert registry.get_sample_value("pilot_xds", {"version": "1.40.0"}) == 0


async def test_a_slow_reader_holds_nobody_and_is_told_the_last_state(
    channel: grpc.aio.Channel, fleet: Fleet, server: XdsServer, registry: CollectorRegistry
) -> None:
    """Megabytes that one proxy does not read: the other one goes on, and the slow one skips what it missed."""
    fleet.change(mesh())
    slow = Stream(channel, f"/{SERVICES[2].name}/{SERVICES[2].stream}", Response)
    fast = sotw(channel, 2)
    for stream in (slow, fast):
        await stream.say(Request(type_url=EDS, node=node(), resource_names=["a"]))
        await stream.say(_ack(await stream.hear()))
    await until(lambda: all(each.types[0].state is State.SYNCED for each in server.connections()))
    changes = 30
    for number in range(changes):
        fleet.change(with_endpoints(mesh(), f"{number} " + "x" * 1_000_000))
        told = await fast.hear()
        assert told.resources[0].value.startswith(f"{number} ".encode())
        await fast.say(_ack(told))
    heard: list[bytes] = []
    while not heard or not heard[-1].startswith(f"{changes - 1} ".encode()):
        told = await slow.hear()
        heard.append(told.resources[0].value[:5])
        await slow.say(_ack(told))
    assert len(heard) < changes


async def test_stop_sends_proxies_elsewhere(channel: grpc.aio.Channel, fleet: Fleet, server: XdsServer) -> None:
    fleet.change(mesh())
    stream = sotw(channel)
    await stream.say(Request(type_url=CDS, node=node()))
    await stream.hear()
    await asyncio.wait_for(server.stop(DEADLINE), DEADLINE / 2)
    code, details = await stream.ended()
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "stopping" in details
    assert server.connections() == ()


async def test_a_port_in_use_is_named_with_the_way_out(fleet: Fleet, server: XdsServer) -> None:
    (port,) = await server.start([Listen("127.0.0.1:0")])
    other = XdsServer(fleet, registry=CollectorRegistry(), clock=lambda: STARTED)
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}.*in use.*choose another"):
        await other.start([Listen(f"127.0.0.1:{port}")])


async def test_over_tls(fleet: Fleet, server: XdsServer, tmp_path: Path) -> None:
    certificate = Authority(tmp_path / "ca").issue("pilot")
    authority, chain = certificate.ca_file.read_bytes(), certificate.cert_file.read_bytes()
    key = certificate.key_file.read_bytes()
    credentials = grpc.ssl_server_credentials([(key, chain)], authority, require_client_auth=True)
    plain, secure = await server.start([Listen("127.0.0.1:0"), Listen("127.0.0.1:0", credentials)])
    assert plain != secure
    fleet.change(mesh())
    client = grpc.ssl_channel_credentials(authority, key, chain)
    async with grpc.aio.secure_channel(f"127.0.0.1:{secure}", client) as channel:
        stream = sotw(channel)
        await stream.say(Request(type_url=CDS, node=node()))
        assert (await stream.hear()).type_url == CDS


async def test_many_streams_are_told_a_change(channel: grpc.aio.Channel, fleet: Fleet) -> None:
    fleet.change(mesh())
    streams = [sotw(channel, 2) for _ in range(50)]

    async def settle(stream: Stream) -> None:
        await stream.say(Request(type_url=EDS, node=node(), resource_names=["a"]))
        await stream.say(_ack(await stream.hear()))

    await asyncio.gather(*map(settle, streams))
    fleet.change(with_endpoints(mesh(), "moved"))
    told = await asyncio.gather(*(stream.hear() for stream in streams))
    assert {each.resources[0].value for each in told} == {b"moved"}


@pytest.mark.parametrize("version", ["0.9.0", "1.40.0", ""])
async def test_32_what_is_sent_does_not_depend_on_what_a_client_validates(
    channel: grpc.aio.Channel, fleet: Fleet, version: str
) -> None:
    """Declared: validation is the client's business, an answer its NACK; no version of it is taken for granted."""
    fleet.change(mesh())
    stream = sotw(channel)
    await stream.say(Request(type_url=CDS, node={**node(), "user_agent_version": version}))
    assert [each.value for each in (await stream.hear()).resources] == [b"cluster 1"]


async def test_a_secret_of_another_is_left_out_counted_and_audited(
    channel: grpc.aio.Channel, fleet: Fleet, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.change(mesh())
    for stream, ask in ((sotw(channel), Request), (delta(channel), DeltaRequest)):
        names = ["mine", "its\nown"]
        field = "resource_names" if ask is Request else "resource_names_subscribe"
        await stream.say(ask(type_url=SDS, node=node(), **{field: names}))
        told = await stream.hear()
        assert len(told.resources) == 1
        await stream.say(ask(type_url=CDS))
        assert (await stream.hear()).type_url == CDS, "all else is answered as ever"
    assert registry.get_sample_value("pilot_xds_secrets_withheld") == 2
    lines = [each.getMessage() for each in caplog.records if each.__dict__.get("audit")]
    assert len(lines) == 2
    assert lines[0].startswith(f"audit: secret 'its\\nown' was withheld from proxy {NODE_ID} at ")
