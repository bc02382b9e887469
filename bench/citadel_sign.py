"""Certificates a second: the embedded CA beside the crypto library alone, and Vault beside a plain HTTP client.

Vault is measured in turns, ours and plain, on the same Vault, so that a busy machine slows both. The plain client is
eight threads of http.client that do nothing but send one prepared request and read the answer, in a process of their
own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import uvloop
from cryptography import x509

from bench.figures import Figure, report
from citadel import identity, profile
from citadel.authority import Authority, Issued
from citadel.embedded import EmbeddedAuthority
from citadel.vault import VaultAuthority
from citadel.vault_client import Login, VaultClient
from citadel.vault_setup import Layout, VaultSetup
from tests.servers.vault import Vault

HOUR = timedelta(hours=1)
WEB = identity.workload("cluster.local", "default", "web")
EMBEDDED, VAULT, ROUNDS, CLIENTS = 3000, 1000, 5, 8

PLAIN = """
import http.client, json, sys, threading, time
addr, path, token, body, count, clients = json.loads(sys.stdin.read())
def sign(n):
    connection = http.client.HTTPConnection(addr)
    for _ in range(n):
        connection.request("POST", path, body, {"X-Vault-Token": token})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
threads = [threading.Thread(target=sign, args=(count // clients,)) for _ in range(clients)]
begin = time.perf_counter()
[each.start() for each in threads]
[each.join() for each in threads]
print(count / (time.perf_counter() - begin))
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        figures = [*embedded(Path(folder)), *vault(Path(folder) / "vault")]
    return report("citadel_sign", figures)


def embedded(folder: Path) -> Iterator[Figure]:
    return iter(uvloop.run(_embedded(folder / "ca")))


async def _embedded(folder: Path) -> list[Figure]:
    authority = EmbeddedAuthority(folder, "cluster.local")
    await authority.start()
    requests = [profile.request(profile.new_key()) for _ in range(50)]
    limit = median(_library() for _ in range(3))
    with _cpu() as cpu:
        for i in range(EMBEDDED):
            authority.sign_now(requests[i % 50], WEB, HOUR)
    signed = EMBEDDED / cpu[0]
    begin = time.perf_counter()
    await asyncio.gather(*(authority.sign(requests[i % 50], WEB, HOUR) for i in range(1000)))
    storm = time.perf_counter() - begin
    held = await _memory(authority, requests)
    await authority.close()
    return [
        Figure("library_signatures_per_core", limit, "1/s", note="EC P-256, the request read and verified, PEM made"),
        Figure("embedded_signatures_per_core", signed, "1/s", note="target 2000, or the library's own"),
        Figure("embedded_core_time", 1e6 / signed, "us", limit=max(500.0, 1.1e6 / limit)),
        Figure("embedded_thousand_at_once", storm, "s", limit=10.0, note="off the event loop, one thread"),
        Figure("memory_per_issued_identity", held, "KB", limit=8.0, note="the chain kept by whoever asked"),
    ]


def _library() -> float:
    """The same work by bare calls of the library."""
    key, now = profile.new_key(), datetime.now(UTC)
    signer = profile.Signer(profile.root(key, "cluster.local", "root", now, now + HOUR), key)
    request = profile.request(profile.new_key()).encode()
    with _cpu() as cpu:
        for _ in range(1000):
            csr = x509.load_pem_x509_csr(request)
            assert csr.is_signature_valid
            public = csr.public_key()
            profile.pem(profile.leaf(signer, public, WEB, now, now + HOUR, ()))  # type: ignore[arg-type]
    return 1000 / cpu[0]


async def _memory(authority: Authority, requests: list[str]) -> float:
    """KB of resident memory for each of 4,000 results that are kept."""
    gc.collect()
    before = _resident()
    kept: list[Issued] = [await authority.sign(requests[i % 50], WEB, HOUR) for i in range(4000)]
    return (_resident() - before) / len(kept)


def vault(folder: Path) -> Iterator[Figure]:
    with Vault(folder) as server:
        client = VaultClient(server.url, Login(token=server.root_token))
        client.log_in(datetime.now(UTC))
        VaultSetup(client, Layout("cluster.local", "mesh-pki", "mesh-adapter")).run()
        client.close()
        plain, ours = [], []
        for _ in range(ROUNDS):
            plain.append(_plain(server))
            ours.append(uvloop.run(_ours(server)))
    yield Figure("vault_plain_http", median(plain), "1/s", note=f"{CLIENTS} clients, {ROUNDS} turns of {VAULT}")
    yield Figure("vault_authority", median(ours), "1/s", note="request checked, certificate verified")
    yield Figure("vault_plain_to_ours", median(plain) / median(ours), "ratio", limit=1 / 0.7, note="70 % of plain HTTP")


def _plain(server: Vault) -> float:
    body = json.dumps(
        {"csr": profile.request(profile.new_key()), "uri_sans": str(WEB), "ttl": "3600s", "format": "pem"}
    )
    told = [server.addr, "/v1/mesh-pki/sign/mesh-adapter", server.root_token, body, VAULT, CLIENTS]
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], input=json.dumps(told), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


async def _ours(server: Vault) -> float:
    authority = VaultAuthority(server.url, Login(token=server.root_token), in_flight=CLIENTS)
    await authority.start()
    request = profile.request(profile.new_key())
    begin = time.perf_counter()
    await asyncio.gather(*(authority.sign(request, WEB, HOUR) for _ in range(VAULT)))
    seconds = time.perf_counter() - begin
    await authority.close()
    return VAULT / seconds


@contextmanager
def _cpu() -> Iterator[list[float]]:
    """Seconds of processor that the block took, in a list."""
    found: list[float] = []
    begin = time.process_time()
    yield found
    found.append(time.process_time() - begin)


def _resident() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4.0
