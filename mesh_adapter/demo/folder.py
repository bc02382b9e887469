"""The demo's working directory: what is where in it, and files that readers see whole.

mesh-demo/
  services/demo.yaml    where the services live: what Consul or Nomad would tell
  rules/reviews.yaml    Istio's configuration, to be edited
  proxies/NAME.json     what each Envoy was started with
  logs/NAME.log         what each process said
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

MARK = ".mesh-demo"


class FolderError(Exception):
    """The directory can't be used; the message says why, and what to do."""


class Folder:
    """Made and held by one demo at a time. Raises FolderError."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.services = self.root / "services" / "demo.yaml"
        self.rules = self.root / "rules" / "reviews.yaml"
        self.logs = self.root / "logs"
        self.proxies = self.root / "proxies"
        try:
            self._refuse_a_strangers()
            for folder in (self.services.parent, self.rules.parent, self.logs, self.proxies):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.root / MARK)
        except OSError as error:
            raise FolderError(f"can't use {self.root}: {error.strerror or error}; give another with --dir") from error

    def close(self) -> None:
        """Lets another demo use it; the files stay, for a look at them."""
        self._lock.close()

    def _refuse_a_strangers(self) -> None:
        """Files of the same names that are not the demo's must not be overwritten."""
        if self.root.is_dir() and any(self.root.iterdir()) and not (self.root / MARK).exists():
            raise FolderError(f"{self.root} has files in it that are not the demo's: give an empty one with --dir")


def _lock(path: Path) -> IO[str]:
    """Ends with the process."""
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise FolderError(f"another demo runs in {path.parent}: stop it, or give another with --dir") from None
    return handle


def write(path: Path, text: str) -> None:
    """A watcher sees the old file or the new one, never a part of it."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
