"""The key of JWT-SVIDs: made once, replaced without a gap."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from citadel import durable, profile
from citadel.jwt_key import JwtKey, JwtKeyError


def test_it_is_made_once_and_for_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "state" / "jwt-key.pem"
    first, second = JwtKey(path), JwtKey(path)
    assert first.load()
    assert second.load()
    assert first.kid == second.kid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not first.load(), "nothing changed"


def test_a_new_key_is_published_before_it_signs_and_the_old_one_after(tmp_path: Path) -> None:
    path = tmp_path / "jwt-key.pem"
    key = JwtKey(path)
    key.load()
    old = key.kid
    durable.write(tmp_path / "jwt-key.pem.next", profile.key_pem(profile.new_key()))
    assert key.load()
    assert key.kid == old
    assert len(key.published) == 2
    path.rename(tmp_path / "jwt-key.pem.former")
    (tmp_path / "jwt-key.pem.next").rename(path)
    key.load()
    assert key.kid != old
    assert old in key.published


@pytest.mark.parametrize(("content", "mode", "reason"), [(b"x", 0o600, "holds no EC"), (b"x", 0o644, "chmod 600")])
def test_what_is_no_key_stays_out(tmp_path: Path, content: bytes, mode: int, reason: str) -> None:
    path = tmp_path / "jwt-key.pem"
    key = JwtKey(path)
    key.load()
    before = key.kid
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(JwtKeyError, match=reason):
        key.load()
    assert key.kid == before
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        key.load()
