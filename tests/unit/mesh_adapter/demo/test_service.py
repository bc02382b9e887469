"""A demo service, its answers and its calls."""

from __future__ import annotations

import json

from mesh_adapter.demo.http1 import Message
from mesh_adapter.demo.service import Self, Service
from tests.unit.mesh_adapter.demo.test_http1 import served


def get(path: str) -> Message:
    return Message(f"GET {path} HTTP/1.1", {}, b"")


async def test_it_says_who_answers_and_what_it_was_told() -> None:
    ratings = Service(Self("ratings", "v2", "ratings-v2", calls="", via=0))
    async with served(ratings.answer) as port:
        reviews = Service(Self("reviews", "v1", "reviews-v1", calls="ratings.demo", via=port))
        status, body = await reviews.answer(get("/"))
        reviews.close()
    said = json.loads(body)
    assert (status, said["service"], said["version"], said["instance"]) == (200, "reviews", "v1", "reviews-v1")
    (call,) = said["calls"]
    assert (call["host"], call["status"], call["answer"]["instance"]) == ("ratings.demo", 200, "ratings-v2")


async def test_a_call_that_fails_is_a_bad_gateway() -> None:
    async def unavailable(_: Message) -> tuple[int, bytes]:
        return 503, b"no healthy upstream"

    async with served(unavailable) as port:
        web = Service(Self("web", "v1", "web-v1", calls="reviews.demo", via=port))
        status, body = await web.answer(get("/"))
        web.close()
    (call,) = json.loads(body)["calls"]
    assert (status, call["status"], call["answer"]) == (502, 503, None)


async def test_nobody_there_is_a_bad_gateway_too() -> None:
    status, body = await Service(Self("web", "v1", "web-v1", calls="reviews.demo", via=1)).answer(get("/"))
    (call,) = json.loads(body)["calls"]
    assert (status, call["status"]) == (502, 0)
    assert call["error"].startswith("ConnectionRefusedError")


async def test_it_counts_by_path() -> None:
    service = Service(Self("ratings", "v1", "ratings-v1", calls="", via=0))
    await service.answer(get("/"))
    await service.answer(get("/?again"))
    _, body = await service.answer(get("/counts"))
    assert json.loads(body)["counts"] == {"/": 2, "/counts": 1}
