"""The contract of a configuration kind, and the registry of those we read.

A kind is a spec class (its annotations say how it is decoded) and a check of what annotations cannot say. Adding one is
a class in `galley.kinds`, a check in `galley.checks`, a line in KINDS and a field of `galley.config.Config`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import attrs

from galley.checks.destination_rule import check_destination_rule
from galley.checks.gateway import check_gateway
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
from galley.checks.proxy_config import check_proxy_config
from galley.checks.service_entry import check_service_entry
from galley.checks.sidecar import check_sidecar
from galley.checks.virtual_service import check_virtual_service
from galley.checks.workload_entry import check_workload_entry, check_workload_group
from galley.finding import Finding
from galley.kinds.destination_rule import DestinationRule
from galley.kinds.gateway import Gateway
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
from galley.kinds.proxy_config import ProxyConfig
from galley.kinds.service_entry import ServiceEntry
from galley.kinds.sidecar import Sidecar
from galley.kinds.virtual_service import VirtualService
from galley.kinds.workload_entry import WorkloadEntry
from galley.kinds.workload_group import WorkloadGroup
from galley.schema import Struct

T = TypeVar("T")

NETWORKING = "networking.istio.io"
MIXER = "config.istio.io"


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

    @property
    def api_versions(self) -> tuple[str, ...]:
        """`group/version`, oldest first."""
        return tuple(f"{self.group}/{version}" for version in self.versions)


_TRAFFIC_VERSIONS = ("v1alpha3", "v1beta1", "v1")
_MIXER_VERSIONS = ("v1alpha2",)

_TRAFFIC: tuple[Kind[Any], ...] = (
    Kind("DestinationRule", NETWORKING, _TRAFFIC_VERSIONS, DestinationRule, check_destination_rule),
    Kind("Gateway", NETWORKING, _TRAFFIC_VERSIONS, Gateway, check_gateway),
    Kind("ProxyConfig", NETWORKING, ("v1beta1",), ProxyConfig, check_proxy_config),
    Kind("ServiceEntry", NETWORKING, _TRAFFIC_VERSIONS, ServiceEntry, check_service_entry),
    Kind("Sidecar", NETWORKING, _TRAFFIC_VERSIONS, Sidecar, check_sidecar),
    Kind("VirtualService", NETWORKING, _TRAFFIC_VERSIONS, VirtualService, check_virtual_service),
    Kind("WorkloadEntry", NETWORKING, _TRAFFIC_VERSIONS, WorkloadEntry, check_workload_entry),
    Kind("WorkloadGroup", NETWORKING, _TRAFFIC_VERSIONS, WorkloadGroup, check_workload_group),
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
    *_MIXER,
    *(Kind(name, MIXER, _MIXER_VERSIONS, Struct, _nothing, may_be_empty=True) for name in (*ADAPTERS, *TEMPLATES)),
)

_BY_NAME = {kind.name: kind for kind in KINDS}


def find_kind(api_version: object, name: object) -> Kind[Any] | Finding:
    """The kind a document names, or what is wrong with the name, listing the known ones."""
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        known = ", ".join(sorted(_BY_NAME))
        return Finding(("kind",), _unknown("kind", name), f"known kinds are {known}")
    if api_version not in kind.api_versions:
        known = ", ".join(kind.api_versions)
        return Finding(("apiVersion",), _unknown("apiVersion", api_version), f"{kind.name} is known in {known}")
    return kind


def _unknown(what: str, value: object) -> str:
    return "is missing" if value is None else f"{value!r} is not a known {what}"
