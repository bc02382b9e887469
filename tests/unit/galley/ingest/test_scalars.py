"""What YAML scalars mean."""

from __future__ import annotations

import pytest

from galley.ingest.scalars import Scalar, UnresolvableError, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("Yes", True),
        ("OFF", False),
        ("0", 0),
        ("-12", -12),
        ("+1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("010", 8),
        ("0o17", 15),
        ("0x_", "0x_"),
        ("089", "089"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("v1", "v1"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_scalars(text: str, value: Scalar) -> None:
    found = scalar(text, None, plain=True)
    assert (found, type(found)) == (value, type(value))


def test_quotes_make_a_string() -> None:
    assert scalar("true", None, plain=False) == "true"


def test_tags() -> None:
    assert scalar("1", "tag:yaml.org,2002:str", plain=False) == "1"
    assert scalar("1", "tag:yaml.org,2002:float", plain=False) == 1.0
    assert scalar("1", "tag:yaml.org,2002:int", plain=False) == 1
    with pytest.raises(UnresolvableError, match="does not fit its tag !!int"):
        scalar("x", "tag:yaml.org,2002:int", plain=False)
    with pytest.raises(UnresolvableError, match="is not supported"):
        scalar("x", "!secret", plain=False)
