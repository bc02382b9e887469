"""The embedded authority beyond its contract: what is read again, what it refuses, and a rotation seen from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from citadel import identity
from citadel.authority import AuthorityError
from citadel.embedded import EmbeddedAuthority
from citadel.rotation import Step
from tests.unit.citadel.ca_sets import DAY, offline_root
from tests.unit.citadel.requests import csr, ec_key

WEB = identity.workload("cluster.local", "default", "web")
HOUR = timedelta(hours=1)
REQUEST = csr(ec_key())


@attrs.define
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


Make = Callable[[Path], EmbeddedAuthority]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make(clock: Clock) -> AsyncIterator[Make]:
    made: list[EmbeddedAuthority] = []

    def one(folder: Path) -> EmbeddedAuthority:
        made.append(EmbeddedAuthority(folder, "cluster.local", spread=HOUR, clock=clock))
        return made[-1]

    yield one
    for each in made:
        await each.close()


async def test_a_rotation_by_another_process_is_seen_and_carried_on(tmp_path: Path, make: Make, clock: Clock) -> None:
    authority = make(tmp_path / "ca")
    await authority.start()
    (old,) = authority.roots()
    await authority.sign(REQUEST, WEB, 8 * HOUR)
    authority.store.begin(clock.now)

    await authority.refresh()
    assert authority.roots()[0] == old
    assert len(authority.roots()) == 2
    new = authority.roots()[1]
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain[0].issuer == old.subject

    clock.now += HOUR
    await authority.refresh()
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain[0].issuer == new.subject
    assert set(authority.roots()) == {old, new}, "leaves of the old root live on"

    clock.now += 6 * HOUR
    await authority.refresh()
    assert set(authority.roots()) == {old, new}

    clock.now += 4 * HOUR
    await authority.refresh()
    assert authority.roots() == (new,)


async def test_how_long_leaves_live_is_known_after_a_crash(tmp_path: Path, make: Make, clock: Clock) -> None:
    first = make(tmp_path / "ca")
    await first.start()
    issued = await first.sign(REQUEST, WEB, timedelta(days=30))
    assert make(tmp_path / "ca").store.last_leaf("1") >= issued.not_after


async def test_files_that_an_operator_replaces_are_read_again(tmp_path: Path, make: Make, clock: Clock) -> None:
    offline_root(now=clock.now).write(tmp_path)
    authority = make(tmp_path)
    await authority.start()
    other = offline_root(now=clock.now, name="other")
    other.write(tmp_path)
    await authority.refresh()
    assert authority.roots() == (other.root,)
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain[1] == other.intermediate.certificate
    assert not (tmp_path / "state.json").exists()


async def test_files_that_do_not_fit_leave_the_former_in_force(tmp_path: Path, make: Make, clock: Clock) -> None:
    given = offline_root(now=clock.now)
    given.write(tmp_path)
    authority = make(tmp_path)
    await authority.start()
    (tmp_path / "ca-cert.pem").write_text("half written")
    with pytest.raises(AuthorityError, match=r"ca-cert\.pem"):
        await authority.refresh()
    assert authority.roots() == (given.root,)
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain[1] == given.intermediate.certificate


async def test_an_expired_intermediate_signs_nothing(tmp_path: Path, make: Make, clock: Clock) -> None:
    offline_root(now=clock.now, life=2 * DAY).write(tmp_path)
    authority = make(tmp_path)
    await authority.start()
    clock.now += 2 * DAY
    with pytest.raises(AuthorityError, match="can't sign: it expired"):
        await authority.sign(REQUEST, WEB, HOUR)


async def test_no_leaf_outlives_its_signer(tmp_path: Path, make: Make, clock: Clock) -> None:
    offline_root(now=clock.now, life=2 * DAY).write(tmp_path)
    authority = make(tmp_path)
    await authority.start()
    assert (await authority.sign(REQUEST, WEB, 30 * DAY)).not_after == clock.now + DAY


async def test_a_clock_far_behind_refuses_and_makes_nothing_anew(tmp_path: Path, make: Make, clock: Clock) -> None:
    authority = make(tmp_path / "ca")
    await authority.start()
    roots = authority.roots()
    clock.now -= HOUR
    with pytest.raises(AuthorityError, match="clock"):
        await authority.sign(REQUEST, WEB, HOUR)
    clock.now += HOUR
    await authority.refresh()
    assert authority.roots() == roots


async def test_a_root_that_nobody_was_told_of_spreads_anew(tmp_path: Path, make: Make, clock: Clock) -> None:
    """It was made, and then no control plane ran for longer than it is to spread: no workload can know it yet."""
    first = make(tmp_path / "ca")
    await first.start()
    first.store.begin(clock.now)
    clock.now += 3 * HOUR
    again = make(tmp_path / "ca")
    await again.start()
    await again.refresh()
    assert again.state() == first.store.load()
    assert len(again.roots()) == 2
    clock.now += HOUR
    await again.refresh()
    state = again.state()
    assert state is not None
    assert state.step is Step.DRAINING
