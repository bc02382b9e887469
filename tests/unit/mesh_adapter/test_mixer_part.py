"""Whether Mixer runs here, where proxies find it, and what is said where they can't."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from mesh_adapter.assembly import SetupError
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.metrics import ControlPlaneCollector
from mesh_adapter.mixer_options import MixerOptions
from mesh_adapter.mixer_part import MixerPart
from mixer.service import MixerService
from pilot.model.catalog import Catalog
from tests.unit.mesh_adapter.told import NOW
from tests.unit.mixer.configuration import handler, instance, rule, sound

RULES = sound(rule("deny", "", "no", ("nothing",)), handler("no", "denier"), instance("nothing", "checknothing"))


@pytest.mark.parametrize("text", ["", "pilot,galley"])
def test_a_component_that_there_is_not_is_named(text: str) -> None:
    with pytest.raises(SetupError, match=r"--components .*there are pilot, mixer"):
        assert MixerOptions(text).mixer


@pytest.mark.parametrize(
    ("options", "xds", "found"),
    [
        (MixerOptions(), "127.0.0.1:15010", (("127.0.0.1", 9),)),
        (MixerOptions(address="10.0.0.1:9091"), "0.0.0.0:15010", (("10.0.0.1", 9),)),
        (MixerOptions(), "0.0.0.0:15010", ()),
        (MixerOptions(address="0.0.0.0:9091"), "0.0.0.0:15010", ()),
        (MixerOptions(told=("mixer:9091", "[::1]:1")), "0.0.0.0:15010", (("mixer", 9091), ("::1", 1))),
    ],
)
def test_proxies_are_told_an_address_that_they_reach(
    options: MixerOptions, xds: str, found: tuple[tuple[str, int], ...]
) -> None:
    assert options.servers(9, xds) == found


def test_an_address_that_is_none_is_told_with_its_option() -> None:
    with pytest.raises(SetupError, match="--mixer-server 'mixer' is not HOST:PORT"):
        MixerOptions(told=("mixer",)).servers(9, "127.0.0.1:15010")


def test_rules_that_no_proxy_can_ask_for_are_warned_of() -> None:
    part = MixerPart(for_proxies=True)
    assert part.publish(RULES, Catalog()) is None
    (problem,) = part.problems
    assert problem.warning
    assert "proxies are told of no Mixer" in problem.message
    told = MixerPart(addresses=(("10.0.0.1", 9091),), for_proxies=True)
    policy = told.publish(RULES, Catalog())
    assert policy is not None
    assert policy.needs({}).check
    assert told.problems == ()


def test_the_policy_is_the_same_as_long_as_the_rules_are() -> None:
    part = MixerPart(addresses=(("10.0.0.1", 9091),))
    assert part.publish(RULES, Catalog()) is part.publish(RULES, Catalog())


async def test_figures_of_a_mixer_that_runs_here() -> None:
    service = MixerService()
    part = MixerPart(service)
    part.publish(RULES, Catalog())
    registry = CollectorRegistry()
    ControlPlaneCollector(ControlPlane({}, {}, clock=lambda: NOW, mixer=part), registry)
    assert registry.get_sample_value("mesh_adapter_mixer_rules") == 1
    path = {"path": "/istio.mixer.v1.Mixer/Check"}
    assert registry.get_sample_value("mesh_adapter_mixer_calls_total", path) == 0
    assert registry.get_sample_value("mesh_adapter_mixer_circuit_open", {"handler": "no.istio-system"}) == 0
    await service.close()
