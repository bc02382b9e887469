"""Envoy's external authorization: requests as attributes, verdicts as answers."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format

from galley.kinds.mixer import HeaderOperation
from mixer.dispatch import Dispatcher
from mixer.faces import ext_authz, peers
from mixer.faces.ext_authz import CheckRequest, CheckResponse, ExtAuthz
from mixer.http2.server import Call, RpcError
from mixer.result import HeaderEdit, RouteDirective, Verdict
from mixer.status import Code, Status
from pilot.envoy.mixer import REMOVED
from tests.unit.mixer.configuration import handler, instance, rule, sound

TOLD = "context.reporter.kind=inbound&destination.service.host=web.service.consul&request.size=9&no.such=1"


def request(**attributes: Any) -> Any:
    return json_format.ParseDict({"attributes": attributes}, CheckRequest())


def address(ip: str, port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": ip, "port_value": port}}}


def test_a_request_becomes_istios_attributes() -> None:
    asked = request(
        source={**address("10.0.0.1", 4000), "principal": "spiffe://mesh.local/ns/shop/sa/cart"},
        destination={**address("10.0.0.2", 8080), "principal": "spiffe://mesh.local/ns/shop/sa/web"},
        request={
            "time": "2027-01-15T08:00:00.000005Z",
            "http": {
                "method": "GET",
                "path": "/a?b=1&c=",
                "host": "Web.Example:80",
                "scheme": "http",
                "size": -1,
                "headers": {":path": "/a?b=1&c=", "user-agent": "curl", "x-request-id": "7"},
            },
        },
        tls_session={"sni": "web"},
        metadata_context={
            "filter_metadata": {
                "envoy.filters.http.jwt_authn": {"p": {"iss": "https://i", "sub": "s", "aud": ["a", "b"], "n": 3}}
            }
        },
    )
    bag = ext_authz.attributes(asked, {"context.reporter.kind": "inbound", "source.namespace": "unproven"})
    assert bag["source.ip"] == b"\n\0\0\1"
    assert (bag["destination.ip"], bag["destination.port"]) == (b"\n\0\0\2", 8080)
    assert (bag["source.principal"], bag["source.namespace"]) == ("mesh.local/ns/shop/sa/cart", "shop")
    assert bag["destination.principal"] == "mesh.local/ns/shop/sa/web"
    assert bag["connection.mtls"] is True
    assert (bag["request.path"], bag["request.url_path"]) == ("/a?b=1&c=", "/a")
    assert bag["request.query_params"] == {"b": "1", "c": ""}
    assert (bag["request.host"], bag["request.useragent"], bag["request.id"]) == ("web.example:80", "curl", "7")
    assert "request.size" not in bag
    assert bag["request.auth.principal"] == "https://i/s"
    assert bag["request.auth.claims"] == {"iss": "https://i", "sub": "s", "aud": "a,b", "n": "3"}
    assert bag["connection.requested_server_name"] == "web"
    assert (bag["context.protocol"], bag["context.reporter.kind"]) == ("http", "inbound")


def test_a_connection_has_no_request() -> None:
    bag = ext_authz.attributes(request(source=address("::1", 1)), {})
    assert bag["context.protocol"] == "tcp"
    assert bag["source.ip"] == bytes(15) + b"\1"
    assert bag["connection.mtls"] is False
    assert "request.path" not in bag


@pytest.mark.parametrize(
    ("told", "found"),
    [(TOLD, {"context.reporter.kind": "inbound", "destination.service.host": "web.service.consul"}), ("", {})],
)
def test_pilot_tells_strings_of_the_vocabulary(told: str, found: dict[str, str]) -> None:
    assert peers.told_by_pilot(told) == found


def test_what_passes_untouched_is_one_answer() -> None:
    answer = CheckResponse.FromString(ext_authz.response(Verdict()))
    assert answer.WhichOneof("http_response") == "ok_response"


def test_header_operations_travel_with_the_pass() -> None:
    edits = (
        HeaderEdit("a", "1", HeaderOperation.REPLACE),
        HeaderEdit("b", "2", HeaderOperation.APPEND),
        HeaderEdit("c", "", HeaderOperation.REMOVE),
    )
    answer = CheckResponse.FromString(ext_authz.response(Verdict(directive=RouteDirective(edits, edits))))
    passed = answer.ok_response
    assert [(each.header.key, each.header.value, each.append_action) for each in passed.headers] == [
        ("a", "1", 2),
        ("b", "2", 0),
    ]
    assert list(passed.headers_to_remove) == ["c"]
    assert [each.header.key for each in passed.response_headers_to_add] == ["a", "b"]


def test_what_is_taken_off_the_answer_goes_as_metadata() -> None:
    edits = (HeaderEdit("a", "", HeaderOperation.REMOVE), HeaderEdit("b", "1", HeaderOperation.REPLACE))
    answer = CheckResponse.FromString(ext_authz.response(Verdict(directive=RouteDirective((), edits))))
    assert json_format.MessageToDict(answer.dynamic_metadata) == {REMOVED: ["a"]}
    refused = Verdict(Status(Code.PERMISSION_DENIED), directive=RouteDirective((), edits, 403))
    denied = CheckResponse.FromString(ext_authz.response(refused)).denied_response
    assert [each.header.key for each in denied.headers] == ["b"]


@pytest.mark.parametrize(
    ("operations", "left"),
    [
        ("REPLACE x=1, REMOVE X", "REMOVE X"),
        ("REMOVE x, REPLACE x=1", "REPLACE x=1"),
        ("REMOVE x, APPEND x=1, APPEND x=2", "REPLACE x=1, APPEND x=2"),
        ("APPEND x=1, REPLACE y=2, APPEND x=3", "APPEND x=1, APPEND x=3, REPLACE y=2"),
        ("REPLACE x=1, REPLACE x=2", "REPLACE x=2"),
    ],
)
def test_operations_on_one_header_come_to_what_they_are_one_after_the_other(operations: str, left: str) -> None:
    def read(text: str) -> tuple[HeaderEdit, ...]:
        words = [(word, *rest.partition("=")[::2]) for word, rest in (each.split(" ") for each in text.split(", "))]
        return tuple(HeaderEdit(name, value, HeaderOperation[word]) for word, name, value in words)

    assert ext_authz.settled(read(operations)) == read(left)


@pytest.mark.parametrize(
    ("verdict", "code", "body"),
    [
        (Verdict(Status(Code.RESOURCE_EXHAUSTED, "too much")), 429, "too much"),
        (Verdict(Status(Code.UNAUTHENTICATED, "who?")), 401, "who?"),
        (Verdict(directive=RouteDirective(direct_response_code=302, direct_response_body="there")), 302, "there"),
        (Verdict(Status(Code.PERMISSION_DENIED), directive=RouteDirective(direct_response_code=418)), 418, ""),
    ],
)
def test_a_refusal_has_its_http_status(verdict: Verdict, code: int, body: str) -> None:
    answer = CheckResponse.FromString(ext_authz.response(verdict))
    assert answer.status.code != 0
    assert (answer.denied_response.status.code, answer.denied_response.body) == (code, body)


async def test_rules_judge_what_envoy_asks() -> None:
    dispatcher = Dispatcher()
    dispatcher.install(
        sound(
            rule("deny", 'request.url_path == "/secret"', "denied", ("nothing",)),
            handler("denied", "denier", {"status": {"code": 7}}),
            instance("nothing", "checknothing"),
        )
    )
    face = ExtAuthz(dispatcher)
    for path, kind in (("/secret?x", "denied_response"), ("/open", "ok_response")):
        asked = request(request={"http": {"method": "GET", "path": path}})
        answer = CheckResponse.FromString(await face.check(asked.SerializeToString(), Call("", {}, None, "")))
        assert answer.WhichOneof("http_response") == kind


async def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(RpcError, match="CheckRequest"):
        await ExtAuthz(Dispatcher()).check(b"\xff", Call("", {}, None, ""))
