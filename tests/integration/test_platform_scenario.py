"""The same story on every platform, each with its real server. Another platform: a `Place`, and a test like these."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.places import ConsulPlace, KubernetesPlace, NomadPlace, StaticPlace
from tests.integration.platform_scenario import tell

pytestmark = pytest.mark.integration


def test_static(tmp_path: Path) -> None:
    tell(StaticPlace(tmp_path))


def test_consul(tmp_path: Path) -> None:
    place = ConsulPlace(tmp_path)
    with place.consul:
        tell(place)


def test_nomad(tmp_path: Path) -> None:
    place = NomadPlace(tmp_path)
    with place.nomad:
        tell(place)


def test_kubernetes(tmp_path: Path) -> None:
    place = KubernetesPlace(tmp_path)
    with place.server:
        tell(place)
