"""`denier`: refuses whatever it is given, with a status that the operator chooses."""

from __future__ import annotations

import datetime
import http
from collections.abc import Iterator

import attrs

from galley.finding import Finding
from galley.schema import Int32, Struct
from mixer.handler import HandlerType, Instance, Surroundings
from mixer.result import CheckResult, DirectResponse, QuotaArgs, QuotaResult
from mixer.status import Code, Status

_VALID = datetime.timedelta(seconds=5)
_USES = 1000
_DIRECT = "type.googleapis.com/istio.policy.v1beta1.DirectHttpResponse"


@attrs.frozen
class RpcStatus:
    """google.rpc.Status; of details, one DirectHttpResponse is read."""

    code: Int32 = Code.FAILED_PRECONDITION
    message: str = ""
    details: tuple[Struct, ...] = ()


@attrs.frozen
class Params:
    """Istio's defaults: FAILED_PRECONDITION, valid for 5 s and 1,000 uses."""

    status: RpcStatus = RpcStatus()
    valid_duration: datetime.timedelta = _VALID
    valid_use_count: Int32 = _USES


class DenierHandler:
    """One answer for all."""

    def __init__(self, result: CheckResult) -> None:
        self._result = result
        self._refused = QuotaResult(0, result.valid_duration)

    def check(self, instance: Instance) -> CheckResult:
        return self._result

    def quota(self, instance: Instance, args: QuotaArgs) -> QuotaResult:
        return self._refused

    async def close(self) -> None:
        return None


def answer(params: Params) -> CheckResult:
    """What all are told."""
    direct = None
    for detail in params.status.details:
        plain = detail.plain()
        headers = tuple(sorted((name, str(value)) for name, value in plain.get("headers", {}).items()))
        direct = DirectResponse(http_code(plain.get("code")), str(plain.get("body", "")), headers)
    status = Status(Code(params.status.code), params.status.message)
    return CheckResult(status, params.valid_duration, params.valid_use_count, direct)


def _open(params: Params, surroundings: Surroundings) -> DenierHandler:
    return DenierHandler(answer(params))


def http_code(code: object) -> int:
    """An HttpStatusCode by number or name (`MovedPermanently`); 0 if it is none."""
    if isinstance(code, str):
        wanted = code.lower()
        return _NAMED.get(wanted) or next(
            (int(each) for each in http.HTTPStatus if each.name.replace("_", "").lower() == wanted), 0
        )
    return code if isinstance(code, int) and 100 <= code <= 599 else 0


_NAMED = {"payloadtoolarge": 413, "uritoolong": 414, "rangenotsatisfiable": 416}


def _check(params: Params) -> Iterator[Finding]:
    status = params.status
    if not 1 <= status.code <= max(Code):
        yield Finding(("status", "code"), f"{status.code} refuses nothing", "give a google.rpc code from 1 to 16")
    for index, detail in enumerate(status.details):
        here = ("status", "details", index)
        plain = detail.plain()
        if plain.get("@type") != _DIRECT:
            yield Finding((*here, "@type"), f"{plain.get('@type')!r} is not known", f"write {_DIRECT}")
        elif not http_code(plain.get("code")):
            yield Finding((*here, "code"), f"{plain.get('code')!r} is no HTTP status", "write a number, such as 403")
        elif not isinstance(plain.get("headers", {}), dict):
            yield Finding((*here, "headers"), "expected a mapping")
    if params.valid_duration < datetime.timedelta():
        yield Finding(("validDuration",), "must not be negative")
    if params.valid_use_count < -1:
        yield Finding(("validUseCount",), "must not be negative", "-1 is without limit")


DENIER = HandlerType("denier", frozenset({"checknothing", "listentry", "quota"}), Params, _open, _check)
