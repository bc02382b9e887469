"""An operator's CA files: taken when they fit together, refused with the file's name when they do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citadel import ca_files, profile
from citadel.authority import AuthorityError
from citadel.identity import workload
from tests.unit.citadel.ca_sets import DAY, offline_root, write_key

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_an_intermediate_below_an_offline_root(tmp_path: Path) -> None:
    given = offline_root(now=NOW)
    given.write(tmp_path)
    found = ca_files.read(tmp_path, b"", NOW)
    assert found.intermediates == (given.intermediate.certificate,)
    assert found.root == given.root
    assert found.expires == given.intermediate.certificate.not_valid_after_utc


def test_the_root_may_be_left_out_of_the_chain_and_the_chain_altogether(tmp_path: Path) -> None:
    offline_root(now=NOW).write(tmp_path)
    (tmp_path / "cert-chain.pem").unlink()
    assert len(ca_files.read(tmp_path, b"", NOW).intermediates) == 1


def test_several_roots_are_all_trusted(tmp_path: Path) -> None:
    mine, other = offline_root(now=NOW), offline_root(now=NOW, name="other")
    mine.write(tmp_path)
    (tmp_path / "root-cert.pem").write_text(profile.pem(other.root, mine.root))
    found = ca_files.read(tmp_path, b"", NOW)
    assert found.roots == (other.root, mine.root)
    assert found.root == mine.root


def test_a_key_with_a_passphrase(tmp_path: Path) -> None:
    given = offline_root(now=NOW)
    given.write(tmp_path)
    write_key(tmp_path, given.intermediate.key, b"sesame")
    assert (
        ca_files.read(tmp_path, b"sesame", NOW).signer.key.private_numbers() == given.intermediate.key.private_numbers()
    )


def _other_key(folder: Path) -> None:
    write_key(folder, profile.new_key())


def _other_root(folder: Path) -> None:
    (folder / "root-cert.pem").write_text(profile.pem(offline_root(now=NOW).root))
    (folder / "cert-chain.pem").write_text(profile.pem(offline_root(now=NOW).root))


def _readable_key(folder: Path) -> None:
    (folder / "ca-key.pem").chmod(0o644)


def _garbled(name: str) -> Callable[[Path], None]:
    def garble(folder: Path) -> None:
        (folder / name).write_text("garbage")

    return garble


def _missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _passphrase_needed(folder: Path) -> None:
    write_key(folder, profile.new_key(), b"sesame")


def _a_leaf_as_ca(folder: Path) -> None:
    given = offline_root(now=NOW)
    given.write(folder)
    key = profile.new_key()
    leaf = profile.leaf(given.intermediate, key.public_key(), workload("td", "a", "b"), NOW - DAY, NOW + DAY, ())
    (folder / "ca-cert.pem").write_text(profile.pem(leaf))
    (folder / "cert-chain.pem").write_text(profile.pem(leaf, given.intermediate.certificate))
    write_key(folder, key)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_other_key, "ca-key.pem is not the key of .*ca-cert.pem"),
        (_other_root, "ca-cert.pem does not lead to a root in .*root-cert.pem"),
        (_readable_key, "chmod 600 .*ca-key.pem"),
        (_garbled("ca-key.pem"), "ca-key.pem holds no PEM private key"),
        (_garbled("ca-cert.pem"), "ca-cert.pem holds no PEM certificates"),
        (_garbled("root-cert.pem"), "root-cert.pem holds no PEM certificates"),
        (_missing("ca-key.pem"), "ca-key.pem is missing"),
        (_missing("root-cert.pem"), "root-cert.pem is missing"),
        (_passphrase_needed, "ca-key.pem is encrypted: give its passphrase by --ca-passphrase-file"),
        (_a_leaf_as_ca, "ca-cert.pem: it is not a signing certificate"),
    ],
    ids=range(10),
)
def test_a_set_that_does_not_fit_is_refused(tmp_path: Path, spoil: Callable[[Path], None], reason: str) -> None:
    offline_root(now=NOW).write(tmp_path)
    spoil(tmp_path)
    with pytest.raises(AuthorityError, match=reason):
        ca_files.read(tmp_path, b"", NOW)


def test_a_wrong_passphrase_is_told_without_the_key(tmp_path: Path) -> None:
    given = offline_root(now=NOW)
    given.write(tmp_path)
    write_key(tmp_path, given.intermediate.key, b"sesame")
    with pytest.raises(AuthorityError, match="can't be decrypted") as caught:
        ca_files.read(tmp_path, b"wrong", NOW)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    ("life", "root_life", "name"), [(2 * DAY, 3650 * DAY, "ca-cert.pem"), (30 * DAY, 2 * DAY, "root-cert.pem")]
)
def test_an_expired_certificate_is_refused(tmp_path: Path, life: timedelta, root_life: timedelta, name: str) -> None:
    offline_root(now=NOW, life=life, root_life=root_life).write(tmp_path)
    ca_files.read(tmp_path, b"", NOW)
    with pytest.raises(AuthorityError, match=f"{name}: it expired at 2026-06-02"):
        ca_files.read(tmp_path, b"", NOW + 2 * DAY)


def test_a_clock_that_is_far_behind_is_named(tmp_path: Path) -> None:
    offline_root(now=NOW).write(tmp_path)
    with pytest.raises(AuthorityError, match="is this clock right"):
        ca_files.read(tmp_path, b"", NOW - 2 * DAY)
