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
    assert found.mend == "known kinds are " + ", ".join(sorted(kind.name for kind in KINDS))


def test_an_unknown_version_lists_the_known() -> None:
    found = find_kind("networking.istio.io/v2", "VirtualService")
    assert isinstance(found, Finding)
    assert found.text == "apiVersion 'networking.istio.io/v2' is not a known apiVersion"
    assert found.mend.endswith("networking.istio.io/v1alpha3, networking.istio.io/v1beta1, networking.istio.io/v1")


@pytest.mark.parametrize("kind", [None, 3, ["VirtualService"]])
def test_a_kind_of_any_type_is_survived(kind: object) -> None:
    assert isinstance(find_kind(None, kind), Finding)
