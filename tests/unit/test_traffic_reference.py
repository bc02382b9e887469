"""The generated page says what the registry and the golden cases say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

GENERATOR = Path(__file__).resolve().parents[2] / "docs" / "traffic_reference.py"


def test_the_page_is_what_make_docs_would_write() -> None:
    spec = importlib.util.spec_from_file_location("traffic_reference", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.PAGE.read_text() == generator.page(), "run: make docs"
