"""Envoy's rate limit service: descriptors in, OK or over the limit out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from mixer.dispatch import Dispatcher
from mixer.faces.rate_limit import RateLimitRequest, RateLimitResponse, RateLimits
from mixer.http2.server import Call, RpcError
from mixer.status import Code
from tests.unit.mixer.configuration import handler, instance, rule, sound

CALL = Call("", {}, None, "127.0.0.1")


@pytest.fixture
async def limits() -> AsyncIterator[RateLimits]:
    dispatcher = Dispatcher()
    dispatcher.install(
        sound(
            rule("limit", "", "counting", ("calls",)),
            handler(
                "counting",
                "memquota",
                {"quotas": [{"name": "calls.instance.istio-system", "maxAmount": 3, "validDuration": "60s"}]},
            ),
            instance("calls", "quota", {"dimensions": {"user": 'source.user | "nobody"'}}),
        )
    )
    yield RateLimits(dispatcher)
    await dispatcher.close()


async def asked(limits: RateLimits, *descriptors: dict[str, str], domain: str = "calls", hits: int = 0) -> Any:
    entries = [{"entries": [{"key": key, "value": value} for key, value in each.items()]} for each in descriptors]
    request = RateLimitRequest(domain=domain, descriptors=entries, hits_addend=hits)
    return RateLimitResponse.FromString(await limits.should_rate_limit(request.SerializeToString(), CALL))


async def test_each_value_of_a_dimension_has_an_amount_of_its_own(limits: RateLimits) -> None:
    for _ in range(3):
        assert (await asked(limits, {"source.user": "alice"})).overall_code == 1
    over = await asked(limits, {"source.user": "alice"}, {"source.user": "bob"})
    assert (over.overall_code, [each.code for each in over.statuses]) == (2, [2, 1])


async def test_hits_are_what_is_taken(limits: RateLimits) -> None:
    assert (await asked(limits, {"source.user": "carol"}, hits=3)).overall_code == 1
    assert (await asked(limits, {"source.user": "carol"}, hits=1)).overall_code == 2


async def test_an_entry_names_the_quota_in_place_of_the_domain(limits: RateLimits) -> None:
    assert (await asked(limits, {"quota": "calls"}, domain="mesh", hits=4)).overall_code == 2
    assert (await asked(limits, {"any": "thing"}, domain="mesh", hits=4)).overall_code == 1


@pytest.mark.parametrize(("domain", "entry"), [("", {}), ("calls", {"response.code": "many"})])
async def test_what_is_no_request_is_told(limits: RateLimits, domain: str, entry: dict[str, str]) -> None:
    with pytest.raises(RpcError) as refused:
        await asked(limits, entry, domain=domain)
    assert refused.value.status is Code.INVALID_ARGUMENT
