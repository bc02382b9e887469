"""Documents of any kind in few words, and what is said against them."""

from __future__ import annotations

import json
from typing import Any

from galley.config import ConfigObject
from galley.validate import Validated, validate
from tests.unit.galley.documents import document

NETWORKING = "networking.istio.io/v1"


def validated(
    kind: str, spec: dict[str, Any], name: str = "a", api_version: str = NETWORKING, **metadata: Any
) -> Validated:
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
    return validate(document(json.dumps(body)))


def accepted(kind: str, spec: dict[str, Any], name: str = "a", **metadata: Any) -> ConfigObject[Any]:
    """The object, without a word against it."""
    verdict = validated(kind, spec, name, **metadata)
    assert not verdict.problems, [str(each) for each in verdict.problems]
    assert verdict.object is not None
    return verdict.object


def refusals(kind: str, spec: dict[str, Any], **more: Any) -> list[str]:
    """What keeps the document out."""
    return [each.message for each in validated(kind, spec, **more).problems if not each.warning]


def warnings(kind: str, spec: dict[str, Any], **more: Any) -> list[str]:
    """What is said of a document that passes."""
    verdict = validated(kind, spec, **more)
    assert verdict.object is not None, [str(each) for each in verdict.problems]
    return [each.message for each in verdict.problems]
