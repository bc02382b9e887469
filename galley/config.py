"""Checked configuration, as planning reads it, and the problems of what did not pass.

Built by `galley.process`, one immutable Config per change. An object that did not change is the *same* object in the
next Config, so a reader may compare by identity; an object that only moved inside its file is a new one with the same
`spec`. Must not import anything that does I/O.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import attrs

from galley.kinds.authorization_policy import AuthorizationPolicy
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.envoy_filter import EnvoyFilter
from galley.kinds.gateway import Gateway
from galley.kinds.gateway_api.gateway import Gateway as GatewayOfApi
from galley.kinds.gateway_api.gateway_class import GatewayClass
from galley.kinds.gateway_api.grpc_route import GRPCRoute
from galley.kinds.gateway_api.http_route import HTTPRoute
from galley.kinds.gateway_api.reference_grant import ReferenceGrant
from galley.kinds.gateway_api.tls_route import TLSRoute
from galley.kinds.mesh_config import MeshConfig
from galley.kinds.mixer import (
    ADAPTERS,
    TEMPLATES,
    AdapterInfo,
    AttributeManifest,
    Handler,
    Instance,
    Rule,
    TemplateDescriptor,
)
from galley.kinds.mixer_client import HTTPAPISpec, HTTPAPISpecBinding, QuotaSpec, QuotaSpecBinding
from galley.kinds.peer_authentication import PeerAuthentication
from galley.kinds.proxy_config import ProxyConfig
from galley.kinds.service_entry import ServiceEntry
from galley.kinds.sidecar import Sidecar
from galley.kinds.telemetry import Telemetry
from galley.kinds.virtual_service import VirtualService
from galley.kinds.workload_entry import WorkloadEntry
from galley.kinds.workload_group import WorkloadGroup
from galley.schema import Struct

T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(order=True)
class ObjectKey:
    """What makes two documents the same object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return display(self.kind, self.namespace, self.name)


def display(kind: str, namespace: str, name: str) -> str:
    """What an object is called in messages; one without a namespace is cluster-wide."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


@attrs.frozen(eq=False)
class ConfigObject(Generic[T_co]):
    """One accepted object; `origin` is `file:line`, for messages about it. Equal to itself only.

    `kind` is the title of its kind (`galley.kind`). `created` is when it was made, where its document says so.
    """

    kind: str
    namespace: str
    name: str
    spec: T_co
    origin: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    created: datetime.datetime | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    """Those of Istio's own (`istio.io/…`), sorted by key."""

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        return display(self.kind, self.namespace, self.name)


@attrs.frozen
class Problem:
    """Something an operator has to know: where, of which object, what is wrong, and the way out.

    `object` is empty where a whole file is meant. `code` is Istio's message code, if the analysis found it.
    `kept_since` is when the version was accepted that stays in force meanwhile; None if there is none. A `warning`
    keeps nothing from coming into force.
    """

    where: str
    object: str
    message: str
    mend: str = ""
    code: str = ""
    warning: bool = False
    kept_since: datetime.datetime | None = None

    def __str__(self) -> str:
        subject = f"{self.object}: " if self.object else ""
        code = f" [{self.code}]" if self.code else ""
        kept = self.kept_since and f"the version accepted at {self.kept_since:%H:%M:%S} stays in force"
        advice = "; ".join(part for part in (self.mend, kept) if part)
        return f"{self.where}  {subject}{self.message}{code}" + (f"\n    {advice}" if advice else "")


@attrs.frozen(eq=False)
class Config:
    """All accepted objects, each kind sorted by namespace and name. `version` grows by one with every change."""

    virtual_services: tuple[ConfigObject[VirtualService], ...] = ()
    destination_rules: tuple[ConfigObject[DestinationRule], ...] = ()
    service_entries: tuple[ConfigObject[ServiceEntry], ...] = ()
    workload_entries: tuple[ConfigObject[WorkloadEntry], ...] = ()
    workload_groups: tuple[ConfigObject[WorkloadGroup], ...] = ()
    sidecars: tuple[ConfigObject[Sidecar], ...] = ()
    proxy_configs: tuple[ConfigObject[ProxyConfig], ...] = ()
    gateways: tuple[ConfigObject[Gateway], ...] = ()
    mesh_configs: tuple[ConfigObject[MeshConfig], ...] = ()
    telemetries: tuple[ConfigObject[Telemetry], ...] = ()
    authorization_policies: tuple[ConfigObject[AuthorizationPolicy], ...] = ()
    peer_authentications: tuple[ConfigObject[PeerAuthentication], ...] = ()
    rules: tuple[ConfigObject[Rule], ...] = ()
    handlers: tuple[ConfigObject[Handler], ...] = ()
    instances: tuple[ConfigObject[Instance], ...] = ()
    legacy_handlers: tuple[ConfigObject[Struct], ...] = ()
    legacy_instances: tuple[ConfigObject[Struct], ...] = ()
    attribute_manifests: tuple[ConfigObject[AttributeManifest], ...] = ()
    adapters: tuple[ConfigObject[AdapterInfo], ...] = ()
    templates: tuple[ConfigObject[TemplateDescriptor], ...] = ()
    quota_specs: tuple[ConfigObject[QuotaSpec], ...] = ()
    quota_spec_bindings: tuple[ConfigObject[QuotaSpecBinding], ...] = ()
    http_api_specs: tuple[ConfigObject[HTTPAPISpec], ...] = ()
    http_api_spec_bindings: tuple[ConfigObject[HTTPAPISpecBinding], ...] = ()
    gateway_classes: tuple[ConfigObject[GatewayClass], ...] = ()
    gateways_of_api: tuple[ConfigObject[GatewayOfApi], ...] = ()
    http_routes: tuple[ConfigObject[HTTPRoute], ...] = ()
    grpc_routes: tuple[ConfigObject[GRPCRoute], ...] = ()
    tls_routes: tuple[ConfigObject[TLSRoute], ...] = ()
    reference_grants: tuple[ConfigObject[ReferenceGrant], ...] = ()
    envoy_filters: tuple[ConfigObject[EnvoyFilter], ...] = ()
    version: int = 0

    @classmethod
    def of(cls, objects: Iterable[ConfigObject[Any]], version: int = 0) -> Config:
        """The objects under their kinds, whatever order they come in."""
        by_kind: dict[str, list[ConfigObject[Any]]] = {field: [] for field in _FIELDS.values()}
        for each in sorted(objects, key=lambda each: (each.namespace, each.name)):
            by_kind[_FIELDS[each.kind]].append(each)
        return cls(version=version, **{field: tuple(members) for field, members in by_kind.items()})

    def objects(self) -> tuple[ConfigObject[Any], ...]:
        """All of them, kind by kind."""
        return tuple(each for field in dict.fromkeys(_FIELDS.values()) for each in getattr(self, field))


_FIELDS = {
    "VirtualService": "virtual_services",
    "DestinationRule": "destination_rules",
    "ServiceEntry": "service_entries",
    "WorkloadEntry": "workload_entries",
    "WorkloadGroup": "workload_groups",
    "Sidecar": "sidecars",
    "ProxyConfig": "proxy_configs",
    "Gateway": "gateways",
    "MeshConfig": "mesh_configs",
    "Telemetry": "telemetries",
    "AuthorizationPolicy": "authorization_policies",
    "PeerAuthentication": "peer_authentications",
    "rule": "rules",
    "handler": "handlers",
    "instance": "instances",
    "attributemanifest": "attribute_manifests",
    "adapter": "adapters",
    "template": "templates",
    "QuotaSpec": "quota_specs",
    "QuotaSpecBinding": "quota_spec_bindings",
    "HTTPAPISpec": "http_api_specs",
    "HTTPAPISpecBinding": "http_api_spec_bindings",
    **dict.fromkeys(ADAPTERS, "legacy_handlers"),
    **dict.fromkeys(TEMPLATES, "legacy_instances"),
    "GatewayClass": "gateway_classes",
    "gateway.networking.k8s.io/Gateway": "gateways_of_api",
    "HTTPRoute": "http_routes",
    "GRPCRoute": "grpc_routes",
    "TLSRoute": "tls_routes",
    "ReferenceGrant": "reference_grants",
    "EnvoyFilter": "envoy_filters",
}
