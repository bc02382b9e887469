from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pilot.sidecar.envoy_binary import EnvoyError, default_cache, find

SAYS_1_40 = "#!/bin/sh\necho 'envoy  version: 9e55809/1.40.0/Clean/RELEASE/BoringSSL'\n"


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds Envoy already."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    inside = "envoy-1.40.0/lib/python3.11/site-packages/envoy/_bin/envoy"
    return script(default_cache() / inside, SAYS_1_40)


def test_the_one_given_is_taken(tmp_path: Path, cached: Path) -> None:
    given = script(tmp_path / "my-envoy", SAYS_1_40)
    assert find(given, pytest.fail) == given


@pytest.mark.parametrize(
    ("text", "reason"), [("#!/bin/sh\necho hello\n", "it said 'hello'"), ("#!/bin/sh\nexit 3\n", "exit status 3")]
)
def test_one_given_that_is_no_envoy_is_told(tmp_path: Path, text: str, reason: str) -> None:
    given = script(tmp_path / "my-envoy", text)
    with pytest.raises(EnvoyError, match=f"asking {given} for its version: .*{reason}.*\n    give --envoy PATH"):
        find(given, pytest.fail)


def test_one_given_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvoyError, match="No such file"):
        find(tmp_path / "nowhere", pytest.fail)


def test_a_script_on_path_is_not_taken_for_envoy(tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "bin" / "envoy", SAYS_1_40)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    assert find(None, pytest.fail) == cached


def test_a_program_on_path_that_is_no_envoy_is_passed_over_and_told(
    tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = shutil.which("true")
    assert true is not None
    (tmp_path / "bin").mkdir()
    shutil.copy(true, tmp_path / "bin" / "envoy")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    said: list[str] = []
    assert find(None, said.append) == cached
    assert said[0].startswith(f"passing over the Envoy on PATH: asking {tmp_path}/bin/envoy for its version")
