"""The Nomad platform against Nomad itself: registration, checks, tags, meta, canaries, drains, tokens, restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.nomad.options import NomadOptions
from adapters.nomad.watch import NomadPlatform
from adapters.platform import Delete
from pilot.model.service import Endpoint, Health, Port, Protocol, ServiceKey
from tests.contract.platform_suite import Listener
from tests.servers.nomad import Nomad
from tests.servers.nomad_job import SECOND, http_job

pytestmark = pytest.mark.integration

SLOW = 40.0
Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(addr: str, **options: Any) -> Listener:
        listeners.append(Listener(NomadPlatform(NomadOptions(addr=addr, check_interval=0.2, **options))))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def key(name: str, namespace: str = "default") -> ServiceKey:
    return ServiceKey(namespace, f"{name}.{namespace}.service.nomad")


def instances(heard: Listener, name: str, namespace: str = "default") -> tuple[Endpoint, ...]:
    service = heard.services.get(key(name, namespace))
    return service.endpoints if service else ()


def until(heard: Listener, name: str, condition: Callable[[tuple[Endpoint, ...]], bool], what: str) -> None:
    heard.until(lambda: condition(instances(heard, name)), f"{name}: {what}: {instances(heard, name)}", SLOW)


def healthy(heard: Listener, name: str, count: int) -> None:
    def all_of_them(found: tuple[Endpoint, ...]) -> bool:
        return len(found) == count and all(e.health is Health.HEALTHY for e in found)

    until(heard, name, all_of_them, f"{count} healthy")


def label(endpoint: Endpoint, name: str) -> str:
    return dict(endpoint.labels).get(name, "")


def test_appears_scales_and_is_purged(nomad: Nomad, listen: Listen) -> None:
    heard = listen(nomad.http_addr).synced()
    more: dict[str, Any] = {"Tags": ["v1", "tier=gold"], "Meta": {"protocol": "http", "mesh-port": "8000"}}
    nomad.run(http_job("scaled", service=more))
    nomad.run(http_job("other"))
    healthy(heard, "scaled", 1)
    assert heard.services[key("scaled")].ports == (Port("http", 8000, Protocol.HTTP),)
    (first,) = instances(heard, "scaled")
    (allocation,) = nomad.allocations("scaled")
    assert first.locality.region == "global"
    assert first.locality.zone == "dc1"
    assert first.service_account == "scaled"
    assert {("version", "v1"), ("tier", "gold"), ("nomad.job", "scaled"), ("nomad.group", "g")} <= set(first.labels)
    assert label(first, "nomad.alloc") == allocation["ID"]
    assert label(first, "nomad.node") == "nomad-dc1"
    nomad.run(http_job("scaled", count=3, service=more))
    healthy(heard, "scaled", 3)
    assert first in instances(heard, "scaled")
    nomad.run(http_job("scaled", count=1, service=more))
    healthy(heard, "scaled", 1)
    nomad.remove("scaled")
    heard.until(lambda: Delete(key("scaled")) in heard.events, "Delete", SLOW)
    nomad.run(http_job("scaled", service=more))
    healthy(heard, "scaled", 1)
    healthy(heard, "other", 1)


def test_a_check_fails_and_recovers(nomad: Nomad, listen: Listen, tmp_path: Path) -> None:
    ill = tmp_path / "ill"
    heard = listen(nomad.http_addr).synced()
    nomad.run(http_job("checked", checked=True, ill=str(ill)))
    healthy(heard, "checked", 1)
    ill.touch()
    until(heard, "checked", lambda found: [e.health for e in found] == [Health.UNHEALTHY], "unhealthy")
    late = listen(nomad.http_addr).synced()
    assert [e.health for e in instances(late, "checked")] == [Health.UNHEALTHY]
    ill.unlink()
    healthy(heard, "checked", 1)


def test_tags_and_meta_change_in_place_and_a_moved_allocation_is_followed(nomad: Nomad, listen: Listen) -> None:
    heard = listen(nomad.http_addr).synced()
    nomad.run(http_job("tagged", service={"Tags": ["v1"]}))
    healthy(heard, "tagged", 1)
    (before,) = instances(heard, "tagged")
    nomad.run(http_job("tagged", service={"Tags": ["v2"], "Meta": {"team": "shop"}}))
    until(heard, "tagged", lambda f: [(label(e, "version"), label(e, "team")) for e in f] == [("v2", "shop")], "v2")
    (after,) = instances(heard, "tagged")
    assert after.instance == before.instance
    (allocation,) = nomad.allocations("tagged")
    nomad.call("PUT", f"/v1/allocation/{allocation['ID']}/stop")
    until(heard, "tagged", lambda f: len(f) == 1 and f[0].instance != before.instance, "moved")
    healthy(heard, "tagged", 1)


def test_a_canary_is_told_from_the_stable_ones_until_it_is_promoted(
    nomad: Nomad, listen: Listen, tmp_path: Path
) -> None:
    quick = {"MinHealthyTime": SECOND // 10, "HealthyDeadline": 30 * SECOND, "ProgressDeadline": 60 * SECOND}
    update = {"Update": {"Canary": 1, "MaxParallel": 1, "HealthCheck": "checks"} | quick}
    service = {"Tags": ["stable"], "CanaryTags": ["next"], "CanaryMeta": {"version": "2"}, "Meta": {"version": "1"}}
    heard = listen(nomad.http_addr).synced()
    nomad.run(http_job("canary", checked=True, ill=str(tmp_path / "a"), service=service, group=update))
    healthy(heard, "canary", 1)
    nomad.run(
        http_job(
            "canary", checked=True, ill=str(tmp_path / "b"), service=service | {"Meta": {"version": "2"}}, group=update
        )
    )
    healthy(heard, "canary", 2)
    told = {(label(e, "canary"), label(e, "version"), label(e, "next")) for e in instances(heard, "canary")}
    assert told == {("false", "1", ""), ("true", "2", "true")}
    nomad.process.wait_until(lambda: _promotable(nomad, "canary") is not None, "a healthy canary", seconds=SLOW)
    deployment = _promotable(nomad, "canary")
    nomad.call("PUT", f"/v1/deployment/promote/{deployment}", {"DeploymentID": deployment, "All": True})
    until(heard, "canary", lambda f: [(label(e, "canary"), label(e, "version")) for e in f] == [("false", "2")], "one")


def _promotable(nomad: Nomad, name: str) -> str | None:
    """The job's deployment whose canary Nomad found healthy."""
    running = [d for d in nomad.get(f"/v1/job/{name}/deployments") if d["Status"] == "running"]
    return next((str(d["ID"]) for d in running if d["TaskGroups"]["g"]["HealthyAllocs"] >= 1), None)


def test_a_drained_node_drains_what_is_moved(nomad: Nomad, listen: Listen) -> None:
    heard = listen(nomad.http_addr).synced()
    nomad.run(http_job("drained"))
    healthy(heard, "drained", 1)
    (node,) = nomad.get("/v1/nodes")
    try:
        spec = {"DrainSpec": {"Deadline": 60 * SECOND}, "MarkEligible": False}
        nomad.call("PUT", f"/v1/node/{node['ID']}/drain", spec)
        until(heard, "drained", lambda f: all(e.health is not Health.HEALTHY for e in f), "not healthy")
    finally:
        nomad.call("PUT", f"/v1/node/{node['ID']}/drain", {"DrainSpec": None, "MarkEligible": True})
    healthy(heard, "drained", 1)


def test_restarted_with_nothing_leaves_traffic_alone(tmp_path: Path, listen: Listen) -> None:
    """A server in development mode forgets everything with its death; what runs is not thereby gone."""
    with Nomad(tmp_path / "nomad") as nomad:
        heard = listen(nomad.http_addr).synced()
        nomad.run(http_job("kept"))
        healthy(heard, "kept", 1)
        before = instances(heard, "kept")
        nomad.kill()
        heard.until(lambda: heard.stale != "", "Stale")
        nomad.start()
        heard.until(lambda: "suspect" in heard.stale, "suspicion", SLOW)
        assert instances(heard, "kept") == before
        nomad.run(http_job("new"))
        healthy(heard, "new", 1)
        assert instances(heard, "kept") == before
        assert not [e for e in heard.events if isinstance(e, Delete)]


def test_restarted_with_its_data_tells_only_differences(tmp_path: Path, listen: Listen) -> None:
    with Nomad(tmp_path / "nomad", persistent=True) as nomad:
        heard = listen(nomad.http_addr).synced()
        nomad.run(http_job("steady"))
        healthy(heard, "steady", 1)
        heard.settled()
        count = len(heard.events)
        nomad.kill()
        heard.until(lambda: heard.stale != "", "Stale")
        nomad.start()
        heard.until(lambda: heard.stale == "", "Fresh", SLOW)
        healthy(heard, "steady", 1)
        assert not [e for e in heard.events[count:] if isinstance(e, Delete)]


def test_namespaces_and_a_token_that_is_taken_away(tmp_path: Path, listen: Listen) -> None:
    management = "5b0b7a40-0000-4000-8000-000000000002"
    with Nomad(tmp_path / "nomad", management_token=management) as nomad:
        nomad.call("PUT", "/v1/namespace/shop", {"Name": "shop"})
        policy = Path(__file__).parents[2] / "deploy/nomad/mesh-adapter.policy.hcl"
        nomad.call("PUT", "/v1/acl/policy/mesh", {"Name": "mesh", "Rules": policy.read_text(encoding="utf-8")})
        made = nomad.call("PUT", "/v1/acl/token", {"Type": "client", "Policies": ["mesh"]}).json
        file = tmp_path / "token"
        file.write_text(made["SecretID"])
        nomad.run(http_job("shared"))
        nomad.run(http_job("shared", Namespace="shop"))
        heard = listen(nomad.http_addr, token_file=str(file)).synced()
        heard.until(lambda: len(instances(heard, "shared", "shop")) == 1, "one in the namespace shop", SLOW)
        healthy(heard, "shared", 1)
        assert heard.problems == {}
        only_shop = listen(nomad.http_addr, token=management, namespaces=("shop",)).synced()
        assert set(only_shop.services) == {key("shared", "shop")}
        nomad.call("DELETE", f"/v1/acl/token/{made['AccessorID']}")
        heard.until(lambda: str(file) in heard.stale, "Stale that names the token's file", SLOW)
        assert made["SecretID"] not in heard.stale
        assert len(instances(heard, "shared")) == 1
        file.write_text(management)
        heard.until(lambda: heard.stale == "", "Fresh", SLOW)
        assert not [e for e in heard.events if isinstance(e, Delete)]
