"""Mixer remote: processor time of its process per 1,000 calls a second, and how long callers wait, with 100 rules.

Five of the rules match. Calls come at a steady rate from a Go program over 8 connections; the same Check by Mixer's own
API and by Envoy's external authorization, and reports in batches of 100, as Envoys and Istio's clients send them.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bench.figures import Figure, report
from bench.xds import _built
from mixer.attributes import Value
from mixer.faces import ext_authz
from mixer.wire import messages
from mixer.wire.compressed import compressed, reports
from tests.servers.mixer import Mixer

RULES, MATCHING, RATE, SECONDS = 100, 5, 1000, 10
CHECK_CORE, REPORT_CORE, P99_MS = 0.25, 0.1, 3.0
SERVICES = """\
services:
- name: bench.example
  ports: [{name: http, port: 80, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1, port: 8080}]
"""
HEADERS = {
    "user-agent": "bench/1.0",
    "x-request-id": "0b0c9d1e-5f0c-4f5e-9a56-9d2d9d1e5f0c",
    "x-user": "ada",
    "accept": "application/json",
    "x-forwarded-proto": "http",
}


def main() -> int:
    load = _built("mixerload")
    with tempfile.TemporaryDirectory(prefix="mixer-bench-") as name:
        folder = Path(name)
        mixer = Mixer(folder, services=SERVICES)
        mixer.write("rules.yaml", yaml.safe_dump_all(documents()))
        mixer.start()
        try:
            figures = _measured(folder, load, mixer)
        finally:
            mixer.process.stop()
    return report("mixer_check", figures)


def _measured(folder: Path, load: Path, mixer: Mixer) -> list[Figure]:
    calls = {
        "Check": (f"/{messages.SERVICE}/Check", _check(), RATE, CHECK_CORE),
        "ext_authz": (ext_authz.PATH, _ext_authz(), RATE, CHECK_CORE),
        "Report": (f"/{messages.SERVICE}/Report", reports([_bag()] * 100).SerializeToString(), RATE / 100, REPORT_CORE),
    }
    figures = []
    for name, (method, body, rate, limit) in calls.items():
        path = folder / name
        path.write_bytes(body)
        before = _processor(mixer.process.pid)
        asked = [str(load), "-addr", mixer.address, "-method", method, "-body", str(path), "-rate", str(rate)]
        done = subprocess.run([*asked, "-seconds", str(SECONDS)], check=True, stdout=subprocess.PIPE, text=True)
        seen = json.loads(done.stdout)
        core = (_processor(mixer.process.pid) - before) / seen["seconds"]
        note = f"{seen['calls']} calls, failed: {seen['failed'] or 'none'}"
        figures.append(Figure(f"{name}, core per 1,000/s", core, "core", limit, note))
        figures.append(Figure(f"{name}, median", seen["p50_ms"], "ms"))
        figures.append(Figure(f"{name}, p99", seen["p99_ms"], "ms", P99_MS if limit == CHECK_CORE else None))
    return figures


def documents() -> list[dict[str, Any]]:
    """The rules, for a denier that refuses nobody of the bench and a handler that takes reports."""
    found = [
        _document("handler", "refuse", {"compiledAdapter": "denier", "params": {}}),
        _document("handler", "idle", {"compiledAdapter": "noop", "params": {}}),
        _document("instance", "asked", {"compiledTemplate": "checknothing"}),
        _document("instance", "told", {"compiledTemplate": "metric", "params": {"value": "1", "dimensions": _LABELS}}),
    ]
    for number in range(RULES):
        host = "bench.example" if number < MATCHING else f"other-{number}.example"
        match = f'destination.service.host == "{host}" && request.headers["x-user"] != "u{number}"'
        actions = [{"handler": "idle", "instances": ["asked", "told"]}]
        found.append(_document("rule", f"rule-{number:03}", {"match": match, "actions": actions}))
    return found


_LABELS = {"code": "response.code | 200", "path": 'request.path | "?"', "user": 'request.headers["x-user"] | "?"'}


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "istio-system"}
    return {"apiVersion": "config.istio.io/v1alpha2", "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _bag() -> dict[str, Value]:
    return {
        "destination.service.host": "bench.example",
        "destination.namespace": "default",
        "context.reporter.kind": "inbound",
        "context.protocol": "http",
        "source.ip": b"\x0a\0\0\1",
        "request.method": "GET",
        "request.path": "/books/1",
        "request.headers": HEADERS,
    }


def _check() -> bytes:
    body: bytes = messages.CheckRequest(attributes=compressed(_bag()), global_word_count=0).SerializeToString()
    return body


def _ext_authz() -> bytes:
    http = {"method": "GET", "path": "/books/1", "host": "bench.example", "scheme": "http", "headers": HEADERS}
    address = {"socket_address": {"address": "10.0.0.1", "port_value": 40000}}
    asked = {"source": {"address": address}, "destination": {"address": address}, "request": {"http": http}}
    body: bytes = ext_authz.CheckRequest(attributes=asked).SerializeToString()
    return body


def _processor(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
