"""The whole of it: objects of the Gateway API in, objects of Istio's kinds and statuses out. Pure.

Called by `pilot.plan.index` with each snapshot; costs nothing where there are no such objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import attrs

from galley.checks.gateway_api.references import is_gateway
from galley.config import Config, ConfigObject
from galley.gateway_api.backends import Grants, resolve
from galley.gateway_api.certificates import refused
from galley.gateway_api.edge import edge
from galley.gateway_api.listeners import Attachment, Listeners, OurListener, attach, gateway_statuses, our_listeners
from galley.gateway_api.mesh import MeshAttachment, attach_to_service, mesh, rivals
from galley.gateway_api.rules import Rules
from galley.gateway_api.services import KnownService, Services
from galley.gateway_api.status import Status
from galley.kinds import gateway as istio_gateway
from galley.kinds.gateway_api.references import ParentReference
from galley.kinds.virtual_service import VirtualService

T = TypeVar("T")


@attrs.frozen(eq=False)
class Translation:
    """What the objects came to."""

    gateways: tuple[ConfigObject[istio_gateway.Gateway], ...] = ()
    virtual_services: tuple[ConfigObject[VirtualService], ...] = ()
    statuses: tuple[Status, ...] = ()
    rules: Rules = attrs.field(factory=Rules, repr=False)


NOTHING = Translation()


def translate(config: Config, known: Iterable[KnownService], before: Translation = NOTHING) -> Translation:
    """The objects of `config`, with these services in the mesh.

    An object that came out as it is in `before`, the last translation, is that object: planning goes by identity.
    """
    routes: tuple[ConfigObject[Any], ...] = (*config.http_routes, *config.grpc_routes, *config.tls_routes)
    if not (routes or config.gateways_of_api or config.gateway_classes):
        return NOTHING
    services = Services.of(known)
    listeners, others = our_listeners(config), rivals(config.virtual_services, services)
    resolved = {route.key: resolve(route, services, config.reference_grants) for route in routes}
    at_edge: list[Attachment] = []
    in_mesh: list[MeshAttachment] = []
    statuses: list[Status] = []
    for route in routes:
        for index, parent in enumerate(route.spec.parent_refs):
            if is_gateway(parent):
                attached, condition = attach(route, parent, listeners)
                at_edge += attached
            else:
                one, condition = attach_to_service(route, parent, services, others)
                in_mesh += (one,) if one else ()
            backends = resolved[route.key]
            place = f"spec.parentRefs[{index}] {_named(parent, route.namespace)}"
            statuses.append(Status(route, place, (condition, *(backends.failures or (backends.condition,)))))
    rules = Rules(before.rules)
    of_edge = tuple(edge(_served(listeners, config.reference_grants), _once(at_edge), resolved, rules))
    return Translation(
        gateways=_kept((each for each in of_edge if isinstance(each.spec, istio_gateway.Gateway)), before.gateways),
        virtual_services=_kept(
            (*(each for each in of_edge if isinstance(each.spec, VirtualService)), *mesh(in_mesh, resolved, rules)),
            before.virtual_services,
        ),
        statuses=(
            *gateway_statuses(config, listeners, at_edge, lambda each: refused(each, config.reference_grants)),
            *statuses,
        ),
        rules=rules,
    )


def _served(listeners: Listeners, grants: Grants) -> Iterator[OurListener]:
    """Those that may show what they name."""
    return (each for found in listeners.values() for each in found if refused(each, grants) is None)


def _kept(new: Iterable[ConfigObject[T]], old: Iterable[ConfigObject[T]]) -> tuple[ConfigObject[T], ...]:
    known = {each.key: each for each in old}
    return tuple(_same(known.get(each.key), each) for each in new)


def _same(old: ConfigObject[T] | None, new: ConfigObject[T]) -> ConfigObject[T]:
    return old if old is not None and (old.spec, old.origin) == (new.spec, new.origin) else new


def _once(attachments: Iterable[Attachment]) -> Iterable[Attachment]:
    """A route that names a Gateway and one of its listeners is at the listener once."""
    return {(each.route.key, id(each.listener)): each for each in attachments}.values()


def _named(parent: ParentReference, namespace: str) -> str:
    section = f", listener {parent.section_name}" if parent.section_name else ""
    return f"{parent.kind} {parent.namespace or namespace}/{parent.name}{section}"
