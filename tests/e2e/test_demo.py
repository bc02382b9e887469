"""`mesh-adapter demo` as a newcomer runs it, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.binaries import require

pytestmark = pytest.mark.e2e

COMMAND = str(Path(sys.executable).with_name("mesh-adapter"))
CHILDREN = 17
"""Control plane, seven services, eight Envoys, client."""


def children_of(pid: int) -> set[int]:
    """Every process whose parent it is."""
    return {
        int(entry.name)
        for entry in Path("/proc").glob("[0-9]*")
        if (fields := stat(int(entry.name))) and int(fields[1]) == pid
    }


def stat(pid: int) -> list[str]:
    """State, parent and so on; empty when there is no such process (any more)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if (fields := stat(pid)) and fields[0] not in "ZX"}


def demo_command(folder: Path, *options: str) -> list[str]:
    return [COMMAND, "demo", "--dir", str(folder), "--envoy", str(require("envoy")), *options]


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The interactive demo, once all of it runs."""
    with subprocess.Popen(demo_command(folder), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                if line.startswith("1. "):
                    break
            yield demo
        finally:
            demo.kill()


def test_once_sees_what_it_configured(tmp_path: Path) -> None:
    command = demo_command(tmp_path / "demo", "--once", "-o", "json")
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ok"] is True
    assert said["seconds"] < 60
    assert [step["configured"] for step in said["steps"]] == [
        {"v1": 90, "v2": 10},
        {"v1": 50, "v2": 50},
        {"reviews-v1": 50, "reviews-v2-a": 50, "reviews-v2-b": 0},
    ]
    assert all(step["errors"] == 0 and step["requests"] >= 500 for step in said["steps"])
    assert said["steps"][2]["seen"]["reviews-v2-b"] == 0
    assert {(row["service"], row["version"]) for row in said["steps"][0]["traffic"]} == {
        (service, version) for service in ("web", "reviews", "ratings") for version in ("v1", "v2")
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
def test_no_child_outlives_it(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "demo") as demo:
        children = children_of(demo.pid)
        assert len(children) == CHILDREN
        began = time.monotonic()
        demo.send_signal(number)
        demo.communicate(timeout=20)
        assert time.monotonic() - began < 10
    deadline = time.monotonic() + 5
    while alive(children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(children)


def test_a_death_during_the_steps_is_told_with_the_last_log_lines(tmp_path: Path) -> None:
    command = demo_command(tmp_path / "demo", "--once")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while not (log := tmp_path / "demo" / "logs" / "ratings-v1.log").exists() or not log.read_text():
            time.sleep(0.05)
        (victim,) = (pid for pid in children_of(demo.pid) if b"\0ratings-v1\0" in cmdline(pid))
        os.kill(victim, signal.SIGKILL)
        _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert "ratings-v1 was ended by SIGKILL" in errors
    assert "ratings-v1 listens on" in errors


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
