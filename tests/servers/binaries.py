"""Where the servers' programs are. A missing one is an error that says how to get it; nothing is built from a test."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "deploy" / "servers" / "build.py"
BUILT = frozenset(
    {"consul", "vault", "nomad", "kube-apiserver", "mixer-client", "spiffe-client", "envoy", "envoy-oldest"}
)


class MissingServerError(Exception):
    """A program that is not on this machine."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not on this machine: run `make servers` (it builds or installs what is missing)")


@functools.cache
def require(name: str) -> Path:
    """The program's path; raises MissingServerError."""
    found = _built(name) if name in BUILT else _installed(name)
    if not found:
        raise MissingServerError(name)
    return Path(found)


def _installed(name: str) -> str | None:
    """Debian puts some into /usr/sbin, which is not on everybody's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _built(name: str) -> str:
    asked = [sys.executable, str(BUILD), "--print", name]
    return subprocess.run(asked, check=False, stdout=subprocess.PIPE, text=True).stdout.strip()
