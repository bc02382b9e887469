"""Asking over HTTP, and what an operator reads when nobody answers, or somebody else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import click
import pytest

from mesh_adapter.control_client import get_json
from tests.unit.mesh_adapter.answering import answering


def ask(address: str, path: str = "/debug/syncz", **query: str) -> object:
    return get_json(address, path, "the control plane", "--http-addr", **query)


@pytest.mark.parametrize("prefix", ["", "http://"])
def test_json(prefix: str) -> None:
    with answering({"/debug/syncz": (200, [1])}) as address:
        assert ask(prefix + address) == [1]
        assert ask(f"{prefix}{address}/") == [1]


def test_a_query_is_quoted() -> None:
    with answering({"/debug/config_dump?proxyID=a%20b~c".replace("%20", "+"): (200, {})}) as address:
        assert ask(address, "/debug/config_dump", proxyID="a b~c") == {}


def test_an_error_of_the_server_is_told_in_its_words() -> None:
    with answering({"/debug/syncz": (503, "not ready yet\n")}) as address:
        with pytest.raises(click.ClickException) as caught:
            ask(address)
        assert caught.value.message == "not ready yet"


def test_an_error_without_words() -> None:
    told = pytest.raises(click.ClickException, match=r"http://127.*/debug/syncz answered 500")
    with answering({"/debug/syncz": (500, "")}) as address, told:
        ask(address)


def test_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(click.ClickException) as caught:
            ask(address)
    assert f"the control plane at {address} can't be reached: " in caught.value.message
    assert "refused; is it running? see --http-addr" in caught.value.message


def test_an_answer_that_is_no_json() -> None:
    told = pytest.raises(click.ClickException, match=r"did not answer with JSON: .*; see --http-addr")
    with answering({"/debug/syncz": (200, "<html>")}) as address, told:
        ask(address)


@pytest.fixture
def grpc_like() -> Iterator[str]:
    """The address of one who speaks HTTP/2: it answers at once with a settings frame."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_the_port_of_xds_by_mistake(grpc_like: str) -> None:
    with pytest.raises(click.ClickException, match=r"did not answer with JSON: BadStatusLine.*; see --http-addr"):
        ask(grpc_like)


def test_an_address_that_is_none() -> None:
    with pytest.raises(click.ClickException, match="see --http-addr"):
        ask("127.0.0.1:http")
