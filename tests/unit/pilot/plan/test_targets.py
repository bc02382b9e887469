from __future__ import annotations

from typing import Any

import pytest

from galley.config import ConfigObject
from galley.kinds.authorization_policy import Action, AuthorizationPolicy, Rule
from galley.kinds.mesh_config import MeshConfig
from galley.kinds.selector import TargetReference, WorkloadSelector
from pilot.model.proxy import OutboundView, ProxyView
from pilot.plan.proxy import reduce_view
from pilot.plan.targets import aims_at
from pilot.verdict import Request, verdict
from tests.unit.pilot.plan.world import index

API = "gateway.networking.k8s.io"
ISTIO = "networking.istio.io"
GATEWAYS = ("shop/edge~web", "shop/old")


def policy(name: str, namespace: str = "shop", **spec: Any) -> ConfigObject[AuthorizationPolicy]:
    said = AuthorizationPolicy(action=Action.DENY, rules=(Rule(),), **spec)
    return ConfigObject("AuthorizationPolicy", namespace, name, said)


@pytest.mark.parametrize(
    ("group", "name", "namespace", "found"),
    [
        (API, "edge", "shop", True),
        (API, "edge", "other", False),
        (API, "edg", "shop", False),
        (API, "old", "shop", False),
        (ISTIO, "old", "shop", True),
        (ISTIO, "edge", "shop", False),
    ],
)
def test_a_reference_means_the_routers_of_that_gateway(group: str, name: str, namespace: str, found: bool) -> None:
    targets = (TargetReference(group, "Gateway", name),)
    assert aims_at(None, targets, namespace, (), GATEWAYS) is found


def test_a_selector_means_labels_and_nothing_means_all() -> None:
    assert aims_at(None, (), "shop", (), ())
    assert aims_at(WorkloadSelector((("app", "web"),)), (), "shop", (("app", "web"),), ())
    assert not aims_at(WorkloadSelector((("app", "web"),)), (), "shop", (), ())


def test_of_several_references_one_is_enough() -> None:
    targets = (TargetReference(API, "Gateway", "none"), TargetReference(API, "Gateway", "edge"))
    assert aims_at(None, targets, "shop", (), GATEWAYS)


def test_a_policy_with_a_reference_is_not_for_sidecars() -> None:
    world = index(policy("edge", target_ref=TargetReference(API, "Gateway", "edge")), policy("all"))
    assert world.policies.names("shop", ()) == ("shop/all",)
    assert world.policies.names("shop", (), GATEWAYS) == ("shop/all", "shop/edge")


def test_the_root_namespace_is_the_one_that_the_mesh_says() -> None:
    mesh = ConfigObject("MeshConfig", "", "default", MeshConfig(root_namespace="config"))
    world = index(policy("theirs", "istio-system"), policy("ours", "config"), mesh)
    view = ProxyView(OutboundView(namespace="shop"), router=True)
    assert reduce_view(world, view).security.authorization == ("config/ours",)


def test_the_explainer_reads_references_and_the_root_namespace_alike() -> None:
    referring = policy("edge", target_refs=(TargetReference(API, "Gateway", "edge"),))
    assert verdict([referring], Request(), "shop", {}).allowed
    assert not verdict([referring], Request(), "shop", {}, gateway="edge").allowed
    assert verdict([referring], Request(), "shop", {}, gateway="other").allowed
    assert verdict([policy("p", "istio-system")], Request(), "shop", {}, root_namespace="config").allowed
    assert not verdict([policy("p", "config")], Request(), "shop", {}, root_namespace="config").allowed
