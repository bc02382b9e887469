"""Files on disk: which changes are seen, how soon, and that only what changed is read."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.platform import Upsert
from adapters.static.convert import Parsed, parse
from adapters.static.watch import StaticPlatform
from pilot.model.service import ServiceKey
from tests.contract.platform_suite import Listener

WEB = ServiceKey("default", "web.example")


def text(name: str, *addresses: str) -> str:
    endpoints = "".join(f"  - {{address: {address}, port: 8080}}\n" for address in addresses)
    return f"services:\n- name: {name}.example\n  ports: [{{name: http, port: 80}}]\n  endpoints:\n{endpoints}"


@pytest.fixture
def listen() -> Iterator[Callable[[Path], Listener]]:
    listeners: list[Listener] = []

    def start(path: Path) -> Listener:
        listeners.append(Listener(StaticPlatform(str(path))))
        return listeners[-1].synced()

    yield start
    for listener in listeners:
        listener.close()


def test_a_change_is_seen_within_milliseconds(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(text("web", "10.0.0.0"))
    heard = listen(file)
    taken = []
    for number in range(1, 16):
        start = time.monotonic()
        file.write_text(text("web", f"10.0.0.{number}"))
        heard.until_addresses(WEB, f"10.0.0.{number}")
        taken.append(time.monotonic() - start)
    assert statistics.median(taken) < 0.03


def test_only_the_file_that_changed_is_read(
    tmp_path: Path, listen: Callable[[Path], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(content: bytes, file: str, platform: str) -> Parsed:
        read.append(file)
        return parse(content, file, platform)

    monkeypatch.setattr("adapters.static.files.parse", counted)
    for number in range(200):
        (tmp_path / f"s{number}.yaml").write_text(text(f"s{number}", "10.0.0.1", "10.0.0.2"))
    start = time.monotonic()
    heard = listen(tmp_path)
    assert time.monotonic() - start < 1
    assert len(read) == len(heard.services) == 200
    read.clear()
    (tmp_path / "s7.yaml").write_text(text("s7", "10.0.0.9"))
    heard.until_addresses(ServiceKey("default", "s7.example"), "10.0.0.9")
    assert set(read) == {"s7.yaml"}


def test_a_file_replaced_by_renaming(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(text("web", "10.0.0.1"))
    heard = listen(file)
    for number in range(2, 6):
        (tmp_path / ".swap").write_text(text("web", f"10.0.0.{number}"))
        (tmp_path / ".swap").rename(file)
        heard.until_addresses(WEB, f"10.0.0.{number}")


def test_a_change_of_the_same_size_and_the_same_time(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(text("web", "10.0.0.1"))
    status = file.stat()
    heard = listen(file)
    (tmp_path / ".swap").write_text(text("web", "10.0.0.2"))
    os.utime(tmp_path / ".swap", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / ".swap").rename(file)
    heard.until_addresses(WEB, "10.0.0.2")


def test_a_link_swapped_in_the_directory_as_kubernetes_does(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "web.yaml").write_text(text("web", f"10.0.0.{version}"))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "web.yaml").symlink_to("..data/web.yaml")
    heard = listen(tmp_path)
    heard.until_addresses(WEB, "10.0.0.1")
    (tmp_path / "..swap").symlink_to("..2")
    (tmp_path / "..swap").rename(tmp_path / "..data")
    heard.until_addresses(WEB, "10.0.0.2")


def test_a_link_to_a_directory_that_is_swapped(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "web.yaml").write_text(text("web", f"10.0.0.{version}"))
    current = tmp_path / "current"
    current.symlink_to("1")
    heard = listen(current)
    (tmp_path / "swap").symlink_to("2")
    (tmp_path / "swap").rename(current)
    heard.until_addresses(WEB, "10.0.0.2")
    (tmp_path / "2" / "web.yaml").write_text(text("web", "10.0.0.3"))
    heard.until_addresses(WEB, "10.0.0.3")


def test_a_file_behind_a_link_elsewhere(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    target = tmp_path / "elsewhere" / "real.yaml"
    target.write_text(text("web", "10.0.0.1"))
    (tmp_path / "here" / "web.yaml").symlink_to(target)
    heard = listen(tmp_path / "here")
    target.write_text(text("web", "10.0.0.2"))
    heard.until_addresses(WEB, "10.0.0.2")


def test_other_files_of_the_directory_do_not_matter(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    (tmp_path / "web.yaml").write_text(text("web", "10.0.0.1"))
    (tmp_path / "README.md").write_text("what is this")
    (tmp_path / ".web.yaml.swp").write_text("what is this")
    (tmp_path / "sub.yaml").mkdir()
    heard = listen(tmp_path)
    assert heard.problems == {}
    assert set(heard.services) == {WEB}
    (tmp_path / "new.json").write_text('{"services": []}')
    assert [e for e in heard.settled() if isinstance(e, Upsert)] == heard.events[:1]


def test_a_file_too_big_is_a_problem(tmp_path: Path, listen: Callable[[Path], Listener]) -> None:
    (tmp_path / "web.yaml").write_bytes(b"#" * (16 * 1024 * 1024 + 1))
    heard = listen(tmp_path)
    heard.until(lambda: "web.yaml:1:1" in heard.problems, "a Problem")
