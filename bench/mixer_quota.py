"""A quota of 100 a second under 1,000 requests a second, for a minute, at three Mixer replicas that share a Redis.

Each replica is a process of its own with its rules, dispatch and the `redisquota` handler; requests come evenly, 333 a
second to each, and carry no deduplication id (as from Envoy's rate limit filter). Counted is what was granted in the
sixty seconds after the first full window, and the processor's time of replicas and Redis.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, report
from galley.config import Config, ConfigObject
from galley.decode import decode
from galley.kinds.mixer import Handler, Instance, Rule
from mixer.dispatch import Dispatcher
from mixer.result import QuotaArgs
from mixer.rules import compile_rules
from tests.servers.redis import Redis

REPLICAS, RATE, ALLOWED, SECONDS, WARM = 3, 1000, 100, 60.0, 2.0
BAG = {"destination.namespace": "default", "source.name": "web-1", "request.path": "/api"}
VARIANTS: dict[str, dict[str, Any]] = {
    "rolling": {"rateLimitAlgorithm": "ROLLING_WINDOW"},
    "fixed": {"rateLimitAlgorithm": "FIXED_WINDOW"},
    "fixed, prefetch 5": {"rateLimitAlgorithm": "FIXED_WINDOW", "prefetch": 5},
}


def main() -> int:
    if sys.argv[1:2] == ["--replica"]:
        asyncio.run(_replica(sys.argv[2], json.loads(sys.argv[3]), float(sys.argv[4])))
        return 0
    figures = []
    for name, variant in VARIANTS.items():
        figures += _measured(name, variant)
    return report("mixer_quota", figures)


def _measured(name: str, variant: dict[str, Any]) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, Redis(Path(folder) / "redis") as redis:
        begin = time.time() + 3.0
        command = [sys.executable, "-m", "bench.mixer_quota", "--replica", redis.url, json.dumps(variant), str(begin)]
        running = [subprocess.Popen([*command], stdout=subprocess.PIPE) for _ in range(REPLICAS)]
        told = [json.loads(each.communicate()[0]) for each in running]
        seconds = _redis_seconds(redis)
    asked, granted = (sum(each[what] for each in told) for what in ("asked", "granted"))
    cores = sum(each["processor"] for each in told) / SECONDS
    off = abs(granted / (ALLOWED * SECONDS) - 1) * 100
    said = f"{granted} of {asked} asked at {REPLICAS} replicas in {SECONDS:g} s; {ALLOWED} a second allowed"
    return [
        Figure(f"{name}: off the limit", off, "%", 2.0, said),
        Figure(f"{name}: processor", cores, "cores", None, "three replicas with the load inside them"),
        Figure(f"{name}: Redis", seconds / (SECONDS + WARM), "cores", None, "the server, start included"),
    ]


def _redis_seconds(redis: Redis) -> float:
    told = dict(line.split(":", 1) for line in str(redis.command("INFO", "cpu")).splitlines() if ":" in line)
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def _dispatcher(url: str, variant: dict[str, Any]) -> Dispatcher:
    quota = {"name": "requests", "maxAmount": ALLOWED, "validDuration": "1s", **variant}
    handler = {"compiledAdapter": "redisquota", "params": {"redisServerUrl": url, "quotas": [quota]}}
    instance = {"compiledTemplate": "quota", "params": {"dimensions": {"path": "request.path"}}}
    rule = {"actions": [{"handler": "limits", "instances": ["requests"]}]}
    compiled = compile_rules(
        Config.of(
            [
                _object("handler", "limits", Handler, handler),
                _object("instance", "requests", Instance, instance),
                _object("rule", "limit", Rule, rule),
            ]
        )
    )
    assert not compiled.problems, compiled.problems
    dispatcher = Dispatcher()
    dispatcher.install(compiled)
    return dispatcher


def _object(kind: str, name: str, spec: type[Any], data: dict[str, Any]) -> ConfigObject[Any]:
    value, findings = decode(spec, data)
    assert not findings, findings
    return ConfigObject(kind, "default", name, value)


async def _replica(url: str, variant: dict[str, Any], begin: float) -> None:
    dispatcher = _dispatcher(url, variant)
    interval = REPLICAS / RATE
    counts = {"asked": 0, "granted": 0}
    running: set[asyncio.Task[None]] = set()

    async def one(counted: bool) -> None:
        verdict = await dispatcher.check(BAG, {"requests": QuotaArgs(1)})
        if counted:
            counts["asked"] += 1
            counts["granted"] += verdict.quotas["requests"].granted

    await asyncio.sleep(max(begin - time.time(), 0))
    started = time.monotonic()
    processor = 0.0
    for number in range(round((WARM + SECONDS) / interval)):
        due = number * interval
        if (ahead := started + due - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        if due >= WARM and not processor:
            processor = time.process_time()
        task = asyncio.get_running_loop().create_task(one(due >= WARM))
        running.add(task)
        task.add_done_callback(running.discard)
    processor = time.process_time() - processor
    await asyncio.gather(*running)
    await dispatcher.close()
    print(json.dumps({**counts, "processor": processor}))


if __name__ == "__main__":
    sys.exit(main())
