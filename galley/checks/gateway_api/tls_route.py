"""What a TLSRoute must hold beyond their types."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.gateway_api.references import check_backend, check_hostnames, check_parents, check_rule_name
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api.tls_route import TLSRoute


def check_tls_route(spec: TLSRoute) -> Iterator[Finding]:
    """All findings of one TLSRoute."""
    path: Path = ("spec", "rules")
    yield from check_parents(spec.parent_refs, ("spec", "parentRefs"), mesh=False)
    yield from check_hostnames(spec.hostnames, ("spec", "hostnames"))
    if len(spec.rules) != 1:
        yield Finding(path, f"must be one rule, not {len(spec.rules)}", "make a TLSRoute of each")
    for index, rule in enumerate(spec.rules):
        here = (*path, index)
        yield from check_rule_name(rule.name, here)
        if not rule.backend_refs:
            yield Finding((*here, "backendRefs"), "is missing", "say where connections go")
        for number, backend in enumerate(rule.backend_refs):
            yield from check_backend(backend, (*here, "backendRefs", number))
