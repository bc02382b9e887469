"""The client: addresses, tokens, statuses, headers, and closing, against an in-process server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.api import (
    Access,
    AnswerError,
    ApiError,
    DeniedError,
    NoLeaderError,
    OverloadedError,
    UnreachableError,
    retry_after,
)
from adapters.consul.client import Client, parse_address
from adapters.consul.library import Library
from tests.contract.consul_server import ConsulServer, Reply


@pytest.fixture
def server() -> Iterator[ConsulServer]:
    running = ConsulServer()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: ConsulServer) -> Iterator[Client]:
    made = Client(Access(parse_address(server.url)), connections=2)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8500", "http://127.0.0.1:8500"),
        ("consul.example", "http://consul.example:8500"),
        ("https://consul.example:8501/", "https://consul.example:8501"),
        ("[::1]:8500", "http://[::1]:8500"),
        ("http://[fd00::1]", "http://[fd00::1]:8500"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert str(parse_address(text)) == expected


@pytest.mark.parametrize("text", ["", "unix:///run/consul.sock", "http://host/path", "ftp://host", "host:port"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_address(text)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(403, "Permission denied"), DeniedError),
        (Reply(403, "rpc error: ACL not found"), DeniedError),
        (Reply(500, "rpc error making call: ACL not found"), DeniedError),
        (Reply(429, "Resource Exhausted"), OverloadedError),
        (Reply(503, "limited"), OverloadedError),
        (Reply(500, "No cluster leader"), NoLeaderError),
        (Reply(500, "No path to datacenter"), AnswerError),
        (Reply(404, ""), AnswerError),
    ],
)
def test_a_status_is_the_error_that_it_stands_for(
    server: ConsulServer, client: Client, reply: Reply, error: type[ApiError]
) -> None:
    server.fault = lambda path, query: reply
    with pytest.raises(error):
        client.get("/v1/catalog/services")


def test_what_the_server_asks_to_wait_is_kept(server: ConsulServer, client: Client) -> None:
    server.fault = lambda path, query: Reply(429, "", {"Retry-After": "7"})
    with pytest.raises(OverloadedError) as caught:
        client.get("/v1/catalog/services")
    assert caught.value.retry_after == 7


def test_retry_after_in_all_its_forms() -> None:
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=20) == 40
    assert retry_after("Thu, 01 Jan 1970 00:01:00 GMT", now=99) == 0
    assert retry_after("soon", now=0) is None
    assert retry_after(None, now=0) is None


def test_headers_are_read(server: ConsulServer, client: Client) -> None:
    headers = {
        "X-Consul-Index": "12",
        "X-Consul-KnownLeader": "false",
        "X-Consul-LastContact": "1500",
        "X-Consul-Results-Filtered-By-ACLs": "true",
        "X-Consul-Query-Backend": "streaming",
    }
    server.fault = lambda path, query: Reply(200, "{}", headers)
    answer = client.get("/v1/catalog/services")
    assert (answer.index, answer.known_leader, answer.last_contact) == (12, False, 1.5)
    assert (answer.filtered, answer.backend, answer.body) == (True, "streaming", b"{}")
    server.fault = lambda path, query: Reply(200, "{}", {"X-Consul-Index": "twelve"})
    assert client.get("/v1/catalog/services").index is None


def test_the_token_file_is_read_again_when_it_changes(server: ConsulServer, tmp_path: Path) -> None:
    seen: list[str] = []
    server.fault = lambda path, query: seen.append(query["token"])
    file = tmp_path / "token"
    client = Client(Access(parse_address(server.url), token="option", token_file=str(file)), connections=1)
    with pytest.raises(DeniedError, match="token"):
        client.get("/v1/catalog/services")
    for text in ("first\n", "second, longer\n"):
        file.write_text(text)
        client.get("/v1/catalog/services")
    client.close()
    assert seen == ["first", "second, longer"]


def test_the_environment_does_not_override_what_was_said(server: ConsulServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "[::1]:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "from-the-environment")
    seen: list[str] = []
    server.fault = lambda path, query: seen.append(query["token"])
    client = Client(Access(parse_address(server.url), token="said"), connections=1)
    assert Library(client).catalog.datacenters() == ["dc1"]
    client.close()
    assert seen == ["said"]


def test_python_consul2_reads_through_our_connections(server: ConsulServer, client: Client) -> None:
    server.register("web", "web-1", "10.0.0.1")
    library = Library(client)
    index, found = library.catalog.services()
    assert (set(found), int(index)) == ({"consul", "web"}, server.index)
    for _ in range(5):
        library.catalog.datacenters()
    assert server.connections() == 1


def test_a_kept_connection_that_the_agent_closed_is_replaced(server: ConsulServer, client: Client) -> None:
    client.get("/v1/catalog/services")
    server.stop()
    server.start()
    assert client.get("/v1/catalog/services").status == 200


def test_nobody_there(server: ConsulServer, client: Client) -> None:
    server.stop()
    with pytest.raises(UnreachableError, match="127"):
        client.get("/v1/catalog/services")


def test_close_cuts_a_query_that_waits_and_may_be_repeated(server: ConsulServer, client: Client) -> None:
    ended = threading.Event()

    def wait() -> None:
        with pytest.raises(UnreachableError):
            client.get("/v1/catalog/services", index=server.index, wait=30)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    deadline = time.monotonic() + 5
    while "/v1/catalog/services" not in server.requests and time.monotonic() < deadline:
        time.sleep(0.005)
    client.close()
    assert ended.wait(2)
    client.close()
    with pytest.raises(UnreachableError):
        client.get("/v1/catalog/services")


def test_a_name_is_quoted_in_the_path(server: ConsulServer, client: Client) -> None:
    server.register("odd name?", "odd-1", "10.0.0.1")
    assert b"odd-1" in client.get("/v1/health/service/odd name?").body


def test_a_ca_file_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(OSError, match="No such file"):
        Client(Access(parse_address("https://127.0.0.1:1"), ca_file="/nonexistent/ca.pem"), connections=1)
