"""The whole platform against an in-process Nomad that does what a real one does not do when asked (N1 to N12)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.nomad.options import NomadOptions
from adapters.nomad.watch import NomadPlatform
from adapters.platform import Delete, Synced, Upsert
from pilot.model.service import Health, ServiceKey
from tests.contract.nomad_server import BUFFERED, NomadServer, Reply, wait_for
from tests.contract.platform_suite import Listener

STREAM = "/v1/event/stream"
Listen = Callable[..., Listener]


@pytest.fixture
def server() -> Iterator[NomadServer]:
    running = NomadServer()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def listen(server: NomadServer) -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(**options: Any) -> Listener:
        chosen: dict[str, Any] = {"addr": server.url, "check_interval": 0.1} | options
        listeners.append(Listener(NomadPlatform(NomadOptions(**chosen))))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def key(name: str, namespace: str = "default") -> ServiceKey:
    return ServiceKey(namespace, f"{name}.{namespace}.service.nomad")


WEB = key("web")


def on(path: str, reply: Reply) -> Callable[[str, Mapping[str, str]], Reply | None]:
    return lambda asked, query: reply if asked == path else None


def test_more_events_than_nomad_keeps_are_missed_by_nobody(server: NomadServer, listen: Listen) -> None:
    """N1: the buffer holds 100 events, and says nothing of those that it lost."""
    server.register("web", "a1", "10.0.0.1")
    heard = listen().synced()
    server.stop()
    heard.until(lambda: heard.stale != "", "Stale")
    for number in range(2, BUFFERED + 2):
        server.register("web", f"a{number}", f"10.0.1.{number}")
    server.deregister("web", "a1")
    server.start()
    heard.until(lambda: heard.stale == "", "Fresh")
    heard.until_addresses(WEB, *(f"10.0.1.{number}" for number in range(2, BUFFERED + 2)))


def test_events_that_get_lost_are_found_by_the_names(
    server: NomadServer, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N6: the server did something and the stream, which lives, never told."""
    monkeypatch.setattr("adapters.nomad.loop.PROBE_EVERY", 0.1)
    monkeypatch.setattr("adapters.nomad.feed.RELIST_SOONEST", 0.1)
    server.register("web", "a1", "10.0.0.1")
    heard = listen().synced()
    server.mute = True
    server.register("db", "a2", "10.0.0.2")
    heard.until_addresses(key("db"), "10.0.0.2")


def test_a_stream_that_says_nothing_is_dead_and_opened_again(server: NomadServer, listen: Listen) -> None:
    """N3: heartbeats come every 30 s; here the limit is lowered instead."""
    server.register("web", "a1", "10.0.0.1")
    heard = listen(silence=0.3).synced()
    heard.until(lambda: heard.stale != "", "Stale")
    server.heartbeat = 0.05
    heard.until(lambda: heard.stale == "", "Fresh")
    opened = server.requests.count(STREAM)
    server.register("web", "a2", "10.0.0.2")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")
    heard.settled()
    assert server.requests.count(STREAM) == opened
    assert heard.stale == ""


def test_topics_are_asked_for_in_the_form_that_nomad_takes(server: NomadServer, listen: Listen) -> None:
    """N4, N5: a topic has at most one colon, `*` would take a management token; a namespace is always said."""
    asked: list[Mapping[str, str]] = []
    server.fault = lambda path, query: asked.append(query) if path == STREAM else None
    listen().synced()
    assert set(asked[0]["topics"].split(",")) == {"Service", "Allocation", "Node", "Job"}
    assert asked[0]["namespace"] == "*"


def test_an_end_before_the_first_heartbeat_is_a_denial_if_the_token_is(server: NomadServer, listen: Listen) -> None:
    """N4: since 1.11.2 the stream is answered by 200 before the token is looked at."""
    server.register("web", "a1", "10.0.0.1")
    replies = {STREAM: Reply(200, ""), "/v1/acl/token/self": Reply(403, "ACL token not found")}
    server.fault = lambda path, query: replies.get(path)
    heard = listen(token="secret-of-ours")
    heard.until(lambda: "the ACL token is denied" in heard.stale, "Stale that says why")
    assert "secret-of-ours" not in heard.stale
    server.fault = None
    heard.synced()


def test_a_token_that_expires_ends_the_stream_and_empties_nothing(
    server: NomadServer, listen: Listen, tmp_path: Path
) -> None:
    """N5: what a stream may see is decided when it is opened; the change of a token ends it."""
    server.register("web", "a1", "10.0.0.1")
    file = tmp_path / "token"
    file.write_text("first")
    good = {"first"}
    denied = Reply(403, "Permission denied")
    server.fault = lambda path, query: None if query["token"] in good else denied
    heard = listen(token_file=str(file)).synced()
    good.clear()
    server.end_streams()
    heard.until(lambda: str(file) in heard.stale, "Stale that names the file")
    assert set(heard.endpoints(WEB)) == {"10.0.0.1"}
    server.register("web", "a2", "10.0.0.2")
    good.add("second, longer")
    file.write_text("second, longer\n")
    heard.until(lambda: heard.stale == "", "Fresh")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")


def test_a_token_without_node_read_does_without_nodes(server: NomadServer, listen: Listen) -> None:
    denied = Reply(403, "Permission denied")
    server.fault = lambda path, query: (
        denied if path == "/v1/nodes" or (path == STREAM and "Node" in query["topics"]) else None
    )
    server.register("web", "a1", "10.0.0.1")
    heard = listen().synced()
    heard.until(lambda: "nomad global acl" in heard.problems, "a Problem")
    assert heard.stale == ""
    server.register("web", "a2", "10.0.0.2")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")
    assert heard.endpoints(WEB)["10.0.0.1"].health is Health.HEALTHY


@pytest.mark.parametrize(
    ("path", "reply", "said"),
    [
        ("/v1/services", Reply(500, "No cluster leader"), "No cluster leader"),
        ("/v1/allocations", Reply(403, "Permission denied"), "no token is denied"),
        ("/v1/service/web", Reply(200, "{"), "unreadable"),
        (STREAM, Reply(400, "Invalid topic query"), "Invalid topic"),
        (STREAM, Reply(200, "nonsense\n"), "unreadable"),
    ],
)
def test_an_error_keeps_everything_and_says_why(
    server: NomadServer, listen: Listen, path: str, reply: Reply, said: str
) -> None:
    server.register("web", "a1", "10.0.0.1")
    heard = listen().synced()
    server.fault = on(path, reply)
    server.end_streams()
    heard.until(lambda: said in heard.stale, f"Stale with {said}")
    assert set(heard.endpoints(WEB)) == {"10.0.0.1"}
    server.fault = None
    server.register("web", "a2", "10.0.0.2")
    heard.until(lambda: heard.stale == "", "Fresh")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")
    assert not [e for e in heard.events if isinstance(e, Delete)]


def test_too_many_requests_are_answered_with_patience(server: NomadServer, listen: Listen) -> None:
    """N10: 429 beyond the limit of connections or requests."""
    server.register("web", "a1", "10.0.0.1")
    server.fault = on("/v1/services", Reply(429, "limit", {"Retry-After": "1"}))
    heard = listen()
    heard.until(lambda: "429" in heard.stale, "Stale")
    heard.settled()
    assert server.requests.count("/v1/allocations") == 0
    server.fault = None
    heard.synced()


def test_connections_stay_few(server: NomadServer, listen: Listen) -> None:
    """N10: Nomad allows 100 connections a client."""
    for number in range(60):
        server.register(f"s{number}", f"a{number}", f"10.0.0.{number + 1}")
    heard = listen().synced()
    heard.settled()
    assert len(heard.services) == 60
    assert server.connections() <= 12


def test_a_server_that_lost_its_data_is_not_believed(server: NomadServer, listen: Listen) -> None:
    server.register("web", "a1", "10.0.0.1")
    server.register("db", "a2", "10.0.0.2")
    heard = listen().synced()
    server.stop()
    server.forget(restarted=True)
    server.start()
    heard.until(lambda: "suspect" in heard.stale, "suspicion")
    server.register("web", "a3", "10.0.0.3")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.3")
    server.register("web", "a4", "10.0.0.1")
    server.register("db", "a5", "10.0.0.2")
    heard.until(lambda: heard.stale == "", "Fresh")
    assert not [e for e in heard.events if isinstance(e, Delete)]
    assert {e.instance for e in heard.services[WEB].endpoints} == {
        "global/_nomad-task-a3-group-g-web-http",
        "global/_nomad-task-a4-group-g-web-http",
    }


def test_a_loss_that_lasts_is_believed(server: NomadServer, listen: Listen) -> None:
    server.register("web", "a1", "10.0.0.1")
    heard = listen(empty_hold=0.5).synced()
    server.forget()
    heard.until(lambda: "suspect" in heard.stale, "suspicion")
    heard.until(lambda: Delete(WEB) in heard.events, "Delete")
    heard.until(lambda: heard.stale == "", "Fresh")


def test_health_is_asked_of_the_node_and_its_silence_changes_nothing(server: NomadServer, listen: Listen) -> None:
    """N7."""
    server.register("web", "a1", "10.0.0.1", status="pending", DeploymentStatus={"Healthy": None})
    heard = listen().synced()
    heard.until_health(WEB, "10.0.0.1", healthy=False)
    server.check("a1", "success")
    heard.until_health(WEB, "10.0.0.1", healthy=True)
    path = "/v1/client/allocation/a1/checks"
    count = len(heard.events)
    server.fault = on(path, Reply(404, "Unknown allocation"))
    heard.settled()
    assert heard.events[count:] == []


def test_a_ghost_and_a_late_end_are_left_out(server: NomadServer, listen: Listen) -> None:
    """N8, N9: a registration outlives its allocation; a purged job's allocation never ends by an event."""
    server.register("web", "a1", "10.0.0.1")
    server.register("web", "a2", "10.0.0.2")
    server.allocate("a2", "web", ClientStatus="lost")
    heard = listen().synced()
    assert set(heard.endpoints(WEB)) == {"10.0.0.1"}
    server.register("web", "a3", "10.0.0.3")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.3")
    server.deregister("web", "a3", ends=False)
    heard.until_addresses(WEB, "10.0.0.1")


def test_stable_and_canary_live_under_one_name(server: NomadServer, listen: Listen) -> None:
    """N12."""
    server.submit("web", "web", meta={"version": "1"})
    server.register("web", "a1", "10.0.0.1", status=None)
    heard = listen().synced()
    server.submit("web", "web", meta={"version": "2"}, canary_meta={"version": "2", "try": "yes"})
    canary = {"Canary": True, "Healthy": None}
    server.register("web", "a2", "10.0.0.2", tags=["next"], status=None, DeploymentStatus=canary)
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2")

    def told(address: str) -> tuple[str | None, ...]:
        labels = dict(heard.endpoints(WEB)[address].labels)
        return tuple(labels.get(name) for name in ("canary", "version", "try", "next"))

    assert (told("10.0.0.1"), told("10.0.0.2")) == (("false", "1", None, None), ("true", "2", "yes", "true"))
    server.allocate("a2", "web", DeploymentStatus={"Canary": False, "Healthy": True})
    heard.until(lambda: told("10.0.0.2")[0] == "false", "promoted")


def test_namespaces_by_name_are_streams_of_their_own(server: NomadServer, listen: Listen) -> None:
    for number, namespace in enumerate(("default", "shop", "other"), start=1):
        server.register("web", f"a{number}", f"10.0.0.{number}", namespace=namespace)
    heard = listen(namespaces=("default", "shop")).synced()
    assert set(heard.services) == {WEB, key("web", "shop")}
    server.register("late", "a4", "10.0.0.4", namespace="shop")
    server.register("late", "a5", "10.0.0.5", namespace="other")
    heard.until_addresses(key("late", "shop"), "10.0.0.4")
    assert set(listen().synced().services) == set(heard.services) | {key("web", "other"), key("late", "other")}


def test_several_regions_are_one_service_and_one_may_go(server: NomadServer, listen: Listen) -> None:
    far = NomadServer("eu")
    server.remotes["eu"] = far
    server.register("web", "a1", "10.0.0.1")
    far.register("web", "a1", "10.9.0.1")
    heard = listen(regions=("*",)).synced()
    heard.until_addresses(WEB, "10.0.0.1", "10.9.0.1")
    assert {e.locality.region for e in heard.services[WEB].endpoints} == {"global", "eu"}
    assert len({e.instance for e in heard.services[WEB].endpoints}) == 2
    far.fault = lambda path, query: Reply(500, "No path to region")
    far.end_streams()
    heard.until(lambda: "nomad eu region" in heard.problems, "a Problem")
    assert heard.stale == ""
    server.register("web", "a2", "10.0.0.2")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2", "10.9.0.1")
    far.fault = None
    far.register("web", "a3", "10.9.0.3")
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2", "10.9.0.1", "10.9.0.3")
    heard.until(lambda: not heard.problems, "Resolved")


def test_a_region_that_does_not_exist_keeps_nobody_from_serving(server: NomadServer, listen: Listen) -> None:
    server.register("web", "a1", "10.0.0.1")
    heard = listen(regions=("global", "nowhere")).synced()
    heard.until(lambda: "nomad nowhere region" in heard.problems, "a Problem")
    assert heard.stale == ""


def test_the_whole_is_told_once_each_with_checks_and_meta_in(server: NomadServer, listen: Listen) -> None:
    server.submit("web", "web", meta={"mesh-port": "8000"}, checks=1)
    for number in range(1, 30):
        server.register("web", f"a{number}", f"10.0.0.{number}")
    heard = listen().synced()
    told = heard.events[: heard.events.index(Synced())]
    assert [type(e) for e in told] == [Upsert]
    assert [port.number for port in heard.services[WEB].ports] == [8000]
    assert all(e.health is Health.HEALTHY for e in heard.services[WEB].endpoints)


def test_the_environment_does_not_override_what_was_said(
    server: NomadServer, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ADDR", "TOKEN", "REGION", "NAMESPACE"):
        monkeypatch.setenv(f"NOMAD_{name}", "from-the-environment")
    seen: set[str] = set()
    server.fault = lambda path, query: seen.update(query.values())
    server.register("web", "a1", "10.0.0.1")
    listen(token="said").synced()
    assert "said" in seen
    assert "from-the-environment" not in seen


def test_close_leaves_no_thread_and_no_connection(server: NomadServer, listen: Listen) -> None:
    server.register("web", "a1", "10.0.0.1")
    server.heartbeat = 0.05
    heard = listen().synced()
    heard.close()
    wait_for(lambda: server.connections() == 0, "without connections")
    assert [t.name for t in threading.enumerate() if t.name.startswith("nomad")] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"addr": "unix:///run/nomad.sock"}, "not an address of Nomad"),
        ({"namespaces": ()}, "namespaces"),
        ({"namespaces": ("*", "shop")}, "alone"),
        ({"check_interval": 0.0}, "check_interval"),
        ({"check_rate": -1.0}, "check_rate"),
        ({"silence": 0.0}, "silence"),
        ({"empty_hold": -1.0}, "empty_hold"),
    ],
)
def test_an_option_that_can_not_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        NomadPlatform(NomadOptions(**options))


def test_a_file_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(OSError, match="No such file"):
        NomadPlatform(NomadOptions(addr="https://127.0.0.1:1", ca_file="/nonexistent/ca.pem"))
