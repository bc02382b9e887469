"""Decides which patches of EnvoyFilters are for a proxy, and in what order. Pure.

Istio's rules: objects of the root namespace hold everywhere and go first, then those of the proxy's own namespace; a
higher priority goes later, whatever the namespace; what is equal goes by name. An object without a selector is for
every proxy, one that refers to Gateways for their routers; a patch may ask for a version and metadata besides.
"""

from __future__ import annotations

import re2

from galley.config import ConfigObject
from galley.envoy_patches import Placed, patches_of
from galley.finding import path_text
from galley.kinds.envoy_filter import EnvoyFilter, PatchContext
from pilot.model.patch import Patch
from pilot.model.proxy import ProxyView
from pilot.model.service import has_labels
from pilot.plan.index import Index
from pilot.plan.targets import is_for

_OF_SIDECARS = (PatchContext.ANY, PatchContext.SIDECAR_INBOUND, PatchContext.SIDECAR_OUTBOUND)
_OF_ROUTERS = (PatchContext.ANY, PatchContext.GATEWAY)


def picked(index: Index, view: ProxyView) -> tuple[Patch, ...]:
    """For a view whose `gateways` are known and whose labels are all there; none for a gRPC client, as in Istio."""
    if not index.envoy_filters or view.proxyless:
        return ()
    namespaces = dict.fromkeys((index.peers.root_namespace, view.outbound.namespace))
    objects = [each for name in namespaces for each in index.envoy_filters.get(name, ()) if _selects(each, view)]
    objects.sort(key=lambda each: each.spec.priority)
    return tuple(
        Patch(str(each), path_text(placed.path), placed.patch)
        for each in objects
        for placed in patches_of(each.spec)
        if _takes(placed, view)
    )


def _selects(each: ConfigObject[EnvoyFilter], view: ProxyView) -> bool:
    spec = each.spec
    if spec.target_refs:
        return any(is_for(reference, each.namespace, view.gateways) for reference in spec.target_refs)
    labels = spec.workload_selector.labels if spec.workload_selector else spec.workload_labels
    return has_labels(view.outbound.labels, labels)


def _takes(placed: Placed, view: ProxyView) -> bool:
    match = placed.patch.match
    if match is None:
        return True
    if match.context not in (_OF_ROUTERS if view.router else _OF_SIDECARS):
        return False
    proxy = match.proxy
    if proxy is None:
        return True
    if proxy.proxy_version and not (view.version and re2.search(proxy.proxy_version, view.version)):
        return False
    return has_labels((*view.metadata, ("NAMESPACE", view.outbound.namespace)), proxy.metadata)
