"""What the agent is told of a control plane."""

from __future__ import annotations

import pytest

from adapters.consul.register import document
from adapters.platform import Announcement


@pytest.mark.parametrize(
    ("address", "told", "checked"),
    [
        ("10.0.0.1", "10.0.0.1", "http://10.0.0.1:15014/readyz"),
        ("0.0.0.0", "", "http://127.0.0.1:15014/readyz"),
        ("::", "", "http://127.0.0.1:15014/readyz"),
        ("2001:db8::1", "2001:db8::1", "http://[2001:db8::1]:15014/readyz"),
    ],
)
def test_the_address_and_the_check_of_its_readiness(address: str, told: str, checked: str) -> None:
    made = document("mesh", Announcement(address, 15010, 15014), "host-1")
    assert (made["ID"], made["Name"], made["Address"], made["Port"]) == ("mesh-host-1-15010", "mesh", told, 15010)
    assert made["Check"]["HTTP"] == checked
