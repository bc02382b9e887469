"""Which EnvoyFilters are for a proxy, and in what order."""

from __future__ import annotations

from typing import Any

import pytest

from galley.config import ConfigObject
from galley.kinds.envoy_filter import (
    ApplyTo,
    EnvoyConfigObjectMatch,
    EnvoyConfigObjectPatch,
    EnvoyFilter,
    Operation,
    Patch,
    PatchContext,
    ProxyMatch,
)
from galley.kinds.selector import TargetReference
from galley.kinds.service_entry import LabelSelector
from pilot.model.agent import Agent
from pilot.model.proxy import OutboundView, ProxyView, parse_proxy
from pilot.plan.index import Index
from pilot.plan.patches import picked
from pilot.plan.proxy import reduce_view
from tests.unit.pilot.plan.world import snapshot

WEB = (("app", "web"),)


def envoy_filter(
    name: str = "a", namespace: str = "default", match: EnvoyConfigObjectMatch | None = None, **spec: Any
) -> ConfigObject[EnvoyFilter]:
    patch = EnvoyConfigObjectPatch(ApplyTo.CLUSTER, match, Patch(Operation.REMOVE))
    return ConfigObject("EnvoyFilter", namespace, name, EnvoyFilter(config_patches=(patch,), **spec))


def sources(view: ProxyView, *objects: ConfigObject[EnvoyFilter]) -> list[str]:
    found = picked(Index.of(snapshot(*objects)), view)
    return [each.source.removeprefix("EnvoyFilter ") for each in found]


def test_root_namespace_first_then_names_and_priority_over_both() -> None:
    objects = (
        envoy_filter("late", priority=1),
        envoy_filter("b"),
        envoy_filter("a"),
        envoy_filter("z", "istio-system"),
        envoy_filter("last", "istio-system", priority=2),
        envoy_filter("early", priority=-1),
        envoy_filter("c", "other"),
    )
    wanted = ["default/early", "istio-system/z", "default/a", "default/b", "default/late", "istio-system/last"]
    assert sources(ProxyView(), *objects) == wanted


def test_the_root_namespace_counts_once_for_its_own_proxies() -> None:
    assert sources(ProxyView(OutboundView("istio-system")), envoy_filter("a", "istio-system")) == ["istio-system/a"]


@pytest.mark.parametrize("spec", [{"workload_selector": LabelSelector(WEB)}, {"workload_labels": WEB}])
def test_labels_select(spec: dict[str, Any]) -> None:
    assert sources(ProxyView(OutboundView(labels=(("a", "b"), *WEB))), envoy_filter(**spec)) == ["default/a"]
    assert sources(ProxyView(), envoy_filter(**spec)) == []


@pytest.mark.parametrize(
    ("group", "own"), [("networking.istio.io", "default/edge"), ("gateway.networking.k8s.io", "default/edge~http")]
)
def test_a_reference_is_for_the_routers_of_that_gateway(group: str, own: str) -> None:
    each = envoy_filter(target_refs=(TargetReference(group, "Gateway", "edge"),))
    assert sources(ProxyView(router=True, gateways=(own,)), each) == ["default/a"]
    for other in ("other/edge", "other/edge~http", "default/edges~http"):
        assert sources(ProxyView(router=True, gateways=(other,)), each) == []
    assert sources(ProxyView(), each) == []


@pytest.mark.parametrize(
    ("context", "sidecar", "router"),
    [
        (PatchContext.ANY, True, True),
        (PatchContext.SIDECAR_INBOUND, True, False),
        (PatchContext.SIDECAR_OUTBOUND, True, False),
        (PatchContext.GATEWAY, False, True),
    ],
)
def test_contexts_are_for_one_sort_of_proxy(context: PatchContext, sidecar: bool, router: bool) -> None:
    each = envoy_filter(match=EnvoyConfigObjectMatch(context))
    assert bool(sources(ProxyView(), each)) is sidecar
    assert bool(sources(ProxyView(router=True), each)) is router


def test_a_grpc_client_is_not_patched() -> None:
    assert sources(ProxyView(proxyless=True), envoy_filter()) == []


@pytest.mark.parametrize(
    ("proxy", "taken"),
    [
        (ProxyMatch(r"^1\.40"), True),
        (ProxyMatch("40"), True),
        (ProxyMatch(r"^1\.39"), False),
        (ProxyMatch(metadata=(("TEAM", "web"),)), True),
        (ProxyMatch(metadata=(("TEAM", "shop"),)), False),
        (ProxyMatch(metadata=(("OTHER", "web"),)), False),
        (ProxyMatch(r"^1\.40", (("TEAM", "shop"),)), False),
    ],
)
def test_version_and_metadata_of_the_node_count(proxy: ProxyMatch, taken: bool) -> None:
    view = parse_proxy("a", {"TEAM": "web", "NAME": "a"}, agent=Agent("envoy", "1.40.0")).view
    assert bool(sources(view, envoy_filter(match=EnvoyConfigObjectMatch(proxy=proxy)))) is taken


def test_istios_version_counts_before_envoys_and_none_matches_none() -> None:
    each = envoy_filter(match=EnvoyConfigObjectMatch(proxy=ProxyMatch(r"^1\.24")))
    told = parse_proxy("a", {"ISTIO_VERSION": "1.24.1"}, agent=Agent("envoy", "1.40.0")).view
    assert sources(told, each) == ["default/a"]
    assert sources(parse_proxy("a", {}).view, each) == []


def test_views_differ_by_their_patches_and_not_by_what_chose_them() -> None:
    index = Index.of(snapshot(envoy_filter(match=EnvoyConfigObjectMatch(proxy=ProxyMatch(r"^1\.40")))))
    views = {
        version: reduce_view(index, parse_proxy("a", {"X": version}, agent=Agent("envoy", version)).view)
        for version in ("1.39.0", "1.39.1", "1.40.0")
    }
    assert views["1.39.0"] == views["1.39.1"] == ProxyView()
    assert views["1.40.0"].patches
