"""The embedded authority's folder: made once, rotated step by step, never made anew in silence."""

from __future__ import annotations

import shutil
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citadel import durable
from citadel.authority import AuthorityError
from citadel.ca_store import CaStore
from citadel.rotation import MARGIN, Step

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
SPREAD = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> CaStore:
    return CaStore(tmp_path / "ca", "cluster.local")


def test_an_empty_folder_gets_a_ca_that_stays(store: CaStore) -> None:
    state = store.open(NOW)
    root = store.read(state, NOW)["1"].root
    again = CaStore(store.folder, "cluster.local")
    assert again.open(NOW) == state
    assert again.read(state, NOW)["1"].root == root
    assert root.not_valid_after_utc == NOW + timedelta(days=3650)


def test_keys_and_state_are_for_the_owner_only(store: CaStore) -> None:
    store.open(NOW)
    for name in ("1/ca-key.pem", "state.json"):
        assert stat.S_IMODE((store.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_key_under_a_passphrase(tmp_path: Path) -> None:
    store = CaStore(tmp_path / "ca", "cluster.local", b"sesame")
    state = store.open(NOW)
    assert b"ENCRYPTED" in (store.folder / "1" / "ca-key.pem").read_bytes()
    assert store.read(state, NOW)
    with pytest.raises(AuthorityError, match="--ca-passphrase-file"):
        CaStore(tmp_path / "ca", "cluster.local").read(state, NOW)


def test_a_rotation_from_one_root_to_the_next(store: CaStore) -> None:
    store.open(NOW)
    assert store.begin(NOW).trusted == ("1", "2")
    store.note_leaf("1", NOW + timedelta(hours=30))
    assert store.advance(SPREAD, NOW + SPREAD - timedelta(seconds=1)).step is Step.SPREADING
    switched = store.advance(SPREAD, NOW + SPREAD)
    assert (switched.step, switched.active, switched.other) == (Step.DRAINING, "2", "1")
    assert store.advance(SPREAD, NOW + timedelta(hours=30)).step is Step.DRAINING
    done = store.advance(SPREAD, NOW + timedelta(hours=30) + MARGIN)
    assert (done.step, done.active, done.trusted) == (Step.STABLE, "2", ("2",))
    assert not (store.folder / "1").exists(), "the key of a root that nobody trusts is deleted"


def test_asking_twice_begins_one_rotation(store: CaStore) -> None:
    store.open(NOW)
    assert store.begin(NOW) == store.begin(NOW + timedelta(minutes=5))


def test_the_next_rotation_takes_the_next_number(store: CaStore) -> None:
    store.open(NOW)
    store.begin(NOW)
    store.advance(SPREAD, NOW + SPREAD)
    store.advance(SPREAD, NOW + 2 * SPREAD)
    assert store.begin(NOW + 2 * SPREAD).trusted == ("2", "3")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"active": "1"}', '{"active":"1","since":"x","step":"stable","other":""}', "\udcff"]
)
def test_a_damaged_state_is_set_aside_and_nothing_made_anew(store: CaStore, text: str) -> None:
    store.open(NOW)
    (store.folder / "state.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(AuthorityError, match=r"damaged .* set aside as state\.json\.corrupt-1"):
        store.open(NOW)
    with pytest.raises(AuthorityError, match="restore it from a backup"):
        store.open(NOW)
    assert (store.folder / "1" / "ca-key.pem").exists()
    assert (store.folder / "state.json.corrupt-1").exists()


def test_a_restored_state_goes_on(store: CaStore) -> None:
    state = store.open(NOW)
    kept = (store.folder / "state.json").read_bytes()
    (store.folder / "state.json").unlink()
    with pytest.raises(AuthorityError, match="no new root"):
        store.open(NOW)
    durable.write(store.folder / "state.json", kept)
    assert store.open(NOW) == state


def test_the_ca_of_another_trust_domain_is_not_taken(store: CaStore) -> None:
    store.open(NOW)
    with pytest.raises(AuthorityError, match=r"--trust-domain cluster\.local"):
        CaStore(store.folder, "other").open(NOW)


def test_a_generation_that_lost_its_key_is_refused(store: CaStore) -> None:
    state = store.open(NOW)
    (store.folder / "1" / "ca-key.pem").unlink()
    with pytest.raises(AuthorityError, match=r"ca-key\.pem is missing"):
        store.read(state, NOW)


DYING = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from citadel.ca_store import CaStore

left = int(sys.argv[2])

def die(event, _):
    global left
    if event in ("os.rename", "shutil.rmtree"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
store, now, hour = CaStore(Path(sys.argv[1]), "cluster.local"), datetime(2026, 6, 1, tzinfo=UTC), timedelta(hours=1)
store.begin(now)
store.advance(hour, now + hour)
store.advance(hour, now + 4 * hour)
"""


def rotate_and_die(folder: Path, before: int) -> bool:
    """A process that rotates and is killed just before its nth change of the disk takes effect; False if it lived."""
    done = subprocess.run([sys.executable, "-c", DYING, str(folder), str(before)], check=False, cwd=ROOT)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def test_killed_at_any_step_it_resumes(store: CaStore) -> None:
    store.open(NOW)
    store.note_leaf("1", NOW + 2 * SPREAD)
    changes = 0
    while True:
        folder = store.folder.with_name(f"ca-{changes}")
        shutil.copytree(store.folder, folder)
        if not rotate_and_die(folder, changes):
            break
        again = CaStore(folder, "cluster.local")
        state = again.open(NOW)
        assert set(again.read(state, NOW)) == set(state.trusted), "whatever the step, all that is trusted is whole"
        assert state.trusted in (("1",), ("1", "2"), ("2", "1"), ("2",))
        if state.active == "1":
            again.begin(NOW)
        again.advance(SPREAD, NOW + SPREAD)
        final = again.advance(SPREAD, NOW + 4 * SPREAD)
        assert (final.step, final.trusted) == (Step.STABLE, ("2",))
        assert sorted(each.name for each in folder.iterdir() if each.is_dir()) == ["2"]
        changes += 1
    assert changes >= 8, "every write of the rotation was died at"
