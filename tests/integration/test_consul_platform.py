"""The Consul platform against Consul itself: registration, health, meta, datacenters, tokens, TLS, restarts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.api import Access
from adapters.consul.client import Client, parse_address
from adapters.consul.library import Library
from adapters.consul.options import ConsulOptions
from adapters.consul.watch import ConsulPlatform
from adapters.platform import Delete, Upsert
from pilot.model.service import Endpoint, Health, Port, Protocol, ServiceKey
from tests.contract.platform_suite import Listener
from tests.servers.consul import Consul
from tests.servers.tls import Authority

pytestmark = pytest.mark.integration

WEB = ServiceKey("default", "web.service.consul")
SLOW = 40.0
"""Seconds for an agent to start, elect itself and register its node."""

Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(addr: str, **options: object) -> Listener:
        listeners.append(Listener(ConsulPlatform(ConsulOptions(addr=addr, **options))))  # type: ignore[arg-type]
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def register(consul: Consul, identity: str, address: str, /, name: str = "web", **more: Any) -> None:
    """At the agent, with a check that lasts as long as the test."""
    body = {
        "ID": identity,
        "Name": name,
        "Address": address,
        "Port": 8080,
        "Check": {"CheckID": f"check-{identity}", "TTL": "10m", "Status": "passing"},
    }
    consul.call("PUT", "/v1/agent/service/register", body | more)


def only(heard: Listener, key: ServiceKey = WEB) -> Endpoint | None:
    found = list(heard.endpoints(key).values())
    return found[0] if len(found) == 1 else None


def test_registered_failing_recovering_deregistered(consul: Consul, listen: Listen) -> None:
    register(consul, "web-1", "10.0.0.1", Meta={"protocol": "http"})
    heard = listen(consul.http_addr).synced()
    heard.until_addresses(WEB, "10.0.0.1")
    assert heard.services[WEB].ports == (Port("http", 80, Protocol.HTTP),)
    assert heard.endpoints(WEB)["10.0.0.1"].instance == "dc1/consul-dc1/web-1"
    register(consul, "web-2", "10.0.0.2", Meta={"protocol": "http"})
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")
    consul.call("PUT", "/v1/agent/check/fail/check-web-2")
    heard.until_health(WEB, "10.0.0.2", healthy=False)
    consul.call("PUT", "/v1/agent/check/pass/check-web-2")
    heard.until_health(WEB, "10.0.0.2", healthy=True)
    consul.call("PUT", "/v1/agent/service/deregister/web-2")
    heard.until_addresses(WEB, "10.0.0.1")


def test_warning_takes_traffic_by_its_own_weight_unless_excluded(consul: Consul, listen: Listen) -> None:
    register(consul, "web-1", "10.0.0.1", Weights={"Passing": 10, "Warning": 3})
    including, excluding = listen(consul.http_addr, warning="include").synced(), listen(consul.http_addr).synced()
    consul.call("PUT", "/v1/agent/check/warn/check-web-1")
    including.until(lambda: (found := only(including)) is not None and found.weight == 3, "weight 3")
    including.until_health(WEB, "10.0.0.1", healthy=True)
    excluding.until_health(WEB, "10.0.0.1", healthy=False)


def test_maintenance_of_a_service_and_of_the_node_drains(consul: Consul, listen: Listen) -> None:
    register(consul, "web-1", "10.0.0.1")
    heard = listen(consul.http_addr).synced()

    def has(health: Health) -> bool:
        found = only(heard)
        return found is not None and found.health is health

    for path in ("/v1/agent/service/maintenance/web-1", "/v1/agent/maintenance"):
        consul.call("PUT", f"{path}?enable=true")
        heard.until(lambda: has(Health.DRAINING), path)
        consul.call("PUT", f"{path}?enable=false")
        heard.until(lambda: has(Health.HEALTHY), path)


@pytest.mark.parametrize("checked", [True, False], ids=["with a check", "without a check"])
def test_weight_tags_meta_and_address_change(consul: Consul, listen: Listen, checked: bool) -> None:
    more: dict[str, Any] = {} if checked else {"Check": None}
    register(consul, "web-1", "10.0.0.1", **more)
    register(consul, "db-1", "10.0.0.9", name="db")
    heard = listen(consul.http_addr).synced()
    heard.settled()

    def seen(condition: Callable[[Endpoint], bool], what: str) -> None:
        heard.until(lambda: (found := only(heard)) is not None and condition(found), what)

    more |= {"Weights": {"Passing": 7, "Warning": 1}}
    register(consul, "web-1", "10.0.0.1", **more)
    seen(lambda e: e.weight == 7, "weight")
    more |= {"Tags": ["v2", "tier=gold"]}
    register(consul, "web-1", "10.0.0.1", **more)
    seen(lambda e: {("version", "v2"), ("tier", "gold")} <= set(e.labels), "tags")
    more |= {"Meta": {"version": "v3", "zone": "z1", "service-account": "shop"}}
    register(consul, "web-1", "10.0.0.1", **more)
    seen(lambda e: ("version", "v3") in e.labels and e.locality.zone == "z1" and e.service_account == "shop", "meta")
    register(consul, "web-1", "10.0.0.5", **more)
    heard.until_addresses(WEB, "10.0.0.5")
    assert {e.service.key for e in heard.events if isinstance(e, Upsert)} == {
        WEB,
        ServiceKey("default", "db.service.consul"),
    }


def test_sidecar_proxies_and_consul_itself_are_not_told(consul: Consul, listen: Listen) -> None:
    register(consul, "web-1", "10.0.0.1", Connect={"sidecar_service": {}})
    heard = listen(consul.http_addr).synced()
    heard.settled()
    assert set(heard.services) == {WEB}


def test_python_consul2_registers_through_our_transport(consul: Consul, listen: Listen) -> None:
    client = Client(Access(parse_address(consul.http_addr)), connections=1)
    try:
        heard = listen(consul.http_addr).synced()
        Library(client).agent.service.register("web", service_id="web-1", address="10.0.0.1", port=8080)
        heard.until_addresses(WEB, "10.0.0.1")
        Library(client).kv.put("mesh/x", "y")
        assert Library(client).kv.get("mesh/x")[1]["Value"] == b"y"
    finally:
        client.close()


def test_killed_for_a_while_and_restarted_with_nothing_leaves_traffic_alone(consul: Consul, listen: Listen) -> None:
    for number in range(1, 4):
        register(consul, f"web-{number}", f"10.0.0.{number}")
    register(consul, "db-1", "10.0.0.9", name="db")
    heard = listen(consul.http_addr).synced()
    consul.kill()
    heard.until(lambda: heard.stale != "", "Stale")
    consul.start()
    heard.until(lambda: "suspect" in heard.stale, "suspicion", SLOW)
    assert set(heard.endpoints(WEB)) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    register(consul, "web-1", "10.0.0.1")
    register(consul, "web-2", "10.0.0.22")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.22", "10.0.0.3")
    assert not [e for e in heard.events if isinstance(e, Delete)]
    register(consul, "web-3", "10.0.0.3")
    register(consul, "db-1", "10.0.0.9", name="db")
    heard.until(lambda: heard.stale == "", "Fresh")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.22", "10.0.0.3")


def test_a_loss_that_lasts_is_believed(consul: Consul, listen: Listen) -> None:
    register(consul, "web-1", "10.0.0.1")
    heard = listen(consul.http_addr, empty_hold=2.0).synced()
    consul.call("PUT", "/v1/agent/service/deregister/web-1")
    heard.until(lambda: "suspect" in heard.stale, "suspicion")
    start = time.monotonic()
    heard.until(lambda: not heard.services, "Delete", SLOW)
    assert time.monotonic() - start > 1
    heard.until(lambda: heard.stale == "", "Fresh")


def test_restarted_with_its_data_tells_only_differences(tmp_path: Path, listen: Listen) -> None:
    with Consul(tmp_path / "consul", persistent=True) as consul:
        register(consul, "web-1", "10.0.0.1")
        register(consul, "db-1", "10.0.0.9", name="db")
        heard = listen(consul.http_addr).synced()
        heard.settled()
        count = len(heard.events)
        consul.kill()
        heard.until(lambda: heard.stale != "", "Stale")
        consul.start()
        register(consul, "web-2", "10.0.0.2")
        heard.until(lambda: heard.stale == "", "Fresh", SLOW)
        heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")
        assert set(heard.services) == {WEB, ServiceKey("default", "db.service.consul")}
        assert not [e for e in heard.events[count:] if isinstance(e, Delete)]


def test_two_datacenters_are_one_service_and_one_may_go(tmp_path: Path, listen: Listen) -> None:
    with Consul(tmp_path / "one") as one, Consul(tmp_path / "two", datacenter="dc2", join=one) as two:
        register(one, "web-1", "10.0.0.1")
        register(two, "web-1", "10.2.0.1", TaggedAddresses={"wan": {"Address": "203.0.113.7", "Port": 443}})
        heard = listen(one.http_addr, datacenters=("*",)).synced()
        heard.until_addresses(WEB, "10.0.0.1", "203.0.113.7")
        assert heard.endpoints(WEB)["203.0.113.7"].locality.region == "dc2"
        two.kill()
        heard.until(lambda: "consul dc2 datacenter" in heard.problems, "a Problem", SLOW)
        assert set(heard.endpoints(WEB)) == {"10.0.0.1", "203.0.113.7"}
        assert heard.stale == ""
        register(one, "web-2", "10.0.0.2")
        heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2", "203.0.113.7")


def test_a_token_that_is_taken_away_empties_nothing(tmp_path: Path, listen: Listen) -> None:
    management = "5b0b7a40-0000-4000-8000-000000000001"
    with Consul(tmp_path / "consul", management_token=management) as consul:
        register(consul, "web-1", "10.0.0.1")
        token_file = tmp_path / "token"
        rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
        consul.put("/v1/acl/policy", {"Name": "reader", "Rules": rules})
        made = consul.put("/v1/acl/token", {"Policies": [{"Name": "reader"}]})
        token_file.write_text(made["SecretID"])
        heard = listen(consul.http_addr, token_file=str(token_file)).synced()
        heard.until_addresses(WEB, "10.0.0.1")
        consul.call("DELETE", f"/v1/acl/token/{made['AccessorID']}")
        # A poll that waits was allowed when it began: something has to happen for it to be asked again.
        register(consul, "web-2", "10.0.0.2")
        heard.until(lambda: str(token_file) in heard.stale, "Stale that names the token", SLOW)
        assert "10.0.0.1" in heard.endpoints(WEB)
        assert made["SecretID"] not in heard.stale
        token_file.write_text(management)
        heard.until(lambda: heard.stale == "", "Fresh", SLOW)
        heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")


def test_a_token_that_may_see_little_is_a_problem(tmp_path: Path, listen: Listen) -> None:
    with Consul(tmp_path / "consul", management_token="5b0b7a40-0000-4000-8000-000000000001") as consul:
        register(consul, "web-1", "10.0.0.1")
        register(consul, "db-1", "10.0.0.9", name="db")
        rules = 'service "web" { policy = "read" } node_prefix "" { policy = "read" }'
        consul.put("/v1/acl/policy", {"Name": "web-reader", "Rules": rules})
        token = consul.put("/v1/acl/token", {"Policies": [{"Name": "web-reader"}]})["SecretID"]
        heard = listen(consul.http_addr, token=token).synced()
        heard.until(lambda: "consul acl" in heard.problems, "a Problem")
        assert set(heard.services) == {WEB}


def test_tls_with_a_client_certificate(tmp_path: Path, listen: Listen) -> None:
    authority = Authority(tmp_path / "authority")
    certificate = authority.issue("consul", "DNS:server.dc1.consul")
    strict = {"tls": {"https": {"verify_incoming": True}}}
    with Consul(tmp_path / "consul", certificate=certificate, config=strict) as consul:
        register(consul, "web-1", "10.0.0.1")
        stranger = listen(consul.url, ca_file=str(certificate.ca_file))
        stranger.until(lambda: stranger.stale != "", "Stale without a client certificate")
        untrusting = listen(consul.url)
        untrusting.until(lambda: "certificate" in untrusting.stale.lower(), "Stale without the authority")
        heard = listen(
            consul.url,
            ca_file=str(certificate.ca_file),
            cert_file=str(certificate.cert_file),
            key_file=str(certificate.key_file),
        ).synced()
        heard.until_addresses(WEB, "10.0.0.1")
        register(consul, "web-2", "10.0.0.2")
        heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")
        assert heard.close() < 2
