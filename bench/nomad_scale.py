"""Measures the Nomad platform at scale, and how soon it sees changes.

    python -m bench.nomad_scale [--services 1000] [--instances 5] [--rounds 200]

Native registrations can't be made without allocations, and this machine can't run 5,000 tasks. So the scale is that of
the fake Nomad of the tests, in a process of its own (its time is in the figures); the last figure is of a real Nomad
with a few tasks, whose registrations are taken away by its API. A change is timed from before the request that makes it
until the event is out of `watch`. Prints one JSON object a figure and keeps them in bench/results/nomad_scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from adapters.nomad.options import NomadOptions
from bench.figures import Figure, report
from bench.watcher import Watcher
from pilot.model.service import Health, ServiceKey
from tests.contract.nomad_server import NomadServer
from tests.servers.nomad import Nomad
from tests.servers.nomad_job import http_job

DEADLINE = 60.0
REAL = 40


class Server:
    """The in-process Nomad of the tests, in a process of its own; a command is a line of JSON, answered by a line."""

    def __init__(self, services: int, instances: int) -> None:
        command = [sys.executable, "-m", "bench.nomad_scale", "--serve"]
        command += ["--services", str(services), "--instances", str(instances)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._output.readline().strip()

    def order(self, method: str, *arguments: object, **more: object) -> None:
        """Has a method of the server called."""
        self._input.write(json.dumps([method, arguments, more]) + "\n")
        self._input.flush()
        self._output.readline()

    def end(self) -> None:
        self._input.close()
        self._process.wait(10)

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout


def serve(services: int, instances: int) -> int:
    """The other end of Server; ends with its input."""
    server = NomadServer()
    for service in range(services):
        server.submit(f"s{service}", f"s{service}", meta={"protocol": "http", "team": "shop"}, checks=1)
        for instance in range(instances):
            address = f"10.{service // 250}.{service % 250}.{instance + 1}"
            server.register(f"s{service}", allocation(service, instance), address, tags=["v1"])
    server.start()
    print(server.url, flush=True)
    for line in sys.stdin:
        method, arguments, more = json.loads(line)
        getattr(server, method)(*arguments, **more)
        print(flush=True)
    return 0


class NomadWatcher(Watcher):
    """Looks up what the platform told by the names of this bench."""

    def health(self, name: str) -> dict[str, Health]:
        """Of a service's instances, by allocation."""
        found = self.services.get(ServiceKey("default", f"{name}.default.service.nomad"))
        return {dict(e.labels)["nomad.alloc"]: e.health for e in found.endpoints} if found else {}


def allocation(service: int, instance: int) -> str:
    return f"a{service}-{instance}"


def measured(
    watcher: NomadWatcher, rounds: int, change: Callable[[int], object], seen: Callable[[int], bool]
) -> list[float]:
    """Seconds that each change took; one at a time, in step with nothing."""
    taken = []
    for turn in range(rounds):
        time.sleep(random.uniform(0.02, 0.06))
        start = time.monotonic()
        change(turn)
        taken.append(watcher.seconds_until(start, lambda turn=turn: seen(turn)))  # type: ignore[misc]
    return taken


def of_changes(server: Server, watcher: NomadWatcher, rounds: int, services: int) -> dict[str, list[float]]:
    """By kind of change."""
    pick = [random.randrange(services) for _ in range(rounds)]

    def status(turn: int, alloc: str) -> Health | None:
        return watcher.health(f"s{pick[turn]}").get(alloc)

    def register(turn: int) -> None:
        server.order("register", f"s{pick[turn]}", f"new{turn}", f"10.200.0.{turn + 1}", tags=["v1"])

    found = {
        "registration": measured(watcher, rounds, register, lambda t: status(t, f"new{t}") is not None),
        "deregistration": measured(
            watcher,
            rounds,
            lambda t: server.order("deregister", f"s{pick[t]}", f"new{t}"),
            lambda t: status(t, f"new{t}") is None,
        ),
    }

    def allocate(turn: int, **more: object) -> None:
        server.order("allocate", allocation(pick[turn], 0), f"s{pick[turn]}", **more)

    found["allocation to be stopped"] = measured(
        watcher,
        rounds,
        lambda t: allocate(t, DesiredStatus="stop"),
        lambda t: status(t, allocation(pick[t], 0)) is Health.DRAINING,
    )
    return found


def of_a_real_nomad() -> list[float]:
    """Seconds from a deregistration by Nomad's API to the event, of REAL tasks."""
    with tempfile.TemporaryDirectory() as folder, Nomad(Path(folder)) as nomad:
        nomad.run(http_job("real", count=REAL, command=("/bin/sleep", "600")))
        watcher = NomadWatcher(NomadOptions(addr=nomad.http_addr).platform("nomad"), DEADLINE)
        try:
            watcher.seconds_until(0.0, lambda: list(watcher.health("real").values()).count(Health.HEALTHY) == REAL)
            registered: list[dict[str, Any]] = nomad.get("/v1/service/real")
            return measured(
                watcher,
                REAL - 1,
                lambda t: nomad.call("DELETE", f"/v1/service/real/{registered[t]['ID']}"),
                lambda t: registered[t]["AllocID"] not in watcher.health("real"),
            )
        finally:
            watcher.close()


def main(arguments: Sequence[str] = ()) -> int:
    """Run all measurements; how many targets were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        return serve(options.services, options.instances)
    figures: list[Figure] = []
    size = f"{options.services} services, {options.services * options.instances} instances with a check each"

    def tell(figure: str, unit: str, value: float, limit: float | None = None, note: str = size) -> None:
        figures.append(Figure(figure, value, unit, limit, note))

    def tell_times(kind: str, taken: list[float], limit: float | None, note: str) -> None:
        milliseconds = sorted(each * 1000 for each in taken)
        tell(f"{kind}, median", "ms", statistics.median(milliseconds), None, note)
        tell(f"{kind}, p99", "ms", milliseconds[max(0, int(len(milliseconds) * 0.99) - 1)], limit, note)

    load = os.getloadavg()[0]
    server = Server(options.services, options.instances)
    start, cpu = time.monotonic(), time.process_time()
    watcher = NomadWatcher(NomadOptions(addr=server.url).platform("nomad"), DEADLINE)
    try:
        if not watcher.synced.wait(DEADLINE):
            raise RuntimeError("never synced")
        tell("cold sync", "s", time.monotonic() - start, 5.0)
        tell("cold sync, own processor", "s", time.process_time() - cpu)
        tell("endpoints told", "", sum(len(s.endpoints) for s in watcher.services.values()))
        time.sleep(30)  # until the first look at all checks is over
        cpu = time.process_time()
        time.sleep(20)
        tell("idle, of one core", "%", (time.process_time() - cpu) * 5, 2.0)
        for kind, taken in of_changes(server, watcher, options.rounds, options.services).items():
            tell_times(kind, taken, 100.0, size)
        between = options.services * options.instances / NomadOptions().check_rate
        tell("between two looks at one check, by checkRate", "s", between)
        tell("memory, peak", "MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    finally:
        watcher.close()
        server.end()
    tell_times("real Nomad, deregistration", of_a_real_nomad(), 100.0, f"one service, {REAL} tasks")
    tell("load of the machine before, per core", "", load / (os.cpu_count() or 1), None, "")
    return report("nomad_scale", figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
