"""The platform against faults that a real Consul does not show on demand (B1, B3, B7, B9, B10, B14, B15, H7, G1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from adapters.consul.options import ConsulOptions
from adapters.consul.watch import ConsulPlatform
from adapters.platform import Delete, Synced, Upsert
from pilot.model.service import Health, ServiceKey
from tests.contract.consul_server import ConsulServer, Reply
from tests.contract.platform_suite import Listener

WEB, DB = (ServiceKey("default", f"{name}.service.consul") for name in ("web", "db"))
Listen = Callable[..., Listener]


@pytest.fixture
def server() -> Iterator[ConsulServer]:
    running = ConsulServer()
    running.register("web", "web-1", "10.0.0.1")
    running.register("web", "web-2", "10.0.0.2")
    running.register("db", "db-1", "10.0.0.3")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def listen(server: ConsulServer) -> Iterator[Listen]:
    listeners: list[Listener] = []

    def start(**options: object) -> Listener:
        listeners.append(Listener(ConsulPlatform(ConsulOptions(addr=server.url, **options))))  # type: ignore[arg-type]
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.close()


def test_an_index_that_goes_back_is_read_anew_and_told_as_differences(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    heard.settled()
    count = len(heard.events)
    server.index = 3
    server._tables = dict.fromkeys(server._tables, 3)
    server.answer_early()
    server.register("db", "db-2", "10.0.0.4")
    heard.until_addresses(DB, "10.0.0.3", "10.0.0.4")
    told = [e for e in heard.settled()[count:] if isinstance(e, Upsert | Delete)]
    assert [e.service.key for e in told if isinstance(e, Upsert)] == [DB]
    assert len(told) == 1
    assert heard.stale == ""


def test_early_answers_without_a_change_tell_nothing(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    count = len(heard.settled())
    for _ in range(20):
        server.answer_early()
        time.sleep(0.01)
    assert len(heard.settled()) == count


def test_a_restart_with_nothing_leaves_traffic_alone_and_who_returns_is_current(
    server: ConsulServer, listen: Listen
) -> None:
    heard = listen().synced()
    server.stop()
    heard.until(lambda: heard.stale != "", "Stale")
    server.forget(restarted=True)
    server.start()
    heard.until(lambda: "suspect" in heard.stale, "suspicion", deadline=20)
    assert set(heard.endpoints(WEB)) == {"10.0.0.1", "10.0.0.2"}
    server.register("web", "web-1", "10.0.0.9")
    heard.until_addresses(WEB, "10.0.0.9", "10.0.0.2")
    assert not [e for e in heard.events if isinstance(e, Delete)]
    server.register("web", "web-2", "10.0.0.2")
    server.register("db", "db-1", "10.0.0.3")
    heard.until(lambda: heard.stale == "", "Fresh")
    heard.until_addresses(WEB, "10.0.0.9", "10.0.0.2")


def test_a_loss_that_lasts_is_believed_in_the_end(server: ConsulServer, listen: Listen) -> None:
    heard = listen(empty_hold=0.6).synced()
    start = time.monotonic()
    server.forget()
    heard.until(lambda: "suspect" in heard.stale, "suspicion")
    heard.until(lambda: not heard.services, "both deleted")
    assert time.monotonic() - start >= 0.6
    heard.until(lambda: heard.stale == "", "Fresh")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(500, "No cluster leader"), "No cluster leader"),
        (Reply(403, "ACL not found"), "ACL token"),
        (Reply(200, "what is this"), "unreadable"),
        (Reply(200, "[]", {"X-Consul-KnownLeader": "false"}), "leader"),
    ],
)
def test_an_error_keeps_everything_and_says_why(server: ConsulServer, listen: Listen, reply: Reply, said: str) -> None:
    heard = listen(token="secret").synced()
    server.fault = lambda path, query: reply
    server.answer_early()
    heard.until(lambda: said in heard.stale, said)
    assert set(heard.services) == {WEB, DB}
    assert "secret" not in heard.stale
    server.fault = None
    heard.until(lambda: heard.stale == "", "Fresh", deadline=20)
    assert not [e for e in heard.events if isinstance(e, Delete)]


def test_too_many_requests_are_answered_with_patience(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    server.fault = lambda path, query: Reply(429, "Resource Exhausted", {"Retry-After": "1"})
    server.answer_early()
    heard.until(lambda: "429" in heard.stale, "429")
    server.requests.clear()
    before = time.monotonic()
    time.sleep(0.5)
    server.fault = None
    heard.until(lambda: heard.stale == "", "Fresh")
    assert time.monotonic() - before > 0.5


def test_a_token_that_sees_less_is_a_problem_and_empties_nothing(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    server.filtered = True
    server.fault = lambda path, query: (
        Reply(200, "{}" if path.endswith("services") else "[]", {"X-Consul-Results-Filtered-By-ACLs": "true"})
        if "node-services" not in path
        else None
    )
    server.answer_early()
    heard.until(lambda: "consul acl" in heard.problems, "a Problem")
    heard.until(lambda: "suspect" in heard.stale, "suspicion")
    assert set(heard.services) == {WEB, DB}
    server.filtered, server.fault = False, None
    heard.until(lambda: not heard.problems and heard.stale == "", "Resolved and Fresh", deadline=20)


def test_maintenance_drains(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    server.check("web-1", "critical", check="_service_maintenance:web-1")
    heard.until(lambda: heard.endpoints(WEB)["10.0.0.1"].health is Health.DRAINING, "draining")


def test_what_shows_in_no_check_is_seen_within_a_second(server: ConsulServer, listen: Listen) -> None:
    server.register("quiet", "quiet-1", "10.0.0.7", status=None)
    heard = listen().synced()
    quiet = ServiceKey("default", "quiet.service.consul")
    heard.settled()
    server.register("quiet", "quiet-1", "10.0.0.7", status=None, meta={"version": "v9"})
    heard.until(lambda: ("version", "v9") in heard.endpoints(quiet)["10.0.0.7"].labels, "meta", deadline=1)
    server.register("quiet", "quiet-2", "10.0.0.8", status=None)
    heard.until_addresses(quiet, "10.0.0.7", "10.0.0.8")
    server.deregister("quiet-2")
    heard.until_addresses(quiet, "10.0.0.7")


def test_a_node_that_moves_takes_its_instances_along(server: ConsulServer, listen: Listen) -> None:
    server.register("bare", "bare-1", "")
    heard = listen().synced()
    bare = ServiceKey("default", "bare.service.consul")
    heard.until_addresses(bare, "10.9.9.1")
    server.add_node("n1", "10.9.9.2")
    heard.until_addresses(bare, "10.9.9.2")


def test_few_connections_and_no_requests_when_nothing_happens(server: ConsulServer, listen: Listen) -> None:
    for number in range(100):
        server.register(f"s{number}", f"s{number}", "10.1.0.1")
    heard = listen().synced()
    heard.settled()
    before = len(server.requests)
    time.sleep(0.5)
    assert len(server.requests) == before
    assert server.connections() <= 16


def test_churn_elsewhere_costs_little(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    heard.settled()
    server.write_elsewhere(1000)
    before = len(server.requests)
    server.register("web", "web-1", "10.0.0.1", meta={"build": "7"})
    heard.until(lambda: ("build", "7") in heard.endpoints(WEB)["10.0.0.1"].labels, "meta")
    assert len(server.requests) - before < 12


def test_close_leaves_no_thread_and_no_connection(server: ConsulServer, listen: Listen) -> None:
    heard = listen().synced()
    assert heard.close() < 2
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("consul-")]
    assert left == []
    server.answer_early()  # the server notices that a client went only when it has something to say
    deadline = time.monotonic() + 2
    while server.connections() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.connections() == 0


@pytest.fixture
def other(server: ConsulServer) -> ConsulServer:
    """A second datacenter, reached through the first."""
    remote = ConsulServer("dc2")
    remote.register("web", "web-1", "10.2.0.1", TaggedAddresses={"wan": {"Address": "203.0.113.1", "Port": 81}})
    server.remotes["dc2"] = remote
    server.datacenters = ("dc1", "dc2")
    return remote


def test_a_service_of_two_datacenters_is_one_with_both_localities(
    server: ConsulServer, other: ConsulServer, listen: Listen
) -> None:
    heard = listen(datacenters=("*",)).synced()
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2", "203.0.113.1")
    found = heard.endpoints(WEB)
    assert found["203.0.113.1"].locality.region == "dc2"
    assert found["203.0.113.1"].ports == (("default", 81),)
    assert found["10.0.0.1"].locality.region == "dc1"
    assert len({e.instance for e in found.values()}) == 3


def test_another_datacenter_that_is_away_is_a_problem_and_keeps_its_instances(
    server: ConsulServer, other: ConsulServer, listen: Listen
) -> None:
    heard = listen(datacenters=("dc1", "dc2")).synced()
    heard.until_addresses(WEB, "10.0.0.1", "10.0.0.2", "203.0.113.1")
    other.fault = lambda path, query: Reply(500, "rpc error: No path to datacenter")
    other.answer_early()
    heard.until(lambda: "consul dc2 datacenter" in heard.problems, "a Problem")
    assert heard.stale == ""
    assert "203.0.113.1" in heard.endpoints(WEB)
    other.fault = None
    heard.until(lambda: not heard.problems, "Resolved", deadline=20)


def test_a_datacenter_that_does_not_exist_keeps_nobody_from_serving(server: ConsulServer, listen: Listen) -> None:
    heard = listen(datacenters=("dc1", "dc9")).synced()
    heard.until(lambda: "consul dc9 datacenter" in heard.problems, "a Problem")
    assert set(heard.services) == {WEB, DB}
    assert heard.events.count(Synced()) == 1


@pytest.mark.parametrize(
    "options", [{"warning": "maybe"}, {"wait": 0}, {"wait": 601}, {"empty_hold": -1}, {"addr": "x:y"}]
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ConsulPlatform(ConsulOptions(**options))  # type: ignore[arg-type]
