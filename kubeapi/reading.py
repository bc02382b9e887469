"""Bodies of listings and lines of watches → what they say. Pure; called by `kubeapi.reflector`.

API concepts, "Efficient detection of changes" and "Retrieving large results sets in chunks". A resourceVersion is
opaque: it is given back as it came and never compared.
"""

from __future__ import annotations

import json
from typing import Any, Generic

import attrs

from kubeapi.errors import AnswerError, error_of
from kubeapi.resource import MALFORMED, Broken, BrokenError, Json, Key, Resource, T


@attrs.frozen
class Page(Generic[T]):
    """A part of a listing. `more` is the token for the next, empty with the last."""

    objects: dict[Key, T | Broken]
    version: str
    more: str


@attrs.frozen
class Change(Generic[T]):
    """An object came, changed, or went (then `value` is None)."""

    key: Key
    value: T | Broken | None
    version: str


@attrs.frozen
class Bookmark:
    """Nothing but the version up to which everything was told."""

    version: str


def read_page(resource: Resource[T], body: bytes) -> Page[T]:
    """A listing's answer; AnswerError if it is none."""
    found = parsed(body)
    try:
        metadata, items = found["metadata"], found.get("items") or ()
        objects: dict[Key, T | Broken] = {}
        for position, item in enumerate(items):
            key, value = _read(resource, item, position)
            objects[key] = value
        return Page(objects, str(metadata["resourceVersion"]), str(metadata.get("continue") or ""))
    except MALFORMED as fault:
        raise AnswerError(f"{resource.path}: not a listing: {fault!r}") from fault


def read_event(resource: Resource[T], line: bytes) -> Change[T] | Bookmark:
    """One event of a watch; of an ERROR, the error that it stands for is raised (an answer of 200 may end in 410)."""
    event = parsed(line)
    try:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            raise error_of(int(item.get("code") or 0), str(item.get("message") or item.get("reason") or ""))
        version = str(item["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            return Bookmark(version)
        key, value = _read(resource, item, 0)
        return Change(key, None if kind == "DELETED" else value, version)
    except MALFORMED as fault:
        raise AnswerError(f"{resource.path}: not an event: {fault!r}") from fault


def _read(resource: Resource[T], item: Any, position: int) -> tuple[Key, T | Broken]:
    try:
        key = _key(item)
    except MALFORMED:
        return ("", f"#{position}"), Broken("has no name", "look at who wrote it")
    try:
        return key, resource.decode(item)
    except BrokenError as broken:
        return key, Broken(broken.message, broken.mend)
    except MALFORMED as fault:
        return key, Broken(f"is not as documented: {fault!r}", "look at who wrote it")


def _key(item: Json) -> Key:
    metadata = item["metadata"]
    name = metadata["name"]
    if not isinstance(name, str) or not name:
        raise ValueError("no name")
    return str(metadata.get("namespace") or ""), name


def parsed(body: bytes) -> Any:
    """The JSON; AnswerError if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise AnswerError(f"not JSON: {fault}") from fault
