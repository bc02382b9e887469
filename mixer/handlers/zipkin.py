"""`zipkin`: trace spans to a Zipkin by its API version 2 (JSON)."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import attrs

from galley.finding import Finding
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.http_session import check_url, session
from mixer.outbox import NeverTakenError, Outbox
from mixer.quota import dimension_text

_BATCH = 200
_INTERVAL = 1.0
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


@attrs.frozen
class Params:
    """Istio's. A sample is chosen by the trace, so a trace is told whole or not at all."""

    url: str = ""
    sample_probability: float = 1.0


class ZipkinHandler:
    """Spans wait in an outbox."""

    def __init__(self, params: Params, name: str, now: Callable[[], float]) -> None:
        self._url = params.url
        self._share = params.sample_probability * 2**64
        self._now = now
        self._session = session()
        self._outbox: Outbox[Mapping[str, Any]] = Outbox(name, self._send, batch=_BATCH, interval=_INTERVAL)

    def report(self, instances: Sequence[Instance]) -> None:
        now = datetime.datetime.fromtimestamp(self._now(), datetime.UTC)
        spans = (span(each, now) for each in instances)
        self._outbox.put(each for each in spans if each is not None and int(each["traceId"][-16:], 16) < self._share)

    async def _send(self, spans: list[Mapping[str, Any]]) -> None:
        async with self._session.post(self._url, json=spans, allow_redirects=False) as answer:
            if answer.status < 300:
                return
            said = f"Zipkin answered {answer.status}"
            raise aiohttp.ClientError(said) if answer.status >= 500 or answer.status == 429 else NeverTakenError(said)

    async def close(self) -> None:
        await self._outbox.close()
        await self._session.close()


def span(instance: Instance, now: datetime.datetime) -> dict[str, Any] | None:
    """The span of a tracespan instance; None for a request without a trace."""
    fields = instance.fields
    trace_id, span_id = _identifier(fields.get("traceId"), 32), _identifier(fields.get("spanId"), 16)
    if not trace_id or not span_id:
        return None
    start, end = fields.get("startTime") or now, fields.get("endTime") or now
    client = bool(fields.get("clientSpan"))
    here, there = ("source", "destination") if client else ("destination", "source")
    tags = {name: dimension_text(value) for name, value in fields.get("spanTags", {}).items()}
    code = int(fields.get("httpStatusCode", 0))
    if code:
        tags["http.status_code"] = str(code)
    if code >= 500:
        tags["error"] = str(code)
    made = {
        "traceId": trace_id,
        "id": span_id,
        "parentId": _identifier(fields.get("parentSpanId"), 16),
        "name": str(fields.get("spanName") or instance.name).lower(),
        "kind": "CLIENT" if client else "SERVER",
        "timestamp": (start - _EPOCH) // _MICROSECOND,
        "duration": max((end - start) // _MICROSECOND, 1),
        "localEndpoint": _endpoint(fields, here),
        "remoteEndpoint": _endpoint(fields, there),
        "tags": tags,
    }
    return {name: value for name, value in made.items() if value}


def _identifier(text: Any, most: int) -> str:
    """Lower case hexadecimal of 16 or 32 digits; empty if it is none or all zeros."""
    digits = str(text or "").lower()
    if not digits or len(digits) > most or digits.strip("0123456789abcdef") or not digits.strip("0"):
        return ""
    return digits.rjust(16 if len(digits) <= 16 else 32, "0")


def _endpoint(fields: Mapping[str, Any], side: str) -> dict[str, str]:
    made = {"serviceName": str(fields.get(f"{side}Name", "")).lower()}
    if packed := fields.get(f"{side}Ip"):
        address = ipaddress.ip_address(packed)
        made["ipv4" if address.version == 4 else "ipv6"] = str(address)
    return {name: value for name, value in made.items() if value}


def _check(params: Params) -> Iterator[Finding]:
    yield from check_url(params.url, "url", "http://zipkin:9411/api/v2/spans")
    if not 0 <= params.sample_probability <= 1:
        yield Finding(("sampleProbability",), "must be from 0 to 1")


def _open(params: Params, surroundings: Surroundings) -> ZipkinHandler:
    return ZipkinHandler(params, surroundings.name, surroundings.now)


ZIPKIN = HandlerType("zipkin", frozenset({"tracespan"}), Params, _open, _check)
