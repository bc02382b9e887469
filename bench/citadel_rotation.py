"""Certificates of ten seconds under 500 requests a second between two real Envoys, for ten minutes: not one may fail.

The world is that of tests/integration/test_rotation_under_load.py. MINUTES=1 in the environment makes it a short look.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, report
from tests.integration.control_plane_child import Child
from tests.integration.mtls_pair import Pair

LEAF = ("--workload-cert-ttl", "10s", "--max-workload-cert-ttl", "10s")


def main() -> int:
    minutes = float(os.environ.get("MINUTES", "10"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ca = ("--ca", "embedded", "--ca-dir", str(folder / "ca"))
        child = Child(folder, *ca, "--attest", f"static,join_tokens={folder}/join", *LEAF)
        child.start()
        try:
            figures = under_load(child, folder, minutes * 60)
        finally:
            child.process.stop()
    return report("citadel_rotation", figures)


def under_load(child: Child, folder: Path, seconds: float) -> list[Figure]:
    with Pair(child, folder, folder / "ca" / "1" / "root-cert.pem") as pair, pair.load() as load:
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            time.sleep(1)
        load.stop()
        lasted = time.monotonic() - begin
        caller = pair.agents["caller"]
        resident = memory(caller.process.pid)
        note = f"{load.count} requests in {lasted:.0f} s, {caller.certificates} certificates each"
        return [
            Figure("failed requests while certificates rotate", len(load.failures), "requests", 0, note),
            Figure("requests a second", load.count / lasted, "1/s"),
            Figure("memory of the sidecar's agent", resident, "MB", note="resident, alone in its process"),
        ]


def memory(pid: int) -> float:
    """Resident megabytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
