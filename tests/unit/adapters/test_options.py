"""Options as a platform declares them, read from what an operator wrote."""

from __future__ import annotations

from typing import Literal

import attrs
import pytest

from adapters.options import OptionError, declared, decode, option


@attrs.frozen
class Acme:
    addr: str = option(help="Where it is.")
    token: str = option("", help="Token.", secret=True, env="ACME_TOKEN")
    poll_every: float = option(1.5, help="Seconds.")
    retries: int = option(3, help="Tries.")
    secure: bool = option(True, help="TLS.")
    mode: Literal["fast", "slow"] = option("fast", help="Mode.")
    zones: tuple[str, ...] = option((), help="Zone.", flag="zone")


def test_every_type_is_read_from_texts_and_keys_may_be_spelled_three_ways() -> None:
    given = {"addr": "x", "pollEvery": "2", "re-tries": "4", "secure": "off", "mode": "slow", "zones": "a, b"}
    assert decode(Acme, given) == Acme(addr="x", poll_every=2.0, retries=4, secure=False, mode="slow", zones=("a", "b"))
    assert decode(Acme, {"addr": "x", "poll_every": "3", "zones": ("c",)}).zones == ("c",)
    assert decode(Acme, {"retries": "1"}, {"addr": "y", "retries": 9}) == Acme(addr="y", retries=1)


@pytest.mark.parametrize(
    ("given", "message", "named"),
    [
        ({}, "addr is missing: Where it is", "addr"),
        ({"adr": "x"}, "unknown option 'adr': known are addr, token, pollEvery", "adr"),
        ({"addr": "x", "retries": "1.5"}, "retries is '1.5': write a number", "retries"),
        ({"addr": "x", "secure": "maybe"}, "secure is 'maybe': write true or false", "secure"),
        ({"addr": "x", "mode": "other"}, "mode is 'other': write fast or slow", "mode"),
        ({"addr": ("x", "y")}, "addr is a list: write one value", "addr"),
    ],
)
def test_what_cannot_be_names_the_option_and_the_mend(given: dict[str, str], message: str, named: str) -> None:
    with pytest.raises(OptionError, match=message) as raised:
        decode(Acme, given)
    assert raised.value.option == named


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(Acme(addr="x", token="hush"))


def test_what_is_declared() -> None:
    found = {each.field: each for each in declared(Acme)}
    assert found["addr"].required
    assert (found["zones"].flag, found["poll_every"].flag, found["poll_every"].key) == (
        "zone",
        "poll-every",
        "pollEvery",
    )
    assert found["mode"].choices == ("fast", "slow")
    assert found["token"].env == "ACME_TOKEN"


def test_a_field_that_is_no_option_is_refused() -> None:
    @attrs.frozen
    class Odd:
        plain: str = ""

    with pytest.raises(TypeError, match="plain"):
        declared(Odd)
