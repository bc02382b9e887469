"""The client's lines, read."""

from __future__ import annotations

import json
from typing import Any

from mesh_adapter.demo.sample import UNKNOWN, Hop, Sample, parse


def line(answer: str, status: int = 200, error: str = "") -> bytes:
    said = {"sent": 7.5, "host": "web.demo", "ms": 3.0, "status": status, "answer": answer, "error": error}
    return json.dumps(said).encode() + b"\n"


def answer(service: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"service": service, "version": "v1", "instance": f"{service}-v1", "calls": list(calls)}


def call(service: str, status: int, said: dict[str, Any] | None) -> dict[str, Any]:
    return {"host": f"{service}.demo", "status": status, "ms": 2.0, "answer": said}


def test_every_service_on_the_way_is_a_hop() -> None:
    text = json.dumps(answer("web", call("reviews", 200, answer("reviews"))))
    assert parse(line(text)) == Sample(
        7.5, (Hop("web", "v1", "web-v1", 3.0, True), Hop("reviews", "v1", "reviews-v1", 2.0, True))
    )


def test_a_failure_is_laid_at_the_door_of_the_innermost_service() -> None:
    text = json.dumps(answer("web", call("reviews", 503, None)))
    found = parse(line(text, status=502))
    assert found is not None
    assert [(hop.service, hop.version, hop.ok) for hop in found.hops] == [
        ("web", "v1", False),
        ("reviews", UNKNOWN, False),
    ]
    assert found.error == "reviews failed: web.demo answered 502"


def test_an_envoy_that_answers_in_plain_text_is_no_instance() -> None:
    found = parse(line("no healthy upstream", status=503))
    assert found == Sample(7.5, (Hop("web", UNKNOWN, UNKNOWN, 3.0, False),), "web failed: web.demo answered 503")


def test_no_answer_at_all_keeps_the_reason() -> None:
    found = parse(line("", status=0, error="ConnectionRefusedError: nobody"))
    assert found is not None
    assert found.error == "web failed: ConnectionRefusedError: nobody"


def test_half_a_line_is_passed_over() -> None:
    assert parse(b'{"sent": 7.5, "ho') is None
    assert parse(b"[]") is None
    assert parse(line("[1]")) is None
