"""Where routes of the Gateway API may send traffic: references resolved, across namespaces if that is granted. Pure.

A reference into another namespace needs a ReferenceGrant there; a Hostname, as in Istio, belongs to no namespace unless
it names one. What can't be resolved takes its share of the traffic all the same, and fails it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from galley.checks.gateway_api.references import is_host, is_service
from galley.config import ConfigObject
from galley.gateway_api.services import Services
from galley.gateway_api.status import RESOLVED_REFS, Condition
from galley.kinds.gateway_api import GATEWAY_API
from galley.kinds.gateway_api.reference_grant import ReferenceGrant
from galley.kinds.gateway_api.references import BackendObjectReference, SecretObjectReference
from galley.kinds.virtual_service import Destination, PortSelector

Grants = tuple[ConfigObject[ReferenceGrant], ...]
MISSING = Destination(host="not-resolved.gateway-api.invalid")
"""Leads nowhere: the name is reserved (RFC 6761), so no platform has a service by it."""


@attrs.frozen(eq=False)
class Backends:
    """The references of one route. `failures` are what is wrong with those that lead nowhere."""

    destinations: Mapping[BackendObjectReference, Destination]
    failures: tuple[Condition, ...]

    def destination(self, reference: BackendObjectReference) -> Destination:
        return self.destinations.get(reference, MISSING)

    @property
    def condition(self) -> Condition:
        return next(iter(self.failures), Condition(RESOLVED_REFS, True, RESOLVED_REFS))


def resolve(route: ConfigObject[Any], services: Services, grants: Grants) -> Backends:
    """All references of the route."""
    found: dict[BackendObjectReference, Destination] = {}
    failures: list[Condition] = []
    for reference in dict.fromkeys(_references(route.spec.rules)):
        resolved = _resolve(route, reference, services, grants)
        if isinstance(resolved, Condition):
            failures.append(resolved)
        else:
            found[reference] = resolved
    return Backends(found, tuple(failures))


def _references(rules: Iterable[Any]) -> Iterator[BackendObjectReference]:
    for rule in rules:
        yield from rule.backend_refs
        for each in getattr(rule, "filters", ()):
            if each.request_mirror and each.request_mirror.backend_ref:
                yield each.request_mirror.backend_ref


def _resolve(
    route: ConfigObject[Any], reference: BackendObjectReference, services: Services, grants: Grants
) -> Destination | Condition:
    namespace = reference.namespace or route.namespace
    if not (is_service(reference) or is_host(reference)):
        known = 'Service (group "") and Hostname (group networking.istio.io)'
        return _failed("InvalidKind", f"{reference.kind} {reference.name} can't take traffic", f"known are {known}")
    if namespace != route.namespace and not granted(route, reference, grants):
        mend = f"add a ReferenceGrant in {namespace} from {route.kind} of {route.namespace} to {reference.kind}"
        return _failed("RefNotPermitted", f"{_named(reference, namespace)} is of another namespace", mend)
    find = services.at if is_host(reference) else services.named
    service = find(reference.name, namespace)
    if service is None:
        return _failed("BackendNotFound", f"{_named(reference, namespace)} is not known", "correct it, or register it")
    if reference.port not in service.ports:
        has = ", ".join(map(str, sorted(service.ports))) or "none"
        message = f"{_named(reference, namespace)} ({service.host}) has no port {reference.port}"
        return _failed("BackendNotFound", message, f"its ports are {has}")
    return Destination(service.host, port=PortSelector(reference.port))


def _named(reference: BackendObjectReference, namespace: str) -> str:
    return f"{reference.kind} {namespace}/{reference.name}"


def granted(
    referrer: ConfigObject[Any], reference: BackendObjectReference | SecretObjectReference, grants: Grants
) -> bool:
    """Whether some grant of the reference's namespace lets the object, of the Gateway API, refer to it."""
    return any(
        grant.namespace == reference.namespace
        and any(
            (each.group, each.kind, each.namespace)
            == (GATEWAY_API, referrer.kind.rpartition("/")[2], referrer.namespace)
            for each in grant.spec.from_
        )
        and any(
            (each.group, each.kind) == (reference.group, reference.kind) and each.name in ("", reference.name)
            for each in grant.spec.to
        )
        for grant in grants
    )


def _failed(reason: str, message: str, mend: str) -> Condition:
    return Condition(RESOLVED_REFS, False, reason, f"backend {message}", mend)
