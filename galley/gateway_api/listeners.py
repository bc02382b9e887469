"""The listeners of Gateways that are ours, and which routes attach to them. Pure.

A Gateway is ours by its class: one of our own names where no GatewayClass object has it, else a GatewayClass with one
of our controllers' names. Of a namespace its name alone is known without Kubernetes, under the label it has there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from galley.config import Config, ConfigObject
from galley.gateway_api.status import ACCEPTED, PROGRAMMED, RESOLVED_REFS, Condition, Status, accepted
from galley.hostnames import ANY_HOST, covers, shared_hosts
from galley.kinds.gateway_api import GATEWAY_API
from galley.kinds.gateway_api.gateway import (
    FromNamespaces,
    Gateway,
    LabelSelector,
    LabelSelectorRequirement,
    Listener,
    SelectorOperator,
)
from galley.kinds.gateway_api.references import ParentReference

CONTROLLERS = ("istio.io/gateway-controller", "mesh-adapter/gateway-controller")
CLASSES = ("istio", "mesh-adapter")
NAMESPACE_NAME = "kubernetes.io/metadata.name"
_KINDS = {"HTTP": ("HTTPRoute", "GRPCRoute"), "HTTPS": ("HTTPRoute", "GRPCRoute"), "TLS": ("TLSRoute",)}


@attrs.frozen(eq=False)
class OurListener:
    """A listener, and the Gateway that it is of."""

    gateway: ConfigObject[Gateway]
    spec: Listener

    @property
    def name(self) -> str:
        """`GATEWAY~LISTENER`, which no object may be called."""
        return f"{self.gateway.name}~{self.spec.name}"

    @property
    def hostname(self) -> str:
        return self.spec.hostname or ANY_HOST

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of routes that may attach."""
        own = _KINDS[self.spec.protocol]
        asked = self.spec.allowed_routes.kinds
        return tuple(kind for kind in own if not asked or any((GATEWAY_API, kind) == (k.group, k.kind) for k in asked))

    def allows(self, route: ConfigObject[Any]) -> bool:
        """Whether the route's kind and namespace may attach."""
        return route.kind in self.kinds and self._allows_namespace(route.namespace)

    def _allows_namespace(self, namespace: str) -> bool:
        allowed = self.spec.allowed_routes.namespaces
        if allowed.from_ is FromNamespaces.All:
            return True
        if allowed.from_ is FromNamespaces.Selector:
            return allowed.selector is not None and _selects(allowed.selector, {NAMESPACE_NAME: namespace})
        return namespace == self.gateway.namespace


def _selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Kubernetes' rule: all conditions hold, and without any it takes everything."""
    return all(labels.get(key) == value for key, value in selector.match_labels) and all(
        _holds(each, labels.get(each.key)) for each in selector.match_expressions
    )


def _holds(requirement: LabelSelectorRequirement, value: str | None) -> bool:
    match requirement.operator:
        case SelectorOperator.In:
            return value in requirement.values
        case SelectorOperator.NotIn:
            return value not in requirement.values
        case SelectorOperator.Exists:
            return value is not None
        case _:
            return value is None


@attrs.frozen(eq=False)
class Attachment:
    """A route at a listener, for the hosts that are both's."""

    route: ConfigObject[Any]
    listener: OurListener
    hosts: tuple[str, ...]


Listeners = Mapping[tuple[str, str], tuple[OurListener, ...]]
"""By namespace and name of their Gateway."""


def our_listeners(config: Config) -> Listeners:
    """Those of the Gateways that are ours."""
    return {
        (each.namespace, each.name): tuple(OurListener(each, listener) for listener in each.spec.listeners)
        for each in config.gateways_of_api
        if is_ours(config, each.spec.gateway_class_name)
    }


def is_ours(config: Config, name: str) -> bool:
    """Whether Gateways of the class are."""
    found = next((each for each in config.gateway_classes if each.name == name), None)
    return name in CLASSES if found is None else found.spec.controller_name in CONTROLLERS


def attach(
    route: ConfigObject[Any], parent: ParentReference, listeners: Listeners
) -> tuple[tuple[Attachment, ...], Condition]:
    """Where the route attaches by one of its parents, a Gateway; without anywhere, why not."""
    key = (parent.namespace or route.namespace, parent.name)
    of_gateway = listeners.get(key, ())
    meant = [each for each in of_gateway if _is_meant(each, parent)]
    if not meant:
        what = f"Gateway {key[0]}/{key[1]}" + (" has no such listener" if of_gateway else " is not known, or not ours")
        return (), _refused("NoMatchingParent", what, "correct the reference, or add the Gateway")
    allowed = [each for each in meant if each.allows(route)]
    if not allowed:
        message = f"no listener of Gateway {key[0]}/{key[1]} takes a {route.kind} of namespace {route.namespace}"
        return (), _refused("NotAllowedByListeners", message, "widen allowedRoutes of the listener")
    found = tuple(Attachment(route, each, hosts) for each in allowed if (hosts := _hosts(route, each, of_gateway)))
    if not found:
        message = f"none of its hostnames is one of a listener of Gateway {key[0]}/{key[1]}"
        return (), _refused("NoMatchingListenerHostname", message, "correct the hostnames of one of the two")
    return found, accepted()


def _is_meant(listener: OurListener, parent: ParentReference) -> bool:
    return parent.section_name in ("", listener.spec.name) and parent.port in (0, listener.spec.port)


def _hosts(route: ConfigObject[Any], listener: OurListener, beside: Iterable[OurListener]) -> tuple[str, ...]:
    """Hosts that are both's, without those that a more specific listener of the port has for itself."""
    shared = shared_hosts((listener.hostname,), route.spec.hostnames or (ANY_HOST,))
    rivals = [
        each.hostname for each in beside if each.spec.port == listener.spec.port and _stands_beside(each, listener)
    ]
    return tuple(
        host for host in shared if listener.hostname == max((r for r in rivals if covers(r, host)), key=_specificity)
    )


def _stands_beside(other: OurListener, listener: OurListener) -> bool:
    """Whether a request or connection may come to either, by its host alone."""
    return (other.spec.protocol == "HTTP") == (listener.spec.protocol == "HTTP")


def _specificity(hostname: str) -> tuple[bool, int]:
    return not hostname.startswith("*"), len(hostname)


def _refused(reason: str, message: str, mend: str) -> Condition:
    return Condition(ACCEPTED, False, reason, message, mend)


def gateway_statuses(
    config: Config,
    listeners: Listeners,
    attached: Iterable[Attachment],
    refused: Callable[[OurListener], Condition | None] = lambda listener: None,
) -> tuple[Status, ...]:
    """Of classes, Gateways and listeners; `refused` says why the certificates of a listener may not be shown."""
    found = [Status(each, "", (_class_condition(each.spec.controller_name),)) for each in config.gateway_classes]
    counts: dict[int, int] = {}
    for attachment in attached:
        counts[id(attachment.listener)] = counts.get(id(attachment.listener), 0) + 1
    for gateway in config.gateways_of_api:
        ours = listeners.get((gateway.namespace, gateway.name))
        if ours is None:
            found.append(Status(gateway, "", (_not_ours(config, gateway.spec.gateway_class_name),)))
            continue
        found.append(Status(gateway, "", (accepted(), Condition(PROGRAMMED, True, PROGRAMMED))))
        found += (
            Status(gateway, f"listener {each.spec.name}", _conditions(each, counts.get(id(each), 0), refused(each)))
            for each in ours
        )
    return tuple(found)


def _class_condition(controller: str) -> Condition:
    """A class of another controller is nothing to complain of."""
    return accepted() if controller in CONTROLLERS else Condition(ACCEPTED, False, "Pending")


def _not_ours(config: Config, name: str) -> Condition:
    known = any(each.name == name for each in config.gateway_classes)
    message = "" if known else f"there is no GatewayClass {name}"
    return Condition(ACCEPTED, False, "Pending", message, f"ours without one are {', '.join(CLASSES)}")


def _conditions(listener: OurListener, routes: int, refused: Condition | None) -> tuple[Condition, ...]:
    asked = listener.spec.allowed_routes.kinds
    unknown = sorted(
        {each.kind for each in asked if (each.group, each.kind) not in {(GATEWAY_API, k) for k in listener.kinds}}
    )
    refs = refused or Condition(RESOLVED_REFS, True, RESOLVED_REFS)
    served = bool(listener.kinds) and refused is None
    if unknown and refused is None:
        message = f"a {listener.spec.protocol} listener takes no {', '.join(unknown)}"
        mend = f"allow {' or '.join(_KINDS[listener.spec.protocol])}"
        refs = Condition(RESOLVED_REFS, False, "InvalidRouteKinds", message, mend)
    return (
        accepted(f"{routes} routes attached"),
        Condition(PROGRAMMED, served, PROGRAMMED if served else "Invalid"),
        refs,
    )
