"""The `istio.mixer.v1.Mixer` service: Check and Report by those who bring their own attributes.

Bytes in, bytes out, on the server's loop. What breaks the protocol or the vocabulary is INVALID_ARGUMENT, never a pass
(mixer/v1/mixer.proto; security case 22).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import DecodeError

from mixer.attributes import Bag, Condition, Reference, TrackedBag, Value, type_faults
from mixer.dispatch import Dispatcher
from mixer.enrichment import rests_on
from mixer.http2.server import Call, Routes, RpcError
from mixer.result import QuotaArgs, QuotaResult, RouteDirective, Verdict
from mixer.status import Code
from mixer.wire import dictionary, messages, referenced
from mixer.wire.compressed import WireError, Words, decode, reported

MAX_REPORTS = 10_000
"""Entries of one Report; Istio's client sends 100."""

_MEMO = 4096
"""Encoded references that are kept: there are about as many as rules have ways to be judged."""

Enrich = Callable[[dict[str, Value]], None]
"""Adds to a bag what is known of its workloads and services; never replaces what the caller said."""


class MixerApi:
    """`enrich` is called once for each bag, before the rules see it."""

    def __init__(self, dispatcher: Dispatcher, enrich: Enrich | None = None) -> None:
        self._dispatcher = dispatcher
        self._enrich = enrich
        self._encoded: dict[tuple[Any, ...], Any] = {}

    def routes(self) -> Routes:
        """For `mixer.http2.server`."""
        return Routes({f"/{messages.SERVICE}/Check": self.check, f"/{messages.SERVICE}/Report": self.report})

    async def check(self, body: bytes, call: Call) -> bytes:
        """CheckRequest to CheckResponse. Raises RpcError."""
        request = _parsed(messages.CheckRequest, body)
        shared = _shared(request.global_word_count)
        try:
            bag = decode(request.attributes, Words(request.attributes.words, shared))
        except WireError as error:
            raise RpcError(Code.INVALID_ARGUMENT, str(error)) from error
        self._hold_types(bag)
        said = dict(bag)
        if self._enrich is not None:
            self._enrich(bag)
        quotas = {
            name: QuotaArgs(asked.amount, asked.best_effort, request.deduplication_id)
            for name, asked in request.quotas.items()
        }
        verdict = await self._dispatcher.check(TrackedBag(bag), quotas)
        encoded = {name: self._rests_on(each.references, said, shared) for name, each in verdict.quotas.items()}
        return check_response(verdict, self._rests_on(verdict.references, said, shared), encoded)

    def _rests_on(self, references: Mapping[Reference, Condition], said: Bag, shared: int) -> Any:
        """The references as a message, in terms of what the caller said; the same again and again, so it is kept."""
        key = shared, tuple(references.items()), frozenset(said)
        known = self._encoded.get(key)
        if known is None:
            if len(self._encoded) >= _MEMO:
                self._encoded.clear()
            known = self._encoded[key] = referenced.encode(rests_on(references, said), shared)
        return known

    async def report(self, body: bytes, call: Call) -> bytes:
        """ReportRequest to ReportResponse; what handlers failed to take is theirs to tell. Raises RpcError."""
        request = _parsed(messages.ReportRequest, body)
        if len(request.attributes) > MAX_REPORTS:
            raise RpcError(Code.INVALID_ARGUMENT, f"{len(request.attributes)} entries; at most {MAX_REPORTS} are taken")
        _shared(request.global_word_count)
        try:
            bags = reported(request)
        except WireError as error:
            raise RpcError(Code.INVALID_ARGUMENT, str(error)) from error
        for bag in bags:
            self._hold_types(bag)
            if self._enrich is not None:
                self._enrich(bag)
        await self._dispatcher.report(bags)
        return b""

    def _hold_types(self, bag: Mapping[str, Value]) -> None:
        for name, fault in type_faults(bag, self._dispatcher.rules.vocabulary):
            raise RpcError(Code.INVALID_ARGUMENT, f"attribute {name} {fault}")


def _parsed(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise RpcError(Code.INVALID_ARGUMENT, f"no {kind.DESCRIPTOR.full_name}: {error}") from error


def _shared(count: int) -> int:
    """The global words that both sides know. A caller that knows more has to begin again with fewer."""
    known = len(dictionary.GLOBAL)
    if count > known:
        message = f"inconsistent global dictionary versions used: mixer knows {known} words, caller knows {count}"
        raise RpcError(Code.INVALID_ARGUMENT, message)
    return count or known


def check_response(verdict: Verdict, rests_on: Any, quotas: Mapping[str, Any]) -> bytes:
    """The CheckResponse; `rests_on` and `quotas` hold the ReferencedAttributes of the check and of each quota."""
    response = messages.CheckResponse()
    precondition = response.precondition
    precondition.status.code = verdict.status.code
    precondition.status.message = verdict.status.message
    _set_duration(precondition.valid_duration, verdict.valid_duration)
    precondition.valid_use_count = verdict.valid_use_count
    precondition.referenced_attributes.CopyFrom(rests_on)
    if verdict.directive != _NO_DIRECTIVE:
        _set_directive(precondition.route_directive, verdict.directive)
    for name, quota in verdict.quotas.items():
        _set_quota(response.quotas[name], quota, quotas[name])
    answer: bytes = response.SerializeToString()
    return answer


_NO_DIRECTIVE = RouteDirective()


def _set_directive(message: Any, directive: RouteDirective) -> None:
    for operations, edits in (
        (message.request_header_operations, directive.request_headers),
        (message.response_header_operations, directive.response_headers),
    ):
        for edit in edits:
            operations.add(name=edit.name, value=edit.value, operation=edit.operation.name)
    message.direct_response_code = directive.direct_response_code
    message.direct_response_body = directive.direct_response_body


def _set_quota(message: Any, quota: QuotaResult, rests_on: Any) -> None:
    message.granted_amount = quota.granted
    _set_duration(message.valid_duration, quota.valid_duration)
    message.referenced_attributes.CopyFrom(rests_on)


def _set_duration(message: Any, value: datetime.timedelta) -> None:
    message.seconds = value.days * 86_400 + value.seconds
    message.nanos = value.microseconds * 1000
