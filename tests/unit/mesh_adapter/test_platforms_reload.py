"""What a change of the platforms file makes of the platforms."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.settings import Network, PlatformSettings
from mesh_adapter import assembly, platforms_reload
from mesh_adapter.platforms_reload import Reassembled, follow, reassemble
from pilot.model.service import NetworkGateway
from tests.unit.mesh_adapter.told import StartPlane, until

BEFORE = """\
platforms:
- {name: east, kind: consul, addr: 10.0.0.1}
- {name: west, kind: consul, addr: 10.1.0.1}
networks: {west: {gateways: [{address: 203.0.113.1, port: 80, mode: http}]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "platforms.yaml"
    path.write_text(BEFORE)
    return path


def changed(file: Path, text: str) -> Reassembled:
    options = assembly.Options(platforms=("consul=near",), platforms_file=str(file))
    return reassemble(options, assembly.assembled(options), text.encode())


def names(found: Reassembled) -> list[str]:
    return [spec.name for spec in found.assembled.specs]


def test_nothing_is_opened_anew_where_nothing_changed(file: Path) -> None:
    found = changed(file, BEFORE)
    assert (names(found), found.opened, found.problems) == (["near", "east", "west"], {}, ())


def test_what_came_is_opened_what_changed_is_opened_anew_and_what_went_is_left_out(file: Path) -> None:
    found = changed(
        file,
        "platforms:\n"
        "- {name: new, kind: static, file: s.yaml}\n"
        "- {name: east, kind: consul, addr: 10.0.0.9, priority: 1}\n",
    )
    assert names(found) == ["near", "new", "east"]
    assert {name: each.kind for name, each in found.opened.items()} == {"new": "static", "east": "consul"}
    assert found.assembled.networks == ()


def test_what_is_said_of_any_kind_opens_nothing_anew(file: Path) -> None:
    found = changed(file, BEFORE.replace("addr: 10.0.0.1}", "addr: 10.0.0.1, priority: 3, hold: 0}"))
    assert found.opened == {}
    assert found.assembled.arrangement().of("east") == PlatformSettings(priority=3, hold=0.0)


@pytest.mark.parametrize(
    ("east", "problem"),
    [
        ("{name: east, kind: consul, addr: 'ftp://x'}", "not an address of Consul"),
        ("{name: east, kind: none}", "unknown kind"),
        ("{name: east, kind: consul, wait: soon}", "write a number"),
        ("{name: east, addr: {a: b}}", "is not a text"),
    ],
)
def test_an_entry_that_cannot_be_used_leaves_its_platform_as_it_was(file: Path, east: str, problem: str) -> None:
    found = changed(file, f"platforms:\n- {east}\n- {{name: west, kind: consul, addr: 10.1.0.2}}\n")
    assert sorted(names(found)) == ["east", "near", "west"]
    assert list(found.opened) == ["west"]
    assert problem in str(found.problems[0])


@pytest.mark.parametrize("text", ["platforms: [", "", "platforms:\n- {kind: consul}\n"])
def test_a_file_that_cannot_be_used_leaves_all_as_they_were(file: Path, text: str) -> None:
    found = changed(file, text)
    assert sorted(names(found)) == ["east", "near", "west"]
    assert found.opened == {}
    assert found.assembled.networks == (Network("west", (NetworkGateway("203.0.113.1", 80),)),)
    assert len(found.problems) == 1


def test_a_name_of_the_command_line_is_not_the_files_to_give(file: Path) -> None:
    found = changed(file, BEFORE.replace("name: east", "name: near"))
    assert names(found) == ["near", "west"]
    assert "is that of a --platform" in found.problems[0].message


async def test_the_file_is_followed(tmp_path: Path, start_plane: StartPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms_reload, "LOOK_EVERY", 0.01)
    file, services = tmp_path / "platforms.yaml", tmp_path / "services.yaml"
    services.write_text("services: []")
    file.write_text("platforms: []")
    options = assembly.Options(platforms_file=str(file))
    plane = start_plane({})
    following = asyncio.ensure_future(follow(options, assembly.assembled(options), plane))
    file.write_text(f"platforms: [{{name: mine, kind: static, file: {services}}}]")
    await until(lambda: [each.state for each in plane.platforms()] == ["SYNCED"])
    file.write_text("platforms: oh")
    await until(lambda: len(plane.platform_conflicts()) == 1)
    assert [each.name for each in plane.platforms()] == ["mine"]
    file.unlink()
    file.write_text("platforms: []")
    await until(lambda: plane.platforms() == ())
    assert plane.platform_conflicts() == ()
    following.cancel()
