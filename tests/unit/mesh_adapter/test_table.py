"""Columns of text."""

from __future__ import annotations

import pytest

from mesh_adapter.table import table


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert table(["NAME", "PORT"], [["a-long-name", "80"], ["b", ""]]) == "NAME           PORT\na-long-name    80\nb"


def test_without_rows_there_is_the_header() -> None:
    assert table(["NAME", "PORT"], [], gap=1) == "NAME PORT"


def test_a_row_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table(["NAME", "PORT"], [["a", "b", "c"]])
