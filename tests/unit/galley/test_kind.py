"""The registry of kinds."""

from __future__ import annotations

import pytest

from galley.finding import Finding
from galley.kind import KINDS, Kind, find_kind


@pytest.mark.parametrize("version", ["v1alpha3", "v1beta1", "v1"])
@pytest.mark.parametrize("name", ["VirtualService", "DestinationRule"])
def test_a_known_kind_is_found_in_each_version(name: str, version: str) -> None:
    found = find_kind(f"networking.istio.io/{version}", name)
    assert isinstance(found, Kind)
    assert found.name == name


def test_an_unknown_kind_lists_the_known() -> None:
    found = find_kind("networking.istio.io/v1", "VirtualServce")
    assert isinstance(found, Finding)
    assert found.text == "kind 'VirtualServce' is not a known kind"
    assert found.mend == "known kinds are " + ", ".join(sorted({kind.name for kind in KINDS}))


def test_an_unknown_version_lists_the_known() -> None:
    found = find_kind("networking.istio.io/v2", "VirtualService")
    assert isinstance(found, Finding)
    assert found.text == "apiVersion 'networking.istio.io/v2' is not a known apiVersion"
    assert found.mend.endswith("networking.istio.io/v1alpha3, networking.istio.io/v1beta1, networking.istio.io/v1")


@pytest.mark.parametrize("kind", [None, 3, ["VirtualService"]])
def test_a_kind_of_any_type_is_survived(kind: object) -> None:
    assert isinstance(find_kind(None, kind), Finding)


def test_a_name_that_two_groups_have_is_told_apart_by_the_version() -> None:
    istio, api = find_kind("networking.istio.io/v1", "Gateway"), find_kind("gateway.networking.k8s.io/v1", "Gateway")
    assert isinstance(istio, Kind)
    assert isinstance(api, Kind)
    assert (istio.title, api.title) == ("Gateway", "gateway.networking.k8s.io/Gateway")
    unknown = find_kind("gateway.networking.k8s.io/v2", "Gateway")
    assert isinstance(unknown, Finding)
    assert "networking.istio.io/v1, gateway.networking.k8s.io/v1beta1" in unknown.mend


def test_titles_are_unique() -> None:
    assert len({kind.title for kind in KINDS}) == len(KINDS)
