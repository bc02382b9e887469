"""What a peering says of itself, and how an imported instance is told from ours."""

from __future__ import annotations

import json

import pytest

from adapters.api import Access
from adapters.consul import convert
from adapters.consul.client import parse_address
from adapters.consul.convert import UnreadableError
from adapters.consul.peer import Imported, imported
from adapters.consul.site import Settings
from tests.unit.adapters.consul.test_convert import entry


def test_the_names_of_what_is_imported_are_told_as_the_catalog_tells_names() -> None:
    found = imported(b'{"Name": "west", "State": "ACTIVE", "StreamStatus": {"ImportedServices": ["api", "web"]}}')
    assert found.trouble == ""
    assert convert.service_names(found.names) == {"api": (), "web": ()}
    assert imported(b'{"State": "ACTIVE", "StreamStatus": null}') == Imported(b"{}")
    assert "the peering is FAILING" in imported(b'{"State": "FAILING"}').trouble


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"State": "ACTIVE", "StreamStatus": []}x'])
def test_what_is_no_peering_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        imported(body)


def test_an_imported_instance_is_another_than_ours_of_the_same_names() -> None:
    body = json.dumps([entry()]).encode()
    own, theirs = (
        convert.read_service("web", body, local=True, warning=False, platform="consul", peer=peer).instances[0].endpoint
        for peer in ("", "west")
    )
    assert theirs.instance == f"west:{own.instance}"
    assert dict(theirs.labels) == {**dict(own.labels), "consul.peer": "west"}


def test_peers_come_after_all_datacenters() -> None:
    settings = Settings(
        "consul", Access(parse_address("127.0.0.1")), None, True, 1.0, 1.0, ("b", "c"), peers=("x", "y")
    )
    assert [settings.priority_of(each) for each in ("a", "b", "c")] == [0, 1, 2]
    assert [settings.priority_of(f"peer/{each}", each) for each in ("x", "y")] == [3, 4]
