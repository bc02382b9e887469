"""Bundles as they travel, and pairs that are none."""

from __future__ import annotations

import pytest

from citadel import profile
from citadel.agent import holdings
from citadel.profile import ProfileError
from tests.unit.citadel.agent.holders import root, svid


def test_certificates_one_behind_the_other() -> None:
    roots = tuple(root().certificate for _ in range(3))
    assert holdings.certificates(holdings.roots_der(roots)) == roots
    assert holdings.certificates(b"") == ()


@pytest.mark.parametrize("cut", [1, 2, 3, 100, -1])
def test_what_is_cut_off_is_an_error(cut: int) -> None:
    with pytest.raises(ValueError, match="DER"):
        holdings.certificates(holdings.roots_der((root().certificate,))[:cut])


def test_another_keys_certificate_is_not_taken() -> None:
    with pytest.raises(ProfileError, match="another key"):
        holdings.svid(svid(root()).chain, profile.new_key())


def test_a_signing_certificate_is_nobodys() -> None:
    signer = root()
    with pytest.raises(ProfileError, match="CA:TRUE"):
        holdings.svid((signer.certificate,), signer.key)
