"""What a compiled rule costs a request: processor time of the Envoy in front of a workload, with rules and without.

Workloads behind real Envoys: without rules, with one and with ten that Envoy carries out by itself, none of which
refuses the requests sent. Rounds alternate, so that a busy machine is busy for all; processor time is that of Envoy's
threads, by the kernel's scheduler, in nanoseconds.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.figures import Figure, report
from tests.e2e.traffic import batch
from tests.e2e.world import LOOPBACK, Mesh, Sidecar, host
from tests.servers.ports import free_port

ROUNDS, REQUESTS, CONNECTIONS = 12, 2000, 4
LIMIT_PERCENT = 2.0
RULES = {"bare": 0, "single": 1, "several": 10}


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="compiled-bench-") as name, Mesh(Path(name)) as mesh:
        mesh.write("mixer.yaml", "---\n".join(documents()))
        mesh.start("--mixer-addr", f"{LOOPBACK}:{free_port()}")
        sidecars = {each: mesh.instance(each, sidecar=True).sidecar for each in RULES}
        took: dict[str, list[float]] = {each: [] for each in sidecars}
        for number in range(ROUNDS + 1):
            for service in sidecars if number % 2 else reversed(sidecars):
                sidecar = sidecars[service]
                assert sidecar is not None
                used = _used(sidecar, service)
                if number:  # the first round warms up
                    took[service].append(used)
    bare, single, several = (statistics.median(took[each]) for each in RULES)
    note = f"medians of {ROUNDS} rounds of {REQUESTS} requests: {bare:.1f} µs of processor time without, "
    figures = (
        Figure(
            "cost of a compiled rule", (single / bare - 1) * 100, "%", LIMIT_PERCENT, f"{note}{single:.1f} µs with it"
        ),
        Figure("cost of ten", (several / bare - 1) * 100, "%", None, f"{note}{several:.1f} µs with them"),
    )
    return report("mixer_compiled", figures)


def documents() -> list[str]:
    found = [
        "apiVersion: config.istio.io/v1alpha2\nkind: handler\nmetadata: {name: no, namespace: istio-system}\n"
        "spec: {compiledAdapter: denier, params: {status: {code: 7}}}\n",
        "apiVersion: config.istio.io/v1alpha2\nkind: instance\nmetadata: {name: asked, namespace: istio-system}\n"
        "spec: {compiledTemplate: checknothing}\n",
    ]
    for service, number in ((service, number) for service, count in RULES.items() for number in range(count)):
        match = f'destination.service.host == "{host(service)}" && request.headers["x-user"] == "mallory-{number}"'
        found.append(
            "apiVersion: config.istio.io/v1alpha2\nkind: rule\n"
            f"metadata: {{name: {service}-{number}, namespace: istio-system}}\n"
            f"spec:\n  match: '{match}'\n  actions: [{{handler: no, instances: [asked]}}]\n"
        )
    return found


def _used(sidecar: Sidecar, service: str) -> float:
    """Microseconds of Envoy's processor time for one request of a round."""
    pid = _envoy(sidecar)
    before = _nanoseconds(pid)
    replies = batch(sidecar.inbound_port, host(service), REQUESTS, connections=CONNECTIONS)
    assert all(each.status == 200 for each in replies)
    return (_nanoseconds(pid) - before) / REQUESTS / 1000


def _envoy(sidecar: Sidecar) -> int:
    """The Envoy that the sidecar command runs."""
    parent = sidecar.process.pid
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])


def _nanoseconds(pid: int) -> int:
    """On a processor, all threads together (proc(5), schedstat)."""
    return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat"))


if __name__ == "__main__":
    raise SystemExit(main())
