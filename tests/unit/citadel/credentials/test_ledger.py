"""The last good version of a secret outlives every bad one."""

from __future__ import annotations

from datetime import timedelta

from citadel.credentials import Broken, Found, Fresh, Gone, Stale, Synced
from citadel.credentials.ledger import Ledger
from tests.unit.citadel.credentials.pem import NOW, pair

FIRST, SECOND = pair(), pair()
KEY = ("default", "web")


def found(data: dict[str, bytes]) -> Found:
    return Found(*KEY, data, "here")


def test_a_new_version_is_served_and_a_bad_one_is_not() -> None:
    ledger = Ledger()
    assert ledger.fold(found(FIRST), NOW)
    assert not ledger.fold(found(FIRST), NOW), "the same again changes nothing"
    assert not ledger.fold(found({**SECOND, "tls.key": FIRST["tls.key"]}), NOW)
    entry = ledger.entries[KEY]
    assert entry.material is not None
    assert entry.material.credential.certificate.encode() == FIRST["tls.crt"]
    assert "not the key" in entry.trouble(NOW)
    assert ledger.fold(found(SECOND), NOW)
    assert ledger.entries[KEY].trouble(NOW) == ""


def test_one_that_is_gone_or_unreadable_is_served_on_and_said() -> None:
    ledger = Ledger()
    ledger.fold(found(FIRST), NOW)
    assert not ledger.fold(Gone(*KEY), NOW)
    assert "removed" in ledger.entries[KEY].problem
    assert not ledger.fold(Broken(*KEY, "here", "permission denied"), NOW)
    assert ledger.entries[KEY].material is not None
    assert ledger.entries[KEY].problem == "permission denied"


def test_one_that_never_was_good_leaves_nothing() -> None:
    ledger = Ledger()
    assert not ledger.fold(found({}), NOW)
    assert ledger.entries[KEY].material is None
    ledger.fold(Gone(*KEY), NOW)
    assert ledger.entries == {}


def test_a_certificate_that_expires_while_it_is_served_is_said() -> None:
    ledger = Ledger()
    ledger.fold(found(FIRST), NOW)
    assert "expired" in ledger.entries[KEY].trouble(NOW + timedelta(days=10))


def test_the_source_may_be_stale_and_fresh_again() -> None:
    ledger = Ledger()
    ledger.fold(Stale("away"), NOW)
    assert (ledger.synced, ledger.stale) == (False, "away")
    ledger.fold(Fresh(), NOW)
    ledger.fold(Synced(), NOW)
    assert (ledger.synced, ledger.stale) == (True, "")
