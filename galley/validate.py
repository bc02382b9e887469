"""One document → one checked object, or what is wrong with it, with coordinates.

Called by `galley.process` for every document that is new or changed. Pure and total: it never raises for bad input and
never stops at the first problem. What concerns several objects at once is `galley.analyze`'s.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from galley.checks.values import check_dns_label, check_dns_name
from galley.config import ConfigObject, ObjectKey, Problem, display
from galley.decode import decode
from galley.document import Document, Path
from galley.finding import Finding, related
from galley.kind import NO_CHECKS, Checks, Kind, find_kind

DEFAULT_NAMESPACE = "default"
OF_ISTIO = "istio.io/"
"""How the annotations begin that mean something here."""


@attrs.frozen
class _Metadata:
    """The part of Kubernetes' ObjectMeta that means something here."""

    name: str = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    creation_timestamp: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


# The rest of ObjectMeta: what Kubernetes or a tool writes. Known, so that a misspelt name is still noticed.
_UNREAD_METADATA = frozenset(
    {
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


@attrs.frozen
class Claim:
    """Which object a document says it is, as far as that can be told; None for what is missing or broken."""

    kind: str | None
    namespace: str | None
    name: str | None

    @property
    def key(self) -> ObjectKey | None:
        """The object's key, if all of it is known."""
        if self.kind is None or self.namespace is None or self.name is None:
            return None
        return ObjectKey(self.kind, self.namespace, self.name)

    def may_be(self, key: ObjectKey) -> bool:
        """Whether the document may be a broken version of that object."""
        return (
            self.kind in (None, key.kind) and self.namespace in (None, key.namespace) and self.name in (None, key.name)
        )


@attrs.frozen(eq=False)
class Validated:
    """The verdict on one document. `object` is None if it was rejected; `problems` may be mere warnings."""

    document: Document
    claim: Claim
    object: ConfigObject[Any] | None
    problems: tuple[Problem, ...]


def validate(document: Document, checks: Checks = NO_CHECKS) -> Validated:
    """The object that the document holds, and every problem with it, also by the further `checks` of its kind."""
    body = document.body
    kind = find_kind(body.get("apiVersion"), body.get("kind"))
    metadata, findings = _metadata(body.get("metadata"), cluster_wide=isinstance(kind, Kind) and kind.cluster_wide)
    spec: Any = None
    if isinstance(kind, Finding):
        findings = [kind, *findings]
    else:
        spec, spec_findings = _spec(kind, body.get("spec"), checks)
        findings = [*_top_level(body), *findings, *spec_findings]
    title = kind.title if isinstance(kind, Kind) else body.get("kind")
    claim = _claim(title, metadata, findings)
    subject = display(title if isinstance(title, str) else "object", metadata.namespace, metadata.name or "?")
    problems = tuple(_problem(document, subject, finding) for finding in findings)
    if claim.key is None or any(not finding.warning for finding in findings):
        return Validated(document, claim, None, problems)
    return Validated(document, claim, _object(document, claim.key, spec, metadata), problems)


def _top_level(body: Mapping[str, Any]) -> list[Finding]:
    known = f"known are {', '.join(_TOP_LEVEL)}"
    return [Finding((str(name),), "is not a known field", known) for name in body if name not in _TOP_LEVEL]


def _metadata(data: object, *, cluster_wide: bool) -> tuple[_Metadata, list[Finding]]:
    path: Path = ("metadata",)
    default = "" if cluster_wide else DEFAULT_NAMESPACE
    if data is None:
        return _Metadata(namespace=default), [Finding(path, "is missing", "add metadata with a name")]
    if isinstance(data, Mapping):
        data = {name: item for name, item in data.items() if name not in _UNREAD_METADATA}
    metadata, findings = decode(_Metadata, data, path)
    metadata = attrs.evolve(metadata, namespace=metadata.namespace or default)
    return metadata, _unrelated(_names(metadata, path, cluster_wide=cluster_wide), findings)


def _names(metadata: _Metadata, path: Path, *, cluster_wide: bool) -> Iterable[Finding]:
    if metadata.name:
        yield from check_dns_name(metadata.name, (*path, "name"))
    else:
        yield Finding((*path, "name"), "is missing", "give the object a name")
    if not cluster_wide:
        yield from check_dns_label(metadata.namespace, (*path, "namespace"))
    elif metadata.namespace:
        yield Finding((*path, "namespace"), "is given, but objects of this kind have none", "leave it out")
    if metadata.creation_timestamp and created(metadata.creation_timestamp) is None:
        message = f"{metadata.creation_timestamp!r} is no time"
        yield Finding((*path, "creationTimestamp"), message, "write it like 2026-01-02T15:04:05Z, or leave it out")


def created(text: str) -> datetime.datetime | None:
    """The time of a timestamp as Kubernetes writes it (RFC 3339); without a zone it is UTC. None for what is none."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _spec(kind: Kind[Any], data: object, checks: Checks) -> tuple[Any, list[Finding]]:
    path: Path = ("spec",)
    if data is None:
        if not kind.may_be_empty:
            return None, [Finding(path, "is missing", f"add the spec of the {kind.name}")]
        data = {}
    spec, findings = decode(kind.spec, data, path)
    findings = _unrelated(kind.check(spec), findings)
    further = checks.get(kind.name)
    return spec, _unrelated(further(spec), findings) if further else findings


def _unrelated(more: Iterable[Finding], findings: list[Finding]) -> list[Finding]:
    """`findings` and those of `more` that are not merely about a default put in for a broken field."""
    broken = [finding.path for finding in findings if not finding.warning]
    return findings + [each for each in more if not any(related(each.path, path) for path in broken)]


def _claim(title: Any, metadata: _Metadata, findings: Iterable[Finding]) -> Claim:
    broken = {finding.path[:2] for finding in findings if not finding.warning}
    whole = ("metadata",) in broken
    return Claim(
        kind=None if ("kind",) in broken else title,
        namespace=None if whole or ("metadata", "namespace") in broken else metadata.namespace,
        name=None if whole or ("metadata", "name") in broken else metadata.name,
    )


def _problem(document: Document, subject: str, finding: Finding) -> Problem:
    where = document.where(finding.path)
    return Problem(where, subject, finding.text, finding.mend, warning=finding.warning)


def _object(document: Document, key: ObjectKey, spec: Any, metadata: _Metadata) -> ConfigObject[Any]:
    return ConfigObject(
        key.kind,
        key.namespace,
        key.name,
        spec,
        origin(document),
        metadata.labels,
        created(metadata.creation_timestamp),
        tuple((name, value) for name, value in metadata.annotations if name.startswith(OF_ISTIO)),
    )


def origin(document: Document) -> str:
    """`file:line` where the document begins; the unit alone if its source has no lines."""
    position = document.positions.get(())
    return f"{document.unit}:{position.line}" if position and position.line else document.unit
