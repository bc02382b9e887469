"""A restart of 1,000 sidecars: how long until each has a new certificate of the embedded CA, by evidence.

The agents are real, without their Envoys and sockets: they make their keys, connect by TLS to the secure port of a
control plane that runs as it always does, and follow what it trusts. All of them run in one process
beside it on this machine, so what is measured is both ends. They come from one address, of which the control plane
takes 256 connections without an identity at once: a part of them is refused at first, and comes again.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives import serialization

from bench.figures import Figure, report
from citadel import profile
from citadel.agent.evidence import Evidence
from citadel.agent.keeper import Keeper, KeeperSettings
from tests.integration.control_plane_child import Child
from tests.unit.citadel.tokens import es256

SIDECARS = 1000
TARGET = 10.0


def main() -> int:
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = profile.new_key()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "public.pem").write_bytes(public)
        claims = {"aud": "mesh-adapter", "namespace": "default", "service_account": "web", "exp": time.time() + 600}
        (folder / "token").write_text(es256(key, claims))
        ca = ("--ca", "embedded", "--ca-dir", str(folder / "ca"))
        child = Child(folder, *ca, "--attest", f"static,public_key={folder}/public.pem", "--log-level", "warning")
        child.start()
        try:
            seconds = uvloop.run(restart(child, folder))
        finally:
            child.process.stop()
    note = "all agents in one process on the same cores, each by evidence and with a key of its own"
    return report("citadel_restart", [Figure("restart of 1,000 sidecars", seconds, "s", TARGET, note)])


async def restart(child: Child, folder: Path) -> float:
    """Seconds until the last of them has its certificate."""
    settings = KeeperSettings(
        f"127.0.0.1:{child.tls}",
        folder / "ca" / "1" / "root-cert.pem",
        Evidence("static", folder / "token"),
        ttl=timedelta(hours=24),
    )
    keepers = [Keeper(settings) for _ in range(SIDECARS)]
    begin = time.perf_counter()
    await asyncio.gather(*(each.start() for each in keepers))
    while sum(each.holdings.svid is not None for each in keepers) < SIDECARS:
        if time.perf_counter() - begin > 120:
            raise AssertionError(f"{sum(each.holdings.svid is None for each in keepers)} sidecars got none")
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - begin
    await asyncio.gather(*(each.close() for each in keepers))
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
