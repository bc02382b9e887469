"""Keys that name the namespaces of services."""

from __future__ import annotations

import base64
import json

import pytest

from adapters.consul.convert import Selection, UnreadableError
from adapters.consul.namespaces import Namespaces, doubt, path_of, read
from tests.unit.adapters.consul.test_convert import entry
from tests.unit.adapters.consul.test_selection import read as read_service


def body(**values: str | None) -> bytes:
    def entry(name: str, value: str | None) -> dict[str, str | None]:
        return {"Key": f"mesh/{name}", "Value": base64.b64encode(value.encode()).decode() if value else None}

    return json.dumps([entry(name, value) for name, value in values.items()]).encode()


def test_a_key_names_the_namespace_of_the_service_after_its_prefix() -> None:
    found = read(body(web="shop\n", db="Not one", none=None), Selection.checked("kv:/mesh/", True, False).prefix)
    assert found.of == {"web": "shop"}
    assert [problem.where for problem in found.problems] == ["consul kv mesh/db"]
    assert path_of("mesh") == "/v1/kv/mesh/"


def test_instances_are_where_the_keys_say_whatever_their_meta() -> None:
    instances = read_service(entry(Meta={"namespace": "other"}), namespace="kv:mesh").instances
    keys = Namespaces({"web": "shop"})
    assert [each.namespace for each in keys.placed("web", instances)] == ["shop"]
    assert [each.namespace for each in keys.placed("db", keys.placed("web", instances))] == ["default"]
    assert Namespaces({"a": "x", "b": "y"}).moved(Namespaces({"b": "z", "c": "x"})) == {"a", "b", "c"}


@pytest.mark.parametrize("answer", [b"", b"{]", b'[{"Value": ""}]', b'[{"Key": "a", "Value": "?"}]', b'{"a": 1}'])
def test_what_is_no_list_of_keys_is_unreadable(answer: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(answer, "mesh")


def test_a_token_that_sees_less_and_a_store_that_lost_its_keys_move_nobody() -> None:
    full, empty = Namespaces({"web": "shop"}), Namespaces()
    assert "key_prefix read" in doubt(full, empty, hidden=True, was_away=False)
    assert "suspect" in doubt(full, empty, hidden=False, was_away=True)
    assert doubt(full, empty, hidden=False, was_away=False) == "", "an operator deleted the last one"
    assert doubt(None, empty, hidden=False, was_away=True) == ""
    assert doubt(full, Namespaces({"db": "x"}), hidden=False, was_away=True) == ""
