"""Files of tokens, as platforms write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from citadel.agent import evidence
from citadel.agent.evidence import Evidence, NoEvidenceError


def test_a_token_is_read_anew_each_time(tmp_path: Path) -> None:
    shown = evidence.parse(f"nomad={tmp_path}/token")
    assert shown == Evidence("nomad", tmp_path / "token")
    for token in ("first", "second"):
        shown.file.write_text(f"{token}\n")
        assert shown.read() == token


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff", b"x" * 20_000])
def test_what_is_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(NoEvidenceError, match="holds no token"):
        Evidence("nomad", tmp_path / "token").read()


@pytest.mark.parametrize("text", ["", "nomad", "=x", "nomad="])
def test_what_is_no_evidence(text: str) -> None:
    with pytest.raises(ValueError, match="KIND=FILE"):
        evidence.parse(text)


def test_nomads_token_is_found(tmp_path: Path) -> None:
    assert evidence.found_here({}) is None
    (tmp_path / "nomad_token").touch()
    assert evidence.found_here({"NOMAD_SECRETS_DIR": str(tmp_path)}) == Evidence("nomad", tmp_path / "nomad_token")
