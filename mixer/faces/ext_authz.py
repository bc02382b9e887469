"""Envoy's external authorization: a request's attributes, and a verdict as Envoy's answer.

envoy/service/auth/v3/external_auth.proto. The path is what Envoy routes by (normalized before any filter), and the host
is compared without case, so rules see one form of both. The one header operation that the protocol does not have, to
take a header off a service's answer, goes as metadata of the request to a filter that Pilot puts there
(`pilot.envoy.mixer`).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from envoy_data_plane.envoy.service.auth import v3 as auth
from google.protobuf.message import DecodeError

from galley.kinds.mixer import HeaderOperation
from mixer.attributes import Value
from mixer.dispatch import Dispatcher
from mixer.faces import jwt, peers
from mixer.faces.mixer_api import Enrich
from mixer.http2.server import Call, RpcError
from mixer.result import NO_DIRECTIVE, HeaderEdit, QuotaArgs, Verdict
from mixer.status import Code, Status, http_status
from pilot.envoy import codec
from pilot.envoy.mixer import REMOVED

PATH = "/envoy.service.auth.v3.Authorization/Check"
CheckRequest = codec.message(auth.CheckRequest)
CheckResponse = codec.message(auth.CheckResponse)
_PASSED = CheckResponse(status={"code": 0}, ok_response={}).SerializeToString()


class ExtAuthz:
    """`enrich` is called once for each request, before the rules see it."""

    def __init__(self, dispatcher: Dispatcher, enrich: Enrich | None = None) -> None:
        self._dispatcher = dispatcher
        self._enrich = enrich

    async def check(self, body: bytes, call: Call) -> bytes:
        """CheckRequest to CheckResponse. Raises RpcError for what is no request."""
        try:
            request = CheckRequest.FromString(body)
        except DecodeError as error:
            raise RpcError(Code.INVALID_ARGUMENT, f"no envoy.service.auth.v3.CheckRequest: {error}") from error
        bag = attributes(request, peers.told_by_pilot(call.metadata.get(peers.METADATA, "")))
        if self._enrich is not None:
            self._enrich(bag)
        quotas = self._quotas(bag)
        return response(paid(await self._dispatcher.check(bag, quotas), quotas))

    def _quotas(self, bag: Mapping[str, Value]) -> dict[str, QuotaArgs]:
        """What the request costs, where it comes in; gateways let it pass, so that nobody pays twice."""
        if bag.get("context.reporter.kind") == "outbound":
            return {}
        return {name: QuotaArgs(amount) for name, amount in self._dispatcher.rules.charges.of(bag).items()}


def paid(verdict: Verdict, quotas: Mapping[str, QuotaArgs]) -> Verdict:
    """The verdict, a refusal if one of the quotas was not granted whole."""
    if not verdict.status.ok:
        return verdict
    short = [name for name, asked in quotas.items() if verdict.quotas[name].granted < asked.amount]
    if not short:
        return verdict
    status = Status(Code.RESOURCE_EXHAUSTED, f"quota {', '.join(short)} is exhausted")
    return attrs.evolve(verdict, status=status, directive=NO_DIRECTIVE)


def attributes(request: Any, told: Mapping[str, str]) -> dict[str, Value]:
    """The bag of an ext_authz CheckRequest; `told` by Pilot stands below it."""
    asked = request.attributes
    bag: dict[str, Value] = dict(told)
    peers.add_address(bag, "source", asked.source.address)
    peers.add_address(bag, "destination", asked.destination.address)
    peers.add_identity(bag, "source", asked.source.principal)
    peers.add_identity(bag, "destination", asked.destination.principal)
    bag.setdefault("connection.mtls", False)
    if asked.tls_session.sni:
        bag["connection.requested_server_name"] = asked.tls_session.sni
    bag["request.time"] = bag["context.time"] = asked.request.time.ToDatetime(tzinfo=datetime.UTC)
    http = asked.request.http
    if http.method:
        headers = dict(http.headers)
        peers.add_headers(bag, headers)
        peers.add_path(bag, http.path)
        bag["request.method"] = http.method
        bag["request.host"] = http.host.lower()
        bag["request.scheme"] = http.scheme
        bag["context.protocol"] = peers.protocol_of(headers)
        if http.size >= 0:
            bag["request.size"] = http.size
    else:
        bag["context.protocol"] = "tcp"
    jwt.add_claims(bag, asked.metadata_context.filter_metadata)
    return bag


def response(verdict: Verdict) -> bytes:
    """Envoy's answer: the request passes with its header operations, or the caller gets the refusal."""
    directive = verdict.directive
    if verdict.status.ok and not directive.direct_response_code:
        if not directive.request_headers and not directive.response_headers:
            passed: bytes = _PASSED
            return passed
        requests, responses = settled(directive.request_headers), settled(directive.response_headers)
        passing = {
            "headers": _options(requests),
            "response_headers_to_add": _options(responses),
            "headers_to_remove": _removed(requests),
        }
        taken = _removed(responses)
        metadata = {REMOVED: taken} if taken else None
        answer = CheckResponse(status={"code": 0}, ok_response=passing, dynamic_metadata=metadata)
    else:
        code = directive.direct_response_code or http_status(verdict.status.code)
        body = directive.direct_response_body if directive.direct_response_code else verdict.status.message
        status = {"code": verdict.status.code or Code.PERMISSION_DENIED, "message": verdict.status.message}
        headers = _options(settled(directive.response_headers))
        refusal = {"status": {"code": code}, "body": body, "headers": headers}
        answer = CheckResponse(status=status, denied_response=refusal)
    told: bytes = answer.SerializeToString()
    return told


def settled(edits: Iterable[HeaderEdit]) -> tuple[HeaderEdit, ...]:
    """What the operations come to, one after the other: Envoy adds first and removes last, whatever their order."""
    left: dict[str, list[HeaderEdit]] = {}
    for edit in edits:
        before = left.setdefault(edit.name.lower(), [])
        if edit.operation is not HeaderOperation.APPEND:
            before[:] = [edit]
        elif before and before[0].operation is HeaderOperation.REMOVE:
            before[:] = [attrs.evolve(edit, operation=HeaderOperation.REPLACE)]
        else:
            before.append(edit)
    return tuple(edit for each in left.values() for edit in each)


def _removed(edits: Iterable[HeaderEdit]) -> list[str]:
    return [edit.name for edit in edits if edit.operation is HeaderOperation.REMOVE]


def _options(edits: Iterable[HeaderEdit]) -> list[dict[str, Any]]:
    return [
        {"header": {"key": edit.name, "value": edit.value}, "append_action": _ACTIONS[edit.operation]}
        for edit in edits
        if edit.operation in _ACTIONS
    ]


_ACTIONS = {
    HeaderOperation.REPLACE: "OVERWRITE_IF_EXISTS_OR_ADD",
    HeaderOperation.APPEND: "APPEND_IF_EXISTS_OR_ADD",
}
