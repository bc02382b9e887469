"""Objects of the Gateway API in few words, and what they come to."""

from __future__ import annotations

from typing import Any

from galley.config import Config, ConfigObject
from galley.gateway_api.services import KnownService
from galley.gateway_api.status import Condition
from galley.gateway_api.translate import Translation, translate
from galley.kinds.virtual_service import HTTPRoute
from tests.unit.galley.objects import accepted

API = "gateway.networking.k8s.io/v1"
WEB = KnownService("default", "web.example", (80, 8080), ("web",))
FAR = KnownService("far", "far.example", (80,), ("far",))
TO_WEB = {"backendRefs": [{"name": "web", "port": 80}]}
HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}


def gateway(*listeners: dict[str, Any], name: str = "edge", class_name: str = "istio") -> ConfigObject[Any]:
    """A Gateway; with one listener for HTTP unless told otherwise."""
    spec = {"gatewayClassName": class_name, "listeners": list(listeners) or [HTTP]}
    return accepted("Gateway", spec, name, api_version=API)


def route(
    *rules: dict[str, Any], name: str = "web", kind: str = "HTTPRoute", spec: dict[str, Any] | None = None, **meta: Any
) -> ConfigObject[Any]:
    """A route of the Gateway `edge`; everything to `web` unless told otherwise."""
    whole = {"parentRefs": [{"name": "edge", "namespace": "default"}], "rules": list(rules) or [TO_WEB], **(spec or {})}
    return accepted(kind, whole, name, api_version=API, **meta)


def grant(of: str = "HTTPRoute", namespace: str = "default", **to: str) -> ConfigObject[Any]:
    """Objects of a namespace may refer to services of `far`, or to what `to` says."""
    spec = {
        "from": [{"group": "gateway.networking.k8s.io", "kind": of, "namespace": namespace}],
        "to": [{"group": "", "kind": "Service", **to}],
    }
    return accepted("ReferenceGrant", spec, "grant", api_version=API, namespace="far")


def translated(*objects: ConfigObject[Any], services: tuple[KnownService, ...] = (WEB, FAR)) -> Translation:
    return translate(Config.of(objects), services)


def rules(translation: Translation) -> tuple[HTTPRoute, ...]:
    """Those of the one virtual service."""
    (only,) = translation.virtual_services
    return only.spec.http


def condition(translation: Translation, object_: ConfigObject[Any], type_: str, place: str = "") -> Condition:
    """The first of that type."""
    return next(
        each
        for status in translation.statuses
        if status.object is object_ and place in status.place
        for each in status.conditions
        if each.type == type_
    )
