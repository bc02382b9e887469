"""Lists in files and at URLs: read at once, again at each interval, and good for a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mixer.list_provider import entries_of
from mixer.result import CheckResult
from mixer.status import Code
from tests.unit.mixer.handlers.far_ends import http_peer, until
from tests.unit.mixer.handlers.opened import instance, opened_now


async def _code(handler: Any, value: str) -> Code:
    answer = handler.check(instance("listentry", "entry", value=value))
    result = answer if isinstance(answer, CheckResult) else await answer
    return result.status.code


async def _trouble(handler: Any) -> str:
    """Why it gives no answer; empty if it does."""
    try:
        await _code(handler, "ada")
    except LookupError as error:
        return str(error)
    return ""


async def test_a_list_in_a_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# who may\nada\ngrace # too\n")
    handler = opened_now("list", {"providerUrl": path.as_uri(), "refreshInterval": "0.02s", "overrides": ["own"]})
    said = {name: await _code(handler, name) for name in ("ada", "grace", "own", "eve")}
    assert said == {"ada": Code.OK, "grace": Code.OK, "own": Code.OK, "eve": Code.NOT_FOUND}
    path.write_text("eve\n")
    async with asyncio.timeout(10):
        while await _code(handler, "eve") is not Code.OK:
            await asyncio.sleep(0.01)
    assert await _code(handler, "ada") is Code.NOT_FOUND
    await handler.close()


async def test_a_list_at_a_url_may_be_istios_yaml_of_networks() -> None:
    async with http_peer(200, 'whitelist:\n- "10.0.0.0/8"\n- 192.168.1.1\n') as far:
        params = {"providerUrl": far.url, "entryType": "IP_ADDRESSES", "blacklist": True}
        handler = opened_now("list", params)
        assert await _code(handler, "10.1.2.3") is Code.PERMISSION_DENIED
        assert await _code(handler, "11.1.2.3") is Code.OK
        await handler.close()


async def test_a_list_that_cannot_be_read_holds_until_its_time_is_up() -> None:
    async with http_peer(200, "ada\n") as far:
        handler = opened_now("list", {"providerUrl": far.url, "refreshInterval": "0.02s", "ttl": "0.5s"})
        assert await _code(handler, "ada") is Code.OK
        far.status = 500
        seen = len(far.paths)
        await until(lambda: len(far.paths) > seen + 1)
        assert await _code(handler, "ada") is Code.OK
        async with asyncio.timeout(10):
            while not (trouble := await _trouble(handler)):
                await asyncio.sleep(0.02)
        assert "the server answered 500" in trouble
        far.status = 200
        async with asyncio.timeout(10):
            while await _trouble(handler):
                await asyncio.sleep(0.02)
        assert await _code(handler, "ada") is Code.OK
        await handler.close()


async def test_a_list_with_an_entry_that_is_none_leaves_the_former_in_force() -> None:
    async with http_peer(200, "10.0.0.1\n") as far:
        handler = opened_now("list", {"providerUrl": far.url, "entryType": "IP_ADDRESSES", "refreshInterval": "0.02s"})
        assert await _code(handler, "10.0.0.1") is Code.OK
        far.answer = "10.0.0.2\nnonsense\n"
        seen = len(far.paths)
        await until(lambda: len(far.paths) > seen + 1)
        assert await _code(handler, "10.0.0.1") is Code.OK
        assert await _code(handler, "10.0.0.2") is Code.NOT_FOUND
        await handler.close()


def test_a_hash_within_a_word_belongs_to_the_entry() -> None:
    assert list(entries_of("a#b\n c  # d\n\n#e\n")) == ["a#b", "c"]
    assert list(entries_of('["a", "b"]')) == ["a", "b"]
    with pytest.raises(ValueError, match="no list"):
        list(entries_of("whitelist: word"))
