"""Evidence of who a workload is: the contract of an attestor, and the registry of those we know.

A workload that has no certificate yet shows what its platform gave it; an attestor asks the platform whether that is
true and of whom. Called by `citadel.callers` for each such call, many at once. An attestor never believes what it
reads in evidence before the platform vouched for it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any, Protocol

import attrs

LARGEST = 16 << 10
"""Bytes of evidence that are looked at; a platform's token has one or two thousand."""


class EvidenceError(Exception):
    """The evidence is false, old or of somebody unknown. The message never holds the evidence itself."""


class AttestorAwayError(Exception):
    """The platform can't be asked now; the same evidence may be good later."""


@attrs.frozen
class Attested:
    """Who the platform says it is."""

    namespace: str
    service_account: str


class Attestor(Protocol):
    """`attest` raises EvidenceError or AttestorAwayError; it answers within ten seconds, and never blocks.

    `check` is called once at the start: AttestorAwayError or ValueError if the platform can't vouch for anybody as it
    is configured, with the mend.
    """

    async def attest(self, evidence: str) -> Attested: ...

    async def check(self) -> None: ...

    async def close(self) -> None: ...


ATTESTORS: Mapping[str, str] = {
    "static": "citadel.attest.static:StaticAttestor",
    "nomad": "citadel.attest.nomad:NomadAttestor",
    "consul": "citadel.attest.consul:ConsulAttestor",
    "kubernetes": "citadel.attest.kubernetes:KubernetesAttestor",
}
ENTRY_POINTS = "mesh_adapter.attestors"


def attestor_class(name: str) -> type[Any]:
    """The class of the attestor `name`; LookupError that lists the known names if there is none."""
    outside = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    target = ATTESTORS.get(name) or outside.get(name)
    if target is None:
        known = ", ".join(sorted({*ATTESTORS, *outside}))
        raise LookupError(f"unknown attestor {name!r}: known are {known}")
    module, _, attribute = target.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found
