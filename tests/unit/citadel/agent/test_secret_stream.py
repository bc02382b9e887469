"""Envoy's conversation about secrets, in both variants, with Envoy's own messages."""

from __future__ import annotations

from typing import Any

import pytest
from envoy_data_plane.envoy.service.discovery import v3 as discovery

from citadel.agent.secret_stream import MOST_NAMES, DeltaStream, SotwStream
from citadel.agent.secrets import TYPE, Secret
from pilot.envoy import codec

Request: Any = codec.message(discovery.DiscoveryRequest)
Response: Any = codec.message(discovery.DiscoveryResponse)
DeltaRequest: Any = codec.message(discovery.DeltaDiscoveryRequest)
DeltaResponse: Any = codec.message(discovery.DeltaDiscoveryResponse)


def known(**versions: str) -> dict[str, Secret]:
    return {name: Secret(name, version, f"{name}{version}".encode()) for name, version in versions.items()}


def sotw(*names: str, nonce: str = "", error: str = "") -> bytes:
    request = Request(type_url=TYPE, resource_names=names, response_nonce=nonce)
    if error:
        request.error_detail.message = error
    return bytes(request.SerializeToString())


def delta(*names: str, gone: tuple[str, ...] = (), nonce: str = "") -> bytes:
    return bytes(
        DeltaRequest(
            type_url=TYPE, resource_names_subscribe=names, resource_names_unsubscribe=gone, response_nonce=nonce
        ).SerializeToString()
    )


def values(data: bytes | None) -> list[bytes]:
    assert data is not None, "nothing was said"
    return [each.value for each in Response.FromString(data).resources]


def news(data: bytes | None) -> tuple[list[str], list[str]]:
    assert data is not None, "nothing was said"
    message = DeltaResponse.FromString(data)
    return [each.name for each in message.resources], list(message.removed_resources)


def test_an_answer_an_ack_and_a_push() -> None:
    stream = SotwStream()
    first = stream.request(sotw("default"), known(default="1", ROOTCA="1"))
    assert values(first) == [b"default1"]
    nonce = Response.FromString(first).nonce
    assert stream.request(sotw("default", nonce=nonce), known(default="1")) is None
    assert stream.update(known(default="1", ROOTCA="2")) is None
    assert values(stream.update(known(default="2", ROOTCA="2"))) == [b"default2"]


def test_who_asks_before_there_is_a_certificate_is_told_once_there_is() -> None:
    stream = SotwStream()
    assert stream.request(sotw("default"), None) is None
    assert values(stream.update(known(default="1"))) == [b"default1"]


def test_a_stale_nonce_is_passed_over() -> None:
    stream = SotwStream()
    stream.request(sotw("default"), known(default="1"))
    stream.update(known(default="2"))
    assert stream.request(sotw("default", "ROOTCA", nonce="1"), known(default="2", ROOTCA="1")) is None


def test_a_further_name_is_answered_with_all() -> None:
    stream = SotwStream()
    stream.request(sotw("default"), known(default="1", ROOTCA="1"))
    assert values(stream.request(sotw("ROOTCA", "default", nonce="1"), known(default="1", ROOTCA="1"))) == [
        b"ROOTCA1",
        b"default1",
    ]


def test_a_nack_is_news_and_is_not_answered_by_the_same() -> None:
    stream = SotwStream()
    stream.request(sotw("default"), known(default="1"))
    assert stream.request(sotw("default", nonce="1", error="no such key"), known(default="1")) is None
    assert stream.rejected == "no such key"


def test_a_foreign_name_is_refused_once_and_the_rest_is_answered() -> None:
    stream = SotwStream()
    assert values(stream.request(sotw("default", "other"), known(default="1"))) == [b"default1"]
    stream.update(known(default="2"))
    assert stream.refused == ["other"]


def test_only_a_foreign_name_is_answered_with_nothing() -> None:
    assert values(SotwStream().request(sotw("other"), known(default="1"))) == []


def test_delta_tells_what_is_new_only() -> None:
    stream = DeltaStream()
    first = stream.request(delta("default", "ROOTCA"), known(default="1", ROOTCA="1"))
    assert news(first) == (["ROOTCA", "default"], [])
    assert stream.request(delta(nonce="1"), known(default="1", ROOTCA="1")) is None
    assert news(stream.update(known(default="2", ROOTCA="1"))) == (["default"], [])
    assert stream.request(delta(gone=("default",)), known(default="2", ROOTCA="1")) is None
    assert stream.update(known(default="3", ROOTCA="1")) is None
    assert news(stream.request(delta("ROOTCA"), known(default="3", ROOTCA="1"))) == (["ROOTCA"], [])


def test_delta_tells_of_a_foreign_name_once_that_it_is_not_there() -> None:
    stream = DeltaStream()
    assert news(stream.request(delta("other"), known(default="1"))) == ([], ["other"])
    assert stream.update(known(default="2")) is None
    assert stream.refused == ["other"]


@pytest.mark.parametrize(
    "data",
    [
        Request(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster").SerializeToString(),
        sotw(*(str(each) for each in range(MOST_NAMES + 1))),
    ],
    ids=["another type", "too many names"],
)
def test_what_can_t_be_meant_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"secrets are served|more than"):
        SotwStream().request(data, known())


def test_names_that_pile_up_are_an_error() -> None:
    stream = DeltaStream()
    stream.request(delta(*(str(each) for each in range(MOST_NAMES))), known())
    with pytest.raises(ValueError, match="more than"):
        stream.request(delta("one more"), known())
