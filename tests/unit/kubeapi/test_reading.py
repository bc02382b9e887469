"""Answers of an API server, and what is no such answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeapi.errors import AnswerError, GoneError, KubernetesError
from kubeapi.reading import Bookmark, Change, read_event, read_page
from kubeapi.resource import Broken, BrokenError, Json, Resource


def size(item: Json) -> int:
    found = int(item["spec"]["size"])
    if found < 0:
        raise BrokenError("is negative", "grow it")
    return found


THINGS = Resource("example.com", "v1", "things", size)


def thing(name: str, spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "resourceVersion": "7"}, "spec": spec}


def page(*items: Any, **metadata: str) -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "9"} | metadata, "items": items}).encode()


def event(kind: str, item: Any) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode()


def test_a_page_and_the_next() -> None:
    found = read_page(THINGS, page(thing("a", {"size": 1}), **{"continue": "next"}))
    assert (found.objects, found.version, found.more) == ({("ns", "a"): 1}, "9", "next")
    assert read_page(THINGS, b'{"metadata": {"resourceVersion": "9"}, "items": null}').objects == {}


@pytest.mark.parametrize("spec", [None, {}, {"size": "x"}, {"size": -1}, 7])
def test_an_object_that_cannot_be_used_is_told_in_its_place(spec: Any) -> None:
    found = read_page(THINGS, page(thing("a", spec), thing("b", {"size": 1})))
    assert isinstance(found.objects["ns", "a"], Broken)
    assert found.objects["ns", "b"] == 1


@pytest.mark.parametrize("item", [None, {}, {"metadata": None}, {"metadata": {"name": ""}}, [], "x"])
def test_half_an_object_breaks_nothing_else(item: Any) -> None:
    found = read_page(THINGS, page(item, thing("b", {"size": 1})))
    assert len(found.objects) == 2
    assert found.objects["ns", "b"] == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"metadata": {}}', b"[" * 100_000])
def test_what_is_no_listing(body: bytes) -> None:
    with pytest.raises(AnswerError):
        read_page(THINGS, body)


def test_events() -> None:
    assert read_event(THINGS, event("ADDED", thing("a", {"size": 1}))) == Change(("ns", "a"), 1, "7")
    assert read_event(THINGS, event("DELETED", thing("a", {"size": 1}))) == Change(("ns", "a"), None, "7")
    assert read_event(THINGS, event("BOOKMARK", {"metadata": {"resourceVersion": "8"}})) == Bookmark("8")


@pytest.mark.parametrize(("code", "error"), [(410, GoneError), (500, AnswerError)])
def test_an_error_within_a_watch_is_raised(code: int, error: type[KubernetesError]) -> None:
    with pytest.raises(error, match="too old"):
        read_event(THINGS, event("ERROR", {"kind": "Status", "code": code, "message": "too old"}))
