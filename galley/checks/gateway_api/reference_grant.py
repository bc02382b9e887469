"""What a ReferenceGrant must hold beyond its types."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.gateway_api.references import check_kind
from galley.checks.values import check_dns_label
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api.reference_grant import ReferenceGrant


def check_reference_grant(spec: ReferenceGrant) -> Iterator[Finding]:
    """All findings of one ReferenceGrant."""
    if not spec.from_:
        yield Finding(("spec", "from"), "is missing", "say whose objects may refer")
    if not spec.to:
        yield Finding(("spec", "to"), "is missing", "say what they may refer to")
    for index, each in enumerate(spec.from_):
        here: Path = ("spec", "from", index)
        yield from check_kind(each.group, each.kind, here)
        yield from check_dns_label(each.namespace, (*here, "namespace"))
    for index, target in enumerate(spec.to):
        yield from check_kind(target.group, target.kind, ("spec", "to", index))
