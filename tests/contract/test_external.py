"""A platform of another package: what docs/external-platform.md shows is built, installed, and runs as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "external-platform.md"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the package of the page is installed, by the same means as any other."""
    source, target = tmp_path_factory.mktemp("acme"), tmp_path_factory.mktemp("site")
    text = PAGE.read_text(encoding="utf-8")
    for named in re.finditer(r"^`([\w.]+)`:", text, re.MULTILINE):
        block = re.compile(r"^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL).search(text, named.end())
        assert block
        (source / named[1]).write_text(block[1])
    assert sorted(path.name for path in source.iterdir()) == [
        "acme_mesh.py",
        "acme_watch.py",
        "pyproject.toml",
        "test_acme.py",
    ]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, capture_output=True, timeout=120)
    (target / "test_acme.py").write_text((source / "test_acme.py").read_text())
    return target


def run(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=False, env=environment, cwd=site, capture_output=True, text=True, timeout=120)


def test_it_is_found_by_its_entry_point_and_named_like_any_other(site: Path) -> None:
    code = """
import json
from mesh_adapter.assembly import Options, SetupError, assembled, platforms
given = Options(platforms=("acme",), platform_options=("acme.addr=http://127.0.0.1:1", "acme.priority=1"))
made = assembled(given)
said = [type(each.platform).__name__ for each in platforms(made.specs).values()]
for wrong in (("acme",), ()), (("acme",), ("acme.adr=x",)), (("etcd",), ()):
    try:
        assembled(Options(platforms=wrong[0], platform_options=wrong[1]))
    except SetupError as error:
        said.append(str(error))
print(json.dumps(said))
"""
    done = run(site, code)
    assert done.returncode == 0, done.stderr
    kind, missing, unknown, other = json.loads(done.stdout)
    assert kind == "AcmePlatform"
    assert "addr is missing: Where Acme answers" in missing
    assert "unknown option 'adr': known are addr, token, poll" in unknown
    assert "known are acme, consul" in other


def test_a_package_that_cannot_be_imported_is_said_and_breaks_nothing_else(site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[mesh_adapter.platforms]\nbroken = no_such_module:Options\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from mesh_adapter.assembly import Options, SetupError, assembled
from mesh_adapter.cli import cli
assembled(Options(platforms=("consul",)))
try:
    assembled(Options(platforms=("broken",)))
except SetupError as error:
    print(error)
"""
    done = run(site, code)
    assert done.returncode == 0, done.stderr
    assert "--platform broken: the platform 'broken' (no_such_module:Options) can't be used: No module" in done.stdout


def test_it_keeps_the_contract_by_the_suite_that_ships(site: Path) -> None:
    """Run as its author would: in a directory of its own, with nothing of this repository's tests in reach."""
    arguments = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(site), "test_acme.py"]
    done = run(site, f"import sys, pytest; sys.exit(pytest.main({arguments!r}))")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 15, "the suite lost tests on its way"
