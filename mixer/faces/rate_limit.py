"""Envoy's rate limit service: descriptors as attributes, the domain as a quota's name, grants as OK or OVER_LIMIT.

envoy/service/ratelimit/v3/rls.proto; for Envoys whose own filter counts by descriptors. Each descriptor is a bag of its
own: its entries are attributes by name (`destination.service.host`, `source.user`, any other is a text), and an entry
`quota` names the quota in place of the domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy_data_plane.envoy.service.ratelimit import v3 as service
from google.protobuf.message import DecodeError

from mixer.attributes import Value, Vocabulary
from mixer.dispatch import Dispatcher
from mixer.faces import peers
from mixer.faces.mixer_api import Enrich
from mixer.http2.server import Call, RpcError
from mixer.plain import read_value
from mixer.result import QuotaArgs, QuotaResult
from mixer.status import Code
from pilot.envoy import codec

PATH = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
QUOTA = "quota"
RateLimitRequest = codec.message(service.RateLimitRequest)
RateLimitResponse = codec.message(service.RateLimitResponse)
_SPENT = QuotaResult(0)


class RateLimits:
    """`enrich` is called once for each descriptor, before the rules see it."""

    def __init__(self, dispatcher: Dispatcher, enrich: Enrich | None = None) -> None:
        self._dispatcher = dispatcher
        self._enrich = enrich

    async def should_rate_limit(self, body: bytes, call: Call) -> bytes:
        """RateLimitRequest to RateLimitResponse. Raises RpcError for what is no request."""
        try:
            request = RateLimitRequest.FromString(body)
        except DecodeError as error:
            raise RpcError(Code.INVALID_ARGUMENT, f"no envoy.service.ratelimit.v3.RateLimitRequest: {error}") from error
        if not request.domain:
            raise RpcError(Code.INVALID_ARGUMENT, "a rate limit request without a domain")
        told = peers.told_by_pilot(call.metadata.get(peers.METADATA, ""))
        vocabulary = self._dispatcher.rules.vocabulary
        asked = [asked_of(each, request, told, vocabulary) for each in request.descriptors]
        granted = [await self._granted(*each) for each in asked]
        amounts = [amount for _, _, amount in asked]
        answer: bytes = response(amounts, granted).SerializeToString()
        return answer

    async def _granted(self, bag: dict[str, Value], quota: str, amount: int) -> QuotaResult:
        """What a refused check is granted is nothing."""
        if self._enrich is not None:
            self._enrich(bag)
        verdict = await self._dispatcher.check(bag, {quota: QuotaArgs(amount)})
        return verdict.quotas.get(quota, _SPENT)


def asked_of(
    descriptor: Any, request: Any, told: Mapping[str, str], vocabulary: Vocabulary
) -> tuple[dict[str, Value], str, int]:
    """A descriptor's bag, its quota and how much of it. RpcError for a value of another type than its attribute's."""
    bag: dict[str, Value] = dict(told)
    quota = request.domain
    for entry in descriptor.entries:
        if entry.key == QUOTA:
            quota = entry.value
            continue
        type_ = vocabulary.types.get(entry.key)
        value = entry.value if type_ is None else read_value(entry.value, type_)
        if value is None and type_ is not None:
            value = read_value(_number(entry.value), type_)
        if value is None:
            raise RpcError(Code.INVALID_ARGUMENT, f"descriptor {entry.key}: {entry.value!r} is not of its type")
        bag[entry.key] = value
    amount = descriptor.hits_addend.value if descriptor.HasField("hits_addend") else request.hits_addend
    return bag, quota, amount or 1


def _number(text: str) -> object:
    return int(text) if text.lstrip("-").isdigit() else text


def response(amounts: list[int], granted: list[QuotaResult]) -> Any:
    """The RateLimitResponse: over the limit if one descriptor is."""
    statuses = [
        {
            "code": "OK" if each.granted >= amount else "OVER_LIMIT",
            "duration_until_reset": {"seconds": int(each.valid_duration.total_seconds())},
        }
        for amount, each in zip(amounts, granted, strict=True)
    ]
    over = any(each["code"] == "OVER_LIMIT" for each in statuses)
    return RateLimitResponse(overall_code="OVER_LIMIT" if over else "OK", statuses=statuses)
