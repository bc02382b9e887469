"""Measures the Kubernetes platform against a real API server: how soon it sees changes, a cold sync, and rest.

    python -m bench.kubernetes_scale [--services 1000] [--endpoints 5] [--nodes 50] [--rounds 100]

Prints one JSON object a figure and keeps them in bench/results/kubernetes_scale.json. A change is timed from before the
request that makes it until the event is out of `watch`. API server, etcd and platform share this machine's cores.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import resource
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from adapters.kubernetes.options import KubernetesOptions
from adapters.kubernetes.watch import KubernetesPlatform
from bench.figures import Figure, report
from bench.watcher import Watcher
from pilot.model.service import Endpoint, Health, Service, ServiceKey
from tests.contract.kubernetes_objects import endpoint, endpoint_slice, node, pod, service
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import collection

DEADLINE = 30.0
IDLE_SECONDS = 15.0
Json = dict[str, Any]


class Writer:
    """Writes objects over one connection of its own."""

    def __init__(self, server: KubeApiserver) -> None:
        tls = ssl.create_default_context(cafile=server.ca_file)
        self._connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=tls)
        self._token = server.token

    def create(self, item: Json) -> None:
        self._send("POST", collection(item), item, "application/json")

    def patch(self, item: Json, change: Json) -> None:
        """A JSON merge patch of the object that has this name."""
        path = f"{collection(item)}/{item['metadata']['name']}"
        self._send("PATCH", path, change, "application/merge-patch+json")

    def _send(self, method: str, path: str, body: Json, kind: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        self._connection.request(method, path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")


class KubernetesWatcher(Watcher):
    """Looks up what the platform told by the numbers of this bench."""

    def service(self, number: int) -> Service | None:
        return self.services.get(ServiceKey("default", f"s{number}.default.svc.cluster.local"))

    def endpoint(self, number: int, instance: int) -> Endpoint | None:
        found = self.service(number)
        wanted = f"default/{pod_name(number, instance)}"
        return next((e for e in found.endpoints if e.instance == wanted), None) if found else None


def pod_name(number: int, instance: int) -> str:
    return f"s{number}-{instance}"


def address(number: int, instance: int) -> str:
    return f"10.{instance}.{number // 250}.{number % 250 + 1}"


def pod_of(number: int, instance: int, nodes: int, version: str = "v1") -> Json:
    """A pod of the size that real ones have: some kilobytes."""
    labels = {"app": f"s{number}", "version": version, "pod-template-hash": "7d9f8c6b5"}
    made = pod(pod_name(number, instance), labels=labels, account=f"s{number}", node=f"n{(number + instance) % nodes}")
    variables = [{"name": f"SETTING_{each}", "value": "x" * 40} for each in range(30)]
    made["spec"]["containers"][0] |= {"env": variables, "ports": [{"containerPort": 8080}]}
    return made


def slice_of(number: int, instances: Sequence[int], unready: Sequence[int] = ()) -> Json:
    endpoints = [endpoint(address(number, i), pod_name(number, i), ready=i not in unready) for i in instances]
    return endpoint_slice(f"s{number}-a", f"s{number}", endpoints)


def fill(server: KubeApiserver, services: int, endpoints: int, nodes: int) -> None:
    """Write everything, over a few connections."""
    for number in range(nodes):
        zone = {"topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": f"eu-{number % 3}"}
        Writer(server).create(node(f"n{number}", **zone))

    def some(part: int) -> None:
        writer = Writer(server)
        for number in range(part, services, 4):
            writer.create(service(f"s{number}"))
            for instance in range(endpoints):
                writer.create(pod_of(number, instance, nodes))
            writer.create(slice_of(number, range(endpoints)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))


def timings(
    writer: Writer, watcher: KubernetesWatcher, rounds: int, services: int, endpoints: int, nodes: int
) -> Iterator[tuple[str, list[float]]]:
    """Seconds until each kind of change was seen, each of another service than the one before."""
    picked = random.sample(range(services), min(rounds, services))

    def measure(change: Callable[[int], None], seen: Callable[[int], bool]) -> list[float]:
        taken = []
        for number in picked:
            time.sleep(random.uniform(0.02, 0.06))
            start = time.monotonic()
            change(number)
            taken.append(watcher.seconds_until(start, lambda number=number: seen(number)))  # type: ignore[misc]
        return taken

    def unready(number: int) -> None:
        item = slice_of(number, range(endpoints), (0,))
        writer.patch(item, {"endpoints": item["endpoints"]})

    def is_unready(number: int) -> bool:
        found = watcher.endpoint(number, 0)
        return found is not None and found.health is Health.UNHEALTHY

    def scale(number: int) -> None:
        writer.create(pod_of(number, endpoints, nodes))
        item = slice_of(number, range(endpoints + 1))
        writer.patch(item, {"endpoints": item["endpoints"]})

    def relabel(number: int) -> None:
        writer.patch(pod_of(number, 1, nodes), {"metadata": {"labels": {"version": "v2"}}})

    def is_relabelled(number: int) -> bool:
        found = watcher.endpoint(number, 1)
        return found is not None and ("version", "v2") in found.labels

    def reword(number: int) -> None:
        writer.patch(service(f"s{number}"), {"spec": {"ports": [{"name": "grpc", "port": 80, "protocol": "TCP"}]}})

    def is_reworded(number: int) -> bool:
        found = watcher.service(number)
        return found is not None and found.ports[0].name == "grpc"

    yield "an endpoint fails", measure(unready, is_unready)
    yield "a pod and its endpoint come", measure(scale, lambda n: watcher.endpoint(n, endpoints) is not None)
    yield "a pod's label changes", measure(relabel, is_relabelled)
    yield "a service's port changes", measure(reword, is_reworded)


def resident() -> float:
    """MB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main(arguments: Sequence[str] = ()) -> int:
    """Run all measurements; how many targets were missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder, KubeApiserver(Path(folder)) as server:
        fill(server, options.services, options.endpoints, options.nodes)
        figures = measured(server, options)
        server.kill()
    cores = os.cpu_count() or 1
    figures.append(Figure("load of the machine before, per core", load, ""))
    figures.append(Figure("load of the machine after, per core", os.getloadavg()[0] / cores, ""))
    return report("kubernetes_scale", figures)


def measured(server: KubeApiserver, options: argparse.Namespace) -> list[Figure]:
    before = resident()
    start, cpu = time.monotonic(), time.process_time()
    watcher = KubernetesWatcher(KubernetesPlatform(KubernetesOptions(kubeconfig=str(server.kubeconfig))), DEADLINE)
    try:
        if not watcher.synced.wait(DEADLINE):
            raise RuntimeError("never synced")
        figures = [
            Figure("cold sync", (time.monotonic() - start) * 1000, "ms", 3000),
            Figure("cold sync, processor", (time.process_time() - cpu) * 1000, "ms"),
            Figure("endpoints told", sum(len(s.endpoints) for s in watcher.services.values()), ""),
            Figure("memory for it", resident() - before, "MB", None, "of this process, resident"),
        ]
        time.sleep(1)
        cpu = time.process_time()
        time.sleep(IDLE_SECONDS)
        idle = (time.process_time() - cpu) / IDLE_SECONDS * 100
        figures.append(Figure("idle processor, of one core", idle, "%", 2))
        every: list[float] = []
        writer = Writer(server)
        counts = (options.services, options.endpoints, options.nodes)
        for kind, taken in timings(writer, watcher, options.rounds, *counts):
            every += taken
            figures.append(Figure(f"{kind}, median", statistics.median(taken) * 1000, "ms"))
            figures.append(Figure(f"{kind}, p99", statistics.quantiles(taken, n=100)[-1] * 1000, "ms", 50))
        figures.append(Figure("all changes, p99", statistics.quantiles(every, n=100)[-1] * 1000, "ms", 50))
        return figures
    finally:
        watcher.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
