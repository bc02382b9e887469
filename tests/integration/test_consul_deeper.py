"""Beyond plain instances, against Consul itself: failing over to a datacenter, Connect, our own registration."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.consul.options import ConsulOptions
from adapters.consul.watch import ConsulPlatform
from adapters.testing import Listener
from pilot.model.service import ServiceKey
from tests.integration.test_consul_platform import WEB, register
from tests.servers.consul import Consul
from tests.servers.process import Process

pytestmark = pytest.mark.integration

COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))
Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(consul: Consul, **options: object) -> Listener:
        listeners.append(Listener(ConsulPlatform(ConsulOptions(addr=consul.http_addr, **options))))  # type: ignore[arg-type]
        return listeners[-1].synced()

    yield start
    for each in listeners:
        each.close()


def test_the_datacenters_to_fail_over_to_come_after_our_own(tmp_path: Path, listen: Listen) -> None:
    east = Consul(tmp_path / "east", datacenter="east")
    west = Consul(tmp_path / "west", datacenter="west", join=east)
    try:
        east.start()
        west.start()
        register(east, "web-1", "10.0.0.1")
        register(west, "web-2", "10.1.0.1")
        heard = listen(east, failover=("west",))
        heard.until_addresses(WEB, "10.0.0.1", "10.1.0.1")
        assert {each.address: each.priority for each in heard.endpoints(WEB).values()} == {"10.0.0.1": 0, "10.1.0.1": 1}
        west.kill()
        heard.until(lambda: "consul west datacenter" in heard.problems, "west is a problem", 30.0)
        heard.until_addresses(WEB, "10.0.0.1", "10.1.0.1")
        assert heard.stale == ""
    finally:
        east.kill()
        west.kill()


def test_connect_registrations_are_left_in_or_out_and_virtual_addresses_told(consul: Consul, listen: Listen) -> None:
    register(consul, "db-1", "10.0.0.3", name="db", Connect={"Native": True})
    register(consul, "web-1", "10.0.0.1", Connect={"SidecarService": {}}, Meta={"team": "shop"})
    db, proxy = ServiceKey("default", "db.service.consul"), ServiceKey("default", "web-sidecar-proxy.service.consul")
    plain, chosen = listen(consul), listen(consul, connect_native="exclude", sidecar_proxies="include")
    plain.until(lambda: {db, WEB} <= plain.services.keys(), "web and db")
    chosen.until(lambda: {proxy, WEB} <= chosen.services.keys(), "web and its proxy")
    assert proxy not in plain.services
    assert db not in chosen.services
    (virtual,) = plain.services[db].addresses
    assert virtual.startswith("240.")
    named = listen(consul, namespace="meta:team")
    named.until(lambda: ServiceKey("shop", WEB.host) in named.services, "web in shop")


def test_keys_name_the_namespace_of_a_service(tmp_path: Path, listen: Listen) -> None:
    with Consul(tmp_path / "consul") as consul:
        register(consul, "web-1", "10.0.0.1", Meta={"namespace": "other"})
        register(consul, "db-1", "10.0.0.2", name="db")
        put_key(consul, "mesh/namespaces/db", "Not one")
        heard = listen(consul, namespace="kv:/mesh/namespaces/")
        assert {key.namespace for key in heard.services} == {"default"}
        assert "consul kv mesh/namespaces/db" in heard.problems
        put_key(consul, "mesh/namespaces/web", "shop")
        shop = ServiceKey("shop", WEB.host)
        heard.until(lambda: shop in heard.services and WEB not in heard.services, "web in shop")
        consul.kill()
        heard.until(lambda: heard.stale != "", "Stale", 30.0)
        consul.start()
        heard.until(lambda: "all keys vanished" in heard.stale, "suspicion", 30.0)
        assert shop in heard.services
        put_key(consul, "mesh/namespaces/web", "store")
        store = ServiceKey("store", WEB.host)
        heard.until(lambda: store in heard.services and shop not in heard.services, "web in store", 30.0)


def test_keys_that_the_token_may_not_read_are_waited_for(tmp_path: Path) -> None:
    management = "11111111-1111-1111-1111-111111111111"
    with Consul(tmp_path / "consul", management_token=management) as consul:
        register(consul, "web-1", "10.0.0.1")
        put_key(consul, "mesh/web", "shop")
        rules = 'service_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }'
        consul.put("/v1/acl/policy", {"Name": "mesh", "Rules": rules})
        token = consul.put("/v1/acl/token", {"Policies": [{"Name": "mesh"}]})["SecretID"]
        heard = Listener(
            ConsulPlatform(ConsulOptions(addr=consul.http_addr, namespace="kv:mesh", token=token, wait=1.0))
        )
        try:
            heard.until(lambda: "may not read all of these keys" in heard.stale, "Stale")
            assert heard.services == {}
            policy = consul.get("/v1/acl/policy/name/mesh")
            more = {"Rules": rules + '\nkey_prefix "mesh" { policy = "read" }'}
            consul.put(f"/v1/acl/policy/{policy['ID']}", policy | more)
            heard.synced()
            assert ServiceKey("shop", WEB.host) in heard.services
        finally:
            heard.close()


def put_key(consul: Consul, key: str, value: str) -> None:
    request = urllib.request.Request(f"{consul.url}/v1/kv/{key}", value.encode(), method="PUT")
    request.add_header("X-Consul-Token", consul.management_token or "")
    urllib.request.urlopen(request, timeout=10.0).close()


def test_a_control_plane_registers_itself_and_takes_it_back(consul: Consul, tmp_path: Path) -> None:
    command = [COMMAND, "start", "--platform", "consul", "--consul-addr", consul.http_addr, "--consul-register", "mesh"]
    process = Process("start", [*command, "--xds-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"], folder=tmp_path)
    process.start()
    try:

        def passing() -> bool:
            found = consul.get("/v1/health/service/mesh?passing")
            return len(found) == 1 and found[0]["Service"]["Address"] == "127.0.0.1"

        process.wait_until(passing, "registered and ready", seconds=40.0)
    finally:
        process.stop()
    assert consul.get("/v1/health/service/mesh") == []
