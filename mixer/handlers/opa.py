"""`opa`: asks an Open Policy Agent, by its HTTP data API, whether a subject may do an action.

The agent runs beside or anywhere and holds the policies: Istio's adapter had it built in, and Python has no Rego. The
input is what Istio's was: `input.subject` and `input.action`. For policies in the handler itself there is `policy`.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import aiohttp
import attrs

from galley.finding import Finding
from galley.schema import Int32, NotYet
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.http_session import body, check_url, session
from mixer.plain import shown_value
from mixer.result import CheckResult
from mixer.status import OK, Code, Status

_METHOD = re.compile(r"data(\.[A-Za-z_]\w*)+")


@attrs.frozen
class Params:
    """`check_method` and `fail_close` are Istio's; the rest is ours, with Istio's 5 s and 1,000 uses of an answer.

    `fail_close` says what an agent that does not answer comes to; where it is not given, the rule's failPolicy does.
    """

    policy: Annotated[tuple[str, ...], NotYet(why="an OPA holds the policies; its address goes to serverUrl")] = ()
    check_method: str = ""
    fail_close: bool | None = None
    server_url: str = "http://localhost:8181"
    token: str = ""
    ca_certificates: str = ""
    caching_interval: datetime.timedelta = datetime.timedelta(seconds=5)
    caching_use_count: Int32 = 1000


class OpaHandler:
    """One question a check; answers are kept by callers, not here."""

    def __init__(self, params: Params, http: aiohttp.ClientSession) -> None:
        self._params = params
        self._http = http
        self._url = f"{params.server_url.rstrip('/')}/v1/{params.check_method.replace('.', '/')}"
        self._passed = CheckResult(OK, params.caching_interval, params.caching_use_count)

    async def check(self, instance: Instance) -> CheckResult:
        try:
            decision = await self._ask({"input": plain(instance.fields)})
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if self._params.fail_close is None:
                raise
            denied = Status(Code.PERMISSION_DENIED, f"opa: no answer: {error}")
            return CheckResult(denied if self._params.fail_close else OK, datetime.timedelta(), 0)
        return self._result(decision)

    async def _ask(self, question: Mapping[str, Any]) -> Any:
        async with self._http.post(self._url, json=question, allow_redirects=False) as answer:
            if answer.status != 200:
                raise ValueError(f"OPA answered {answer.status}")
            data = json.loads(await body(answer))
        if not isinstance(data, dict):
            raise ValueError("OPA answered no object")
        return data.get("result")

    def _result(self, decision: Any) -> CheckResult:
        """`true`, or `{"allow": true}`; whatever else, an undefined document too, refuses."""
        said = decision if isinstance(decision, dict) else {"allow": decision}
        if said.get("allow") is True:
            return self._passed
        message = str(said.get("message") or "opa: request was rejected")
        return attrs.evolve(self._passed, status=Status(Code.PERMISSION_DENIED, message))

    async def close(self) -> None:
        await self._http.close()


def plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An instance's fields as JSON can hold them; what is a message stays one."""
    return {name: plain(each) if isinstance(each, Mapping) else shown_value(each) for name, each in fields.items()}


def _check(params: Params) -> Iterator[Finding]:
    yield from check_url(params.server_url, "serverUrl", "http://localhost:8181")
    if not _METHOD.fullmatch(params.check_method):
        yield Finding(("checkMethod",), f"{params.check_method!r} names no decision", "write data.PACKAGE.allow")
    if params.caching_interval < datetime.timedelta():
        yield Finding(("cachingInterval",), "must not be negative")


def _open(params: Params, surroundings: Surroundings) -> OpaHandler:
    headers = {"Authorization": f"Bearer {params.token}"} if params.token else {}
    return OpaHandler(params, session(params.ca_certificates, headers))


OPA = HandlerType("opa", frozenset({"authorization"}), Params, _open, _check)
