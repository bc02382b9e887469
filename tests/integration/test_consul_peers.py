"""Services that a peered Consul exports to ours: two real agents, peered through their own API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.consul.options import ConsulOptions
from adapters.testing import Listener
from pilot.model.service import Locality, ServiceKey
from tests.integration.test_consul_platform import WEB, register
from tests.servers.consul import Consul
from tests.servers.ports import free_port

pytestmark = pytest.mark.integration

API = ServiceKey("default", "api.service.consul")
SLOW = 30.0


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[tuple[Consul, Consul]]:
    """Both call their datacenter dc1, as clusters that know nothing of each other do; not peered yet."""
    ours, theirs = (
        Consul(tmp_path / name, config={"ports": {"grpc_tls": free_port()}, "peering": {"enabled": True}})
        for name in ("ours", "theirs")
    )
    with ours, theirs:
        yield ours, theirs


def peer(ours: Consul, theirs: Consul) -> None:
    token = theirs.call("POST", "/v1/peering/token", {"PeerName": "ours"}).json["PeeringToken"]
    ours.call("POST", "/v1/peering/establish", {"PeerName": "theirs", "PeeringToken": token})


def export(theirs: Consul, *names: str) -> None:
    services = [{"Name": name, "Consumers": [{"Peer": "ours"}]} for name in names]
    theirs.put("/v1/config", {"Kind": "exported-services", "Name": "default", "Services": services})


def test_what_a_peer_exports_comes_after_our_own_and_stays_while_the_peering_is_away(
    clusters: tuple[Consul, Consul],
) -> None:
    ours, theirs = clusters
    register(ours, "web-1", "10.0.0.1")
    register(theirs, "web-1", "10.1.0.1")
    register(theirs, "api-1", "10.1.0.2", name="api")
    register(theirs, "hidden-1", "10.1.0.3", name="hidden")
    heard = Listener(ConsulOptions(addr=ours.http_addr, peers=("theirs",)).platform("consul")).synced()
    try:
        heard.until(lambda: "consul peer theirs" in heard.problems, "a peering that is not there is a problem", SLOW)
        assert heard.stale == ""
        peer(ours, theirs)
        export(theirs, "web", "api")
        heard.until_addresses(WEB, "10.0.0.1", "10.1.0.1")
        heard.until(lambda: "consul peer theirs" not in heard.problems, "no problem", SLOW)
        found = heard.endpoints(WEB)
        assert [found[each].priority for each in ("10.0.0.1", "10.1.0.1")] == [0, 1]
        assert found["10.1.0.1"].instance == "theirs:dc1/consul-dc1/web-1"
        assert found["10.1.0.1"].locality == Locality("dc1")
        assert dict(found["10.1.0.1"].labels)["consul.peer"] == "theirs"
        assert "consul.peer" not in dict(found["10.0.0.1"].labels)
        heard.until_addresses(API, "10.1.0.2")
        assert {key.host for key in heard.services} == {WEB.host, API.host}

        theirs.put("/v1/agent/service/maintenance/web-1?enable=true")
        heard.until_health(WEB, "10.1.0.1", healthy=False)
        theirs.put("/v1/agent/service/maintenance/web-1?enable=false")
        heard.until_health(WEB, "10.1.0.1", healthy=True)
        export(theirs, "web")
        heard.until(lambda: API not in heard.services, "api is exported no more", SLOW)
        ours.call("DELETE", "/v1/peering/theirs")
        heard.until(lambda: "consul peer theirs" in heard.problems, "a problem", SLOW)
        heard.until_addresses(WEB, "10.0.0.1", "10.1.0.1")
        assert heard.stale == ""
    finally:
        heard.close()
