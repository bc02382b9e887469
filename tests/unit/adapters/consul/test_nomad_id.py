"""IDs as Nomad makes them, and others."""

from __future__ import annotations

import pytest

from adapters.consul.nomad_id import nomad_labels

ALLOC = "61a64f20-7b7e-2244-a058-f856bc06870c"


@pytest.mark.parametrize(
    ("identity", "name", "expected"),
    [
        (f"_nomad-task-{ALLOC}-group-api-web-http", "web", {"nomad.alloc": ALLOC, "nomad.group": "api"}),
        (f"_nomad-task-{ALLOC}-group-a-b-web-api-http", "web-api", {"nomad.alloc": ALLOC, "nomad.group": "a-b"}),
        (f"_nomad-task-{ALLOC}-server-web-", "web", {"nomad.alloc": ALLOC, "nomad.task": "server"}),
        (f"_nomad-task-{ALLOC}-something", "web", {"nomad.alloc": ALLOC}),
        ("web-1", "web", {}),
        ("_nomad-task-not-an-allocation-web-http", "web", {}),
    ],
)
def test_labels_of_an_id(identity: str, name: str, expected: dict[str, str]) -> None:
    assert nomad_labels(identity, name) == expected
