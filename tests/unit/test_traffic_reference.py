"""The generated page says what the registry and the golden cases say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from galley.kind import KINDS, NETWORKING

SAYING = ("DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "VirtualService", "WorkloadEntry")
GENERATOR = Path(__file__).resolve().parents[2] / "docs" / "traffic_reference.py"


def generated() -> Any:
    """The generator, which is no package."""
    spec = importlib.util.spec_from_file_location("traffic_reference", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    return generator


def test_the_page_is_what_make_docs_would_write() -> None:
    generator = generated()
    assert generator.PAGE.read_text() == generator.page(), "run: make docs"


def test_every_field_that_works_says_what_it_becomes() -> None:
    """A field of Istio's traffic kinds that holds no message of its own."""
    kinds = [each for each in KINDS if each.group == NETWORKING and each.name in SAYING]
    rows = [(kind.name, row) for kind in kinds for row in generated().rows(kind, {})]
    assert {name for name, _ in rows} == set(SAYING)
    holders = {(name, row.path.rpartition(".")[0]) for name, row in rows}
    silent = [
        f"{name} {row.path}"
        for name, row in rows
        if not row.becomes and not row.state.startswith("refused") and (name, row.path) not in holders
        if "; as `" not in row.state
    ]
    assert silent == []
