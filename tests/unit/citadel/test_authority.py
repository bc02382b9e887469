"""The registry of authorities."""

from __future__ import annotations

import pytest

from citadel.authority import AUTHORITIES, authority_class


@pytest.mark.parametrize("name", AUTHORITIES)
def test_every_name_is_a_class(name: str) -> None:
    assert hasattr(authority_class(name), "sign")


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(LookupError, match="unknown authority 'acme': known are embedded, vault"):
        authority_class("acme")
