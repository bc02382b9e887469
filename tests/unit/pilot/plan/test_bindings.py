"""Which gateways rules and matches are for."""

from __future__ import annotations

import pytest

from pilot.plan.bindings import MESH, applies_to, full_name, match_applies_to
from tests.unit.pilot.plan.world import virtual_service


@pytest.mark.parametrize(
    ("gateways", "for_mesh", "for_edge"),
    [
        ((), True, False),
        (("mesh",), True, False),
        (("edge",), False, True),
        (("infra/edge",), False, True),
        (("./edge",), False, True),
        (("other/edge",), False, False),
        (("edge.infra.svc.cluster.local",), False, True),
        (("edge", "mesh"), True, True),
    ],
)
def test_a_rule_is_for_the_mesh_unless_it_names_gateways(
    gateways: tuple[str, ...], for_mesh: bool, for_edge: bool
) -> None:
    rule = virtual_service("web.example", namespace="infra", gateways=gateways)
    assert (applies_to(rule, MESH), applies_to(rule, "infra/edge")) == (for_mesh, for_edge)


def test_a_match_that_names_no_gateway_is_for_all_of_the_rules() -> None:
    assert match_applies_to((), "infra", "infra/edge")
    assert match_applies_to(("edge",), "infra", "infra/edge")
    assert not match_applies_to(("mesh",), "infra", "infra/edge")


def test_the_mesh_has_no_namespace() -> None:
    assert full_name("mesh", "infra") == MESH
