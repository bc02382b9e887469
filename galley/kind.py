"""The contract of a configuration kind, and the registry of those we read.

A kind is a spec class (its annotations say how it is decoded) and a check of what annotations cannot say. Adding one is
a class in `galley.kinds`, a check in `galley.checks`, a line in KINDS and a field of `galley.config.Config`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import attrs

from galley.checks.authorization_policy import check_authorization_policy
from galley.checks.destination_rule import check_destination_rule
from galley.checks.envoy_filter import check_envoy_filter
from galley.checks.gateway import check_gateway
from galley.checks.gateway_api.gateway import check_gateway as check_gateway_of_api
from galley.checks.gateway_api.gateway import check_gateway_class
from galley.checks.gateway_api.grpc_route import check_grpc_route
from galley.checks.gateway_api.http_route import check_http_route
from galley.checks.gateway_api.reference_grant import check_reference_grant
from galley.checks.gateway_api.tls_route import check_tls_route
from galley.checks.mesh_config import check_mesh_config
from galley.checks.mixer import (
    check_attribute_manifest,
    check_handler,
    check_http_api_spec,
    check_http_api_spec_binding,
    check_instance,
    check_quota_spec,
    check_quota_spec_binding,
    check_rule,
)
from galley.checks.peer_authentication import check_peer_authentication
from galley.checks.proxy_config import check_proxy_config
from galley.checks.service_entry import check_service_entry
from galley.checks.sidecar import check_sidecar
from galley.checks.telemetry import check_telemetry
from galley.checks.virtual_service import check_virtual_service
from galley.checks.workload_entry import check_workload_entry, check_workload_group
from galley.finding import Finding
from galley.kinds.authorization_policy import AuthorizationPolicy
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.envoy_filter import EnvoyFilter
from galley.kinds.gateway import Gateway
from galley.kinds.gateway_api import GATEWAY_API
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

T = TypeVar("T")

NETWORKING = "networking.istio.io"
MIXER = "config.istio.io"
SECURITY = "security.istio.io"
MESH = "mesh.istio.io"
TELEMETRY = "telemetry.istio.io"


Checks = Mapping[str, Callable[[Any], Iterable[Finding]]]
"""By kind, what of a spec can only be judged with knowledge that is not galley's; brought by the composition root."""
NO_CHECKS: Checks = MappingProxyType({})


@attrs.frozen
class Kind(Generic[T]):
    """One kind of object. `check` is pure, never raises, and reports with paths that start at `spec`.

    It is also given objects whose wrongly typed fields were replaced by defaults; what it says of those is dropped.
    """

    name: str
    group: str
    versions: tuple[str, ...]
    spec: type[T]
    check: Callable[[T], Iterable[Finding]]
    may_be_empty: bool = False
    """Whether the object means something without a spec."""
    cluster_wide: bool = False
    """Whether its objects have no namespace."""

    @property
    def title(self) -> str:
        """What objects of the kind go by: the name alone, with the group where two groups have a kind of that name."""
        return self.name if len(_BY_NAME[self.name]) == 1 or self.group == NETWORKING else f"{self.group}/{self.name}"

    @property
    def api_versions(self) -> tuple[str, ...]:
        """`group/version`, oldest first."""
        return tuple(f"{self.group}/{version}" for version in self.versions)


_TRAFFIC_VERSIONS = ("v1alpha3", "v1beta1", "v1")
_MIXER_VERSIONS = ("v1alpha2",)

_TRAFFIC: tuple[Kind[Any], ...] = (
    Kind("DestinationRule", NETWORKING, _TRAFFIC_VERSIONS, DestinationRule, check_destination_rule),
    Kind("EnvoyFilter", NETWORKING, ("v1alpha3",), EnvoyFilter, check_envoy_filter),
    Kind("Gateway", NETWORKING, _TRAFFIC_VERSIONS, Gateway, check_gateway),
    Kind("ProxyConfig", NETWORKING, ("v1beta1",), ProxyConfig, check_proxy_config),
    Kind("ServiceEntry", NETWORKING, _TRAFFIC_VERSIONS, ServiceEntry, check_service_entry),
    Kind("Sidecar", NETWORKING, _TRAFFIC_VERSIONS, Sidecar, check_sidecar),
    Kind("VirtualService", NETWORKING, _TRAFFIC_VERSIONS, VirtualService, check_virtual_service),
    Kind("WorkloadEntry", NETWORKING, _TRAFFIC_VERSIONS, WorkloadEntry, check_workload_entry),
    Kind("WorkloadGroup", NETWORKING, _TRAFFIC_VERSIONS, WorkloadGroup, check_workload_group),
)

_MESH: tuple[Kind[Any], ...] = (
    Kind("MeshConfig", MESH, ("v1alpha1",), MeshConfig, check_mesh_config, may_be_empty=True, cluster_wide=True),
    Kind("Telemetry", TELEMETRY, ("v1alpha1", "v1"), Telemetry, check_telemetry, may_be_empty=True),
)

_SECURITY_VERSIONS = ("v1beta1", "v1")

_SECURITY: tuple[Kind[Any], ...] = (
    Kind(
        "AuthorizationPolicy",
        SECURITY,
        _SECURITY_VERSIONS,
        AuthorizationPolicy,
        check_authorization_policy,
        may_be_empty=True,
    ),
    Kind(
        "PeerAuthentication",
        SECURITY,
        _SECURITY_VERSIONS,
        PeerAuthentication,
        check_peer_authentication,
        may_be_empty=True,
    ),
)

_GATEWAY_API: tuple[Kind[Any], ...] = (
    Kind("GatewayClass", GATEWAY_API, ("v1beta1", "v1"), GatewayClass, check_gateway_class, cluster_wide=True),
    Kind("Gateway", GATEWAY_API, ("v1beta1", "v1"), GatewayOfApi, check_gateway_of_api),
    Kind("HTTPRoute", GATEWAY_API, ("v1beta1", "v1"), HTTPRoute, check_http_route),
    Kind("GRPCRoute", GATEWAY_API, ("v1",), GRPCRoute, check_grpc_route),
    Kind("TLSRoute", GATEWAY_API, ("v1alpha2", "v1alpha3", "v1"), TLSRoute, check_tls_route),
    Kind("ReferenceGrant", GATEWAY_API, ("v1alpha2", "v1beta1", "v1"), ReferenceGrant, check_reference_grant),
)


def _nothing(_: object) -> Iterable[Finding]:
    """The check of a kind that others judge: `mixer.rules` knows adapters and templates."""
    return ()


_MIXER: tuple[Kind[Any], ...] = (
    Kind("attributemanifest", MIXER, _MIXER_VERSIONS, AttributeManifest, check_attribute_manifest),
    Kind("handler", MIXER, _MIXER_VERSIONS, Handler, check_handler),
    Kind("instance", MIXER, _MIXER_VERSIONS, Instance, check_instance),
    Kind("rule", MIXER, _MIXER_VERSIONS, Rule, check_rule),
    Kind("adapter", MIXER, _MIXER_VERSIONS, AdapterInfo, _nothing),
    Kind("template", MIXER, _MIXER_VERSIONS, TemplateDescriptor, _nothing),
    Kind("QuotaSpec", MIXER, _MIXER_VERSIONS, QuotaSpec, check_quota_spec),
    Kind("QuotaSpecBinding", MIXER, _MIXER_VERSIONS, QuotaSpecBinding, check_quota_spec_binding),
    Kind("HTTPAPISpec", MIXER, _MIXER_VERSIONS, HTTPAPISpec, check_http_api_spec),
    Kind("HTTPAPISpecBinding", MIXER, _MIXER_VERSIONS, HTTPAPISpecBinding, check_http_api_spec_binding),
)

KINDS: tuple[Kind[Any], ...] = (
    *_TRAFFIC,
    *_MESH,
    *_SECURITY,
    *_GATEWAY_API,
    *_MIXER,
    *(Kind(name, MIXER, _MIXER_VERSIONS, Struct, _nothing, may_be_empty=True) for name in (*ADAPTERS, *TEMPLATES)),
)

_BY_NAME = {name: tuple(kind for kind in KINDS if kind.name == name) for name in {kind.name for kind in KINDS}}


def find_kind(api_version: object, name: object) -> Kind[Any] | Finding:
    """The kind a document names, or what is wrong with the name, listing the known ones."""
    named = _BY_NAME.get(name, ()) if isinstance(name, str) else ()
    if not named:
        known = ", ".join(sorted(_BY_NAME))
        return Finding(("kind",), _unknown("kind", name), f"known kinds are {known}")
    found = next((kind for kind in named if api_version in kind.api_versions), None)
    if found is None:
        known = ", ".join(version for kind in named for version in kind.api_versions)
        return Finding(("apiVersion",), _unknown("apiVersion", api_version), f"{name} is known in {known}")
    return found


def _unknown(what: str, value: object) -> str:
    return "is missing" if value is None else f"{value!r} is not a known {what}"
