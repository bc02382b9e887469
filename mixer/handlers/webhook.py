"""`webhook`: instances as JSON to an HTTP service of the operator's: checks one by one, reports in batches.

A check passes by any 2xx and is refused by 401 or 403; a JSON object in the answer may say more. Everything else is
no answer. Reports are repeated where the service says 429 or 5xx.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import attrs

from galley.duration import parse_duration
from galley.finding import Finding
from galley.schema import Int32
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.handlers.opa import plain
from mixer.http_session import body, check_url, session
from mixer.outbox import NeverTakenError, Outbox
from mixer.result import CheckResult
from mixer.status import OK, Code, Status

_REFUSALS = {401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED}


@attrs.frozen
class Params:
    """Ours. `caching_*` is how long a check's answer may be used unless the service says it itself."""

    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    ca_certificates: str = ""
    caching_interval: datetime.timedelta = datetime.timedelta(seconds=5)
    caching_use_count: Int32 = 1000
    batch_size: Int32 = 100
    buffer_size: Int32 = 10_000
    push_interval: datetime.timedelta = datetime.timedelta(seconds=1)


class WebhookHandler:
    """Redirections are not followed: the operator names where it goes."""

    def __init__(self, params: Params, http: aiohttp.ClientSession, name: str) -> None:
        self._params = params
        self._http = http
        self._passed = CheckResult(OK, params.caching_interval, params.caching_use_count)
        self._outbox: Outbox[Mapping[str, Any]] = Outbox(
            name,
            self._send,
            batch=params.batch_size,
            interval=params.push_interval.total_seconds(),
            most=params.buffer_size,
        )

    async def check(self, instance: Instance) -> CheckResult:
        async with self._http.post(self._params.url, json=_message(instance), allow_redirects=False) as answer:
            said = _read(await body(answer))
            if answer.status in _REFUSALS:
                return self._refused(_REFUSALS[answer.status], said)
            if answer.status >= 300:
                raise ValueError(f"the webhook answered {answer.status}")
        if said.get("allow", True) is not True:
            return self._refused(Code.PERMISSION_DENIED, said)
        return attrs.evolve(self._passed, **_validity(said))

    def _refused(self, code: Code, said: Mapping[str, Any]) -> CheckResult:
        status = Status(code, str(said.get("message") or "refused by the webhook"))
        return attrs.evolve(self._passed, status=status, **_validity(said))

    def report(self, instances: Sequence[Instance]) -> None:
        self._outbox.put(_message(each) for each in instances)

    async def _send(self, messages: list[Mapping[str, Any]]) -> None:
        async with self._http.post(self._params.url, json=messages, allow_redirects=False) as answer:
            if answer.status < 300:
                return
            said = f"the webhook answered {answer.status}"
            raise aiohttp.ClientError(said) if answer.status >= 500 or answer.status == 429 else NeverTakenError(said)

    async def close(self) -> None:
        await self._outbox.close()
        await self._http.close()


def _message(instance: Instance) -> dict[str, Any]:
    return {
        "instance": instance.name,
        "namespace": instance.namespace,
        "template": instance.template,
        "fields": plain(instance.fields),
    }


def _read(data: bytes) -> Mapping[str, Any]:
    """The answer's object; an empty answer says nothing, and other text neither."""
    try:
        said = json.loads(data) if data else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _validity(said: Mapping[str, Any]) -> dict[str, Any]:
    """`validDuration` and `validUseCount`; ValueError where they are none, which is no answer."""
    more: dict[str, Any] = {}
    if "validDuration" in said:
        duration = parse_duration(str(said["validDuration"]))
        if duration is None or duration < datetime.timedelta():
            raise ValueError(f"the webhook's validDuration {said['validDuration']!r} is no duration")
        more["valid_duration"] = duration
    if "validUseCount" in said:
        more["valid_use_count"] = int(said["validUseCount"])
    return more


def _check(params: Params) -> Iterator[Finding]:
    yield from check_url(params.url, "url", "https://hooks.example/mixer")
    if params.caching_interval < datetime.timedelta():
        yield Finding(("cachingInterval",), "must not be negative")
    if params.push_interval <= datetime.timedelta():
        yield Finding(("pushInterval",), "must be longer than nothing", "1s is the default")
    for name, number in (("batchSize", params.batch_size), ("bufferSize", params.buffer_size)):
        if number < 1:
            yield Finding((name,), "must be at least 1")


def _open(params: Params, surroundings: Surroundings) -> WebhookHandler:
    return WebhookHandler(params, session(params.ca_certificates, dict(params.headers)), surroundings.name)


WEBHOOK = HandlerType(
    "webhook",
    frozenset(
        {
            "apikey",
            "authorization",
            "checknothing",
            "edge",
            "listentry",
            "logentry",
            "metric",
            "reportnothing",
            "tracespan",
        }
    ),
    Params,
    _open,
    _check,
)
