"""Measures the Consul platform at scale against a real Consul: connections, requests, and how soon it sees changes.

    python -m bench.consul_scale [--services 1000] [--instances 5] [--nodes 50] [--rounds 20]

Prints one JSON object a figure and keeps them in bench/results/consul_scale.json. A change
is timed from before the request that makes it until the event is out of `watch`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from adapters.consul.client import Client
from adapters.consul.options import ConsulOptions
from adapters.consul.watch import ConsulPlatform
from bench.figures import Figure, report
from bench.watcher import Watcher
from pilot.model.service import Endpoint, Health, ServiceKey
from tests.servers.consul import Consul

DEADLINE = 15.0


class Writer:
    """Registers instances over one connection of its own, which is not counted as the platform's."""

    def __init__(self, port: int, nodes: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.connect()
        self._nodes = nodes

    @property
    def local_port(self) -> int:
        return int(self._connection.sock.getsockname()[1])

    def register(self, service: int, instance: int, *, status: str | None = "passing", **changed: object) -> None:
        """One instance, with one check unless `status` is None."""
        node, identity = self.place(service, instance), f"s{service}-{instance}"
        body: dict[str, object] = {
            "Node": node,
            "Address": "10.1.0.1",
            "SkipNodeUpdate": False,
            "Service": {
                "ID": identity,
                "Service": f"s{service}",
                "Address": f"10.{service // 250}.{service % 250}.{instance + 1}",
                "Port": 8080,
                "Tags": ["v1"],
                "Meta": {"protocol": "http", "team": "shop"},
            }
            | changed,
        }
        if status is not None:
            check = {"Node": node, "CheckID": f"c-{identity}", "Name": "up", "Status": status, "ServiceID": identity}
            body["Check"] = check | {"Output": "HTTP GET http://10.0.0.1:8080/health: 200 OK Output: fine"}
        self._put("/v1/catalog/register", body)

    def deregister(self, service: int, instance: int) -> None:
        self._put(
            "/v1/catalog/deregister",
            {"Node": self.place(service, instance), "ServiceID": f"s{service}-{instance}"},
        )

    def place(self, service: int, instance: int) -> str:
        return f"node-{(service * 7 + instance * 13) % self._nodes}"

    def _put(self, path: str, body: object) -> None:
        self._connection.request("PUT", path, json.dumps(body))
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {text!r}")


class ConsulWatcher(Watcher):
    """Looks up what the platform told by the numbers of this bench."""

    def endpoint(self, service: int, instance: int) -> Endpoint | None:
        found = self.services.get(ServiceKey("default", f"s{service}.service.consul"))
        suffix = f"/s{service}-{instance}"
        return next((e for e in found.endpoints if e.instance.endswith(suffix)), None) if found else None


class Traffic:
    """Counts the platform's requests, and samples its connections from /proc."""

    def __init__(self, port: int, not_ours: int) -> None:
        self.requests = 0
        self.peak = 0
        self.sampling = True
        self._port, self._not_ours = port, not_ours
        self._original = Client._once
        original = self._original

        def counted(client: Client, *arguments: object) -> object:
            self.requests += 1
            return original(client, *arguments)  # type: ignore[arg-type]

        Client._once = counted  # type: ignore[method-assign, assignment]
        threading.Thread(target=self._sample, daemon=True).start()

    def wait_quiet(self) -> None:
        """Until nothing was asked for two seconds: the first answers of long polls are in."""
        seen = -1
        while seen != self.requests:
            seen = self.requests
            time.sleep(2)

    def connections(self) -> int:
        """Established connections of this process to Consul."""
        own = {os.readlink(f"/proc/self/fd/{fd}") for fd in _file_descriptors()}
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(
            1
            for line in lines
            if line[3] == "01"
            and int(line[2].rsplit(":", 1)[1], 16) == self._port
            and int(line[1].rsplit(":", 1)[1], 16) != self._not_ours
            and f"socket:[{line[9]}]" in own
        )

    def _sample(self) -> None:
        while True:
            if self.sampling:
                self.peak = max(self.peak, self.connections())
            time.sleep(0.5)


def _file_descriptors() -> Iterator[str]:
    for fd in os.listdir("/proc/self/fd"):
        if os.path.islink(f"/proc/self/fd/{fd}"):
            yield fd


def timings(
    writer: Writer, watcher: ConsulWatcher, rounds: int, services: int, instances: int
) -> Iterator[tuple[str, list[float]]]:
    """Seconds until each kind of change was seen."""

    def measure(change: Callable[[int], None], seen: Callable[[int], bool]) -> list[float]:
        taken = []
        for turn in range(rounds):
            # One change at a time: not while what the one before set going is under way, nor in step with anything.
            time.sleep(random.uniform(0.8, 1.2))
            start = time.monotonic()
            change(turn)
            taken.append(watcher.seconds_until(start, lambda turn=turn: seen(turn)))  # type: ignore[misc]
        return taken

    pick = [random.randrange(services) for _ in range(rounds)]
    new = instances
    yield (
        "registration",
        measure(lambda t: writer.register(pick[t], new + t), lambda t: watcher.endpoint(pick[t], new + t) is not None),
    )
    yield (
        "deregistration",
        measure(lambda t: writer.deregister(pick[t], new + t), lambda t: watcher.endpoint(pick[t], new + t) is None),
    )

    def health(turn: int) -> Health | None:
        found = watcher.endpoint(pick[turn], 0)
        return found.health if found else None

    yield (
        "health flip",
        measure(lambda t: writer.register(pick[t], 0, status="critical"), lambda t: health(t) is Health.UNHEALTHY)
        + measure(lambda t: writer.register(pick[t], 0), lambda t: health(t) is Health.HEALTHY),
    )

    def labels(turn: int, instance: int) -> dict[str, str]:
        found = watcher.endpoint(pick[turn], instance)
        return dict(found.labels) if found else {}

    yield (
        "tag change",
        measure(
            lambda t: writer.register(pick[t], 1, Tags=["v1", f"build={t}"]),
            lambda t: labels(t, 1).get("build") == str(t),
        ),
    )
    yield (
        "meta change",
        measure(
            lambda t: writer.register(pick[t], 3, Meta={"team": f"team-{t}"}),
            lambda t: labels(t, 3).get("team") == f"team-{t}",
        ),
    )

    def weight(turn: int) -> int:
        found = watcher.endpoint(pick[turn], 2)
        return found.weight if found else 0

    yield (
        "weight change",
        measure(
            lambda t: writer.register(pick[t], 2, Weights={"Passing": 10 + t, "Warning": 1}),
            lambda t: weight(t) == 10 + t,
        ),
    )
    bare = new + rounds
    yield (
        "instance without check, registration",
        measure(
            lambda t: writer.register(pick[t], bare + t, status=None),
            lambda t: watcher.endpoint(pick[t], bare + t) is not None,
        ),
    )
    yield (
        "instance without check, deregistration",
        measure(lambda t: writer.deregister(pick[t], bare + t), lambda t: watcher.endpoint(pick[t], bare + t) is None),
    )


def fill(port: int, services: int, instances: int, nodes: int) -> None:
    """Register everything, over a few connections."""
    writers = [Writer(port, nodes) for _ in range(4)]

    def some(part: int) -> None:
        for service in range(part, services, len(writers)):
            for instance in range(instances):
                writers[part].register(service, instance)

    with ThreadPoolExecutor(len(writers)) as pool:
        list(pool.map(some, range(len(writers))))


def main(arguments: Sequence[str] = ()) -> int:
    """Run all measurements; how many targets were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    load = os.getloadavg()[0]

    def tell(figure: str, unit: str, value: float, target: float | None) -> None:
        figures.append(Figure(figure, value, unit, target))

    with tempfile.TemporaryDirectory() as folder, Consul(Path(folder)) as consul:
        fill(consul.http_port, options.services, options.instances, options.nodes)
        writer = Writer(consul.http_port, options.nodes)
        traffic = Traffic(consul.http_port, writer.local_port)
        start = time.monotonic()
        watcher = ConsulWatcher(ConsulPlatform(ConsulOptions(addr=consul.http_addr)), DEADLINE)
        try:
            if not watcher.synced.wait(60):
                raise RuntimeError("never synced")
            tell("first whole state", "ms", (time.monotonic() - start) * 1000, None)
            tell("services told", "", len(watcher.services), None)
            traffic.wait_quiet()
            traffic.sampling = False  # it costs more processor than what is measured
            before, cpu = traffic.requests, time.process_time()
            time.sleep(10)
            traffic.sampling = True
            tell("idle requests", "/s", (traffic.requests - before) / 10, 20)
            tell("idle processor, of one core", "%", (time.process_time() - cpu) * 10, None)
            instant = {"registration", "deregistration", "health flip"}
            before, start = traffic.requests, time.monotonic()
            for kind, taken in timings(writer, watcher, options.rounds, options.services, options.instances):
                target = 100 if kind in instant else 1000
                tell(f"{kind}, median", "ms", statistics.median(taken) * 1000, target)
                tell(f"{kind}, 9 of 10", "ms", statistics.quantiles(taken, n=10)[-1] * 1000, target)
                tell(f"{kind}, max", "ms", max(taken) * 1000, target)
            tell("requests under change", "/s", (traffic.requests - before) / (time.monotonic() - start), None)
            tell("connections, peak", "", traffic.peak, 16)
            tell("load of the machine before, per core", "", load / (os.cpu_count() or 1), None)
            tell("load of the machine after, per core", "", os.getloadavg()[0] / (os.cpu_count() or 1), None)
        finally:
            watcher.close()
    return report("consul_scale", figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
