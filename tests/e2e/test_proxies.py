"""What operators see of the proxies, and what becomes of a proxy that refuses or that can't be told who it is."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy_data_plane.envoy.service.discovery import v3 as library

from pilot.envoy import codec
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually, mesh_adapter
from tests.servers.ports import free_port

pytestmark = pytest.mark.e2e

Request: Any = codec.message(library.DeltaDiscoveryRequest)
Response: Any = codec.message(library.DeltaDiscoveryResponse)
METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
CLUSTERS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
SILENCE = 2.0
"""Seconds after which a server that would repeat itself would have done so many times."""


def status(shared: Mesh, proxy: str) -> dict[str, Any]:
    """By type, what proxy-status says of a proxy."""
    done = mesh_adapter("proxy-status", proxy, "--http-addr", shared.control.http_addr, "-o", "json")
    (found,) = json.loads(done.stdout)
    types: dict[str, Any] = found["types"]
    return types


def test_a_proxy_that_has_everything_is_synced_and_its_configuration_can_be_shown(
    shared: Mesh, client: Sidecar
) -> None:
    shown = shared.instance("shown", "shown-1")
    client.wait_served_by("shown", shown)
    eventually(
        lambda: {each["state"] for each in status(shared, "client.default").values()} == {"SYNCED"}, "client SYNCED"
    )
    for origin in (("client.default", "--http-addr", shared.control.http_addr), ("--admin", client.admin_addr)):
        assert rows("clusters", *origin, "--fqdn", "shown.service.consul") == [
            ["shown.service.consul", "80", "-", "outbound", "EDS"]
        ]
        assert rows("endpoints", *origin, "--fqdn", "shown.service.consul") == [
            [f"{LOOPBACK}:{shown.port}", "HEALTHY", "1", "outbound|80||shown.service.consul"]
        ]
        assert ["virtualOutbound", LOOPBACK, str(client.outbound_port), "ALL"] in [
            row[:4] for row in rows("listeners", *origin)
        ]
        assert "shown.service.consul:80" in [row[1] for row in rows("routes", *origin)]


def rows(what: str, *arguments: str) -> list[list[str]]:
    """The cells of a table of proxy-config, without its head."""
    done = mesh_adapter("proxy-config", what, *arguments)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_an_envoy_that_refuses_is_shown_as_nacked_with_its_reason_and_is_not_told_the_same_again(shared: Mesh) -> None:
    """It is to listen on a port that somebody else has: its other listeners and its clusters work."""
    web = shared.instance("nacked", "nacked-1")
    with socket.create_server((LOOPBACK, free_port())) as server:
        port = server.getsockname()[1]
        crowded = shared.own_envoy("crowded", "--upstream", f"nacked.service.consul@{port}")
        eventually(lambda: status(shared, "crowded.default")["LDS"]["state"] == "NACKED", "NACKED")
        done = mesh_adapter("proxy-status", "crowded.default", "--http-addr", shared.control.http_addr)
        assert done.returncode == 1
        assert "crowded.default LDS: " in done.stdout
        assert f"{LOOPBACK}:{port}" in done.stdout
        assert "Address already in use" in done.stdout
        assert status(shared, "crowded.default")["CDS"]["state"] == "SYNCED"
        crowded.wait_served_by("nacked", web)

        rejected = crowded.stat("listener_manager.lds.update_rejected")
        more = shared.instance("nacked", "nacked-2")
        crowded.wait_served_by("nacked", web, more)
        assert crowded.stat("listener_manager.lds.update_rejected") == rejected == 1
    crowded.process.kill()
    eventually(lambda: "crowded" not in json.dumps(shared.control.debug("syncz")), "forgotten once it is gone")


@pytest.fixture
async def stream(shared: Mesh, client: Sidecar) -> AsyncIterator[Any]:
    """A delta stream of a proxy that is made up; client is there so that the mesh is known."""
    async with grpc.aio.insecure_channel(shared.control.xds_addr) as channel:
        call = channel.stream_stream(METHOD)()
        yield call
        call.cancel()


async def hear(stream: Any, seconds: float = 10.0) -> Any:
    """The next response; TimeoutError when none comes."""
    return Response.FromString(await asyncio.wait_for(stream.read(), seconds))


async def test_a_proxy_that_refuses_everything_hears_nothing_until_there_is_news(shared: Mesh, stream: Any) -> None:
    node = {"id": f"sidecar~{LOOPBACK}~stubborn.default~service.consul"}
    await stream.write(Request(node=node, type_url=CLUSTERS).SerializeToString())
    first = await hear(stream)
    error = {"code": 3, "message": "I take no clusters"}
    await stream.write(Request(type_url=CLUSTERS, response_nonce=first.nonce, error_detail=error).SerializeToString())
    read = asyncio.ensure_future(stream.read())
    done, _ = await asyncio.wait((read,), timeout=SILENCE)
    assert not done
    told = await asyncio.to_thread(status, shared, "stubborn.default")
    assert (told["CDS"]["state"], told["CDS"]["error"]) == ("NACKED", "I take no clusters")

    await asyncio.to_thread(shared.instance, "news")
    second = Response.FromString(await asyncio.wait_for(read, 10))
    assert "outbound|80||news.service.consul" in {each.name for each in second.resources}


@pytest.mark.parametrize(
    ("node_id", "complaint"),
    [
        ("sidecar~not-an-address~web.default~local", "'not-an-address' is not an IP address"),
        ("postman~127.0.0.1~web.default~local", "type 'postman' is not one of sidecar, router, ingress"),
        ("sidecar~127.0.0.1", "has 2 parts separated by '~', not 4"),
        ("", "must carry a node with an id"),
    ],
)
async def test_a_node_id_that_can_not_be_is_refused_with_what_is_expected(
    stream: Any, node_id: str, complaint: str
) -> None:
    await stream.write(Request(node={"id": node_id}, type_url=CLUSTERS).SerializeToString())
    assert await asyncio.wait_for(stream.code(), 10) is grpc.StatusCode.INVALID_ARGUMENT
    details = await stream.details()
    assert complaint in details
    assert "NAME.NAMESPACE" in details or "sidecar" in details
