"""Child processes: their deaths, and their ends."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mesh_adapter.demo.children import Children, Command, how_it_ended

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def python(name: str, program: str) -> Command:
    return Command(name, (sys.executable, "-c", program))


async def said(path: Path, text: str) -> None:
    async with asyncio.timeout(20):
        while not path.exists() or text not in path.read_text():
            await asyncio.sleep(0.02)


async def test_a_death_tells_what_was_said_last(tmp_path: Path) -> None:
    children = Children(tmp_path)
    await children.start(python("short", "print('last words'); raise SystemExit(3)"))
    death = await asyncio.wait_for(children.deaths.get(), 20)
    assert str(death) == f"short ended with exit status 3; its log {tmp_path}/short.log ends with:\n    last words"
    await children.stop(())


async def test_a_kill_that_was_asked_for_is_no_death(tmp_path: Path) -> None:
    children = Children(tmp_path)
    child = await children.start(python("victim", SLEEP))
    children.kill("victim")
    assert await child.gone(20)
    await children.stop(())
    assert children.deaths.empty()
    assert not children.pids


async def test_all_are_ended_even_those_that_do_not_want_to(tmp_path: Path) -> None:
    children = Children(tmp_path)
    await children.start(python("first", SLEEP))
    await children.start(python("stubborn", STUBBORN))
    for name in ("first", "stubborn"):
        await said(tmp_path / f"{name}.log", "up")
    async with asyncio.timeout(10):
        await children.stop(("stubborn",))
    assert not children.pids
    assert children.deaths.empty()


def test_ends_in_words() -> None:
    assert how_it_ended(1) == "ended with exit status 1"
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert how_it_ended(-200) == "was ended by signal 200"
