"""From options to platforms and sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.consul.options import ConsulOptions
from adapters.consul.watch import ConsulPlatform
from adapters.settings import PlatformSettings
from adapters.static.options import StaticOptions
from adapters.static.watch import StaticPlatform
from galley.ingest.files import FilesSource
from galley.ingest.kubernetes import KubernetesSource
from mesh_adapter.assembly import Options, PlatformSpec, SetupError, assembled, platforms, sources
from pilot.model.service import NetworkGateway

FILE = {"static": {"file": "services.yaml"}}


def specs(**options: object) -> dict[str, PlatformSpec]:
    return {spec.name: spec for spec in assembled(Options(**options)).specs}  # type: ignore[arg-type]


def test_platforms_in_the_order_that_was_asked_for() -> None:
    found = platforms(assembled(Options(platforms=("static", "consul"), kinds=FILE)).specs)
    assert [(name, type(each.platform)) for name, each in found.items()] == [
        ("static", StaticPlatform),
        ("consul", ConsulPlatform),
    ]


def test_a_static_file_alone_means_the_platform_static() -> None:
    assert list(specs(kinds=FILE)) == ["static"]
    assert list(specs(kinds=FILE, platforms=("consul",))) == ["consul"]


def test_several_of_a_kind_each_with_options_of_its_own() -> None:
    found = specs(
        platforms=("consul=east", "consul=west"),
        platform_options=("west.addr=10.0.0.2:8500", "west.token-file=/west", "west.datacenters=a,b"),
        kinds={"consul": {"addr": "10.0.0.1:8500", "wait": 30.0}},
    )
    assert [spec.options for spec in found.values()] == [
        ConsulOptions(addr="10.0.0.1:8500", wait=30.0),
        ConsulOptions(addr="10.0.0.2:8500", wait=30.0, token_file="/west", datacenters=("a", "b")),
    ]
    assert [getattr(each.platform, "name", "") for each in platforms(tuple(found.values())).values()] == [
        "east",
        "west",
    ]


def test_one_file_for_all_behind_what_the_command_line_names(tmp_path: Path) -> None:
    file = tmp_path / "platforms.yaml"
    file.write_text(
        "platforms:\n"
        "- {name: east, kind: consul, addr: 10.0.0.1, emptyHold: 0, datacenters: [a, b]}\n"
        "- {name: static, file: more.yaml}\n"
    )
    found = specs(platforms=("static=near",), kinds=FILE, platforms_file=str(file))
    assert {name: spec.options for name, spec in found.items()} == {
        "near": StaticOptions(file="services.yaml"),
        "east": ConsulOptions(addr="10.0.0.1", empty_hold=0.0, datacenters=("a", "b")),
        "static": StaticOptions(file="more.yaml"),
    }
    file.write_text("platforms: []")
    assert specs(platforms_file=str(file)) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"no platform: give --platform NAME \(static, consul.*\), --static-file FILE or --platforms-file FILE"),
        ({"platforms": ("etcd",)}, r"--platform etcd: unknown kind of platform 'etcd': known are consul.*static"),
        ({"platforms": ("static",)}, r"--platform static: file is missing.*--static-file"),
        ({"platforms": ("consul", "consul")}, r"--platform consul is given twice"),
        ({"platforms": ("consul=a", "static=a"), "kinds": FILE}, r"--platform a is given twice"),
        ({"platforms": ("consul=a/b",)}, r"'a/b' is no name"),
        ({"platforms": ("consul",), "kinds": {"consul": {"addr": "ftp://x"}}}, r"--platform consul: .*ftp"),
        ({"platforms": ("consul",), "kinds": {"consul": {"empty_hold": -1.0}}}, r"--platform consul: .*-1"),
        ({"platforms": ("consul",), "platform_options": ("consul.adr=x",)}, r"unknown option 'adr': known are addr"),
        ({"platforms": ("consul",), "platform_options": ("east.addr=x",)}, r"east.…: no --platform has that name"),
        ({"platforms": ("consul",), "platform_options": ("addr=x",)}, r"'addr=x' is not NAME.OPTION=VALUE"),
        ({"platforms": ("consul",), "platform_options": ("consul.wait=x",)}, r"wait is 'x': write a number"),
        ({"platforms_file": "/none.yaml"}, r"--platforms-file /none.yaml: No such file"),
    ],
)
def test_what_cannot_be_is_said_with_the_option(options: dict[str, object], message: str) -> None:
    with pytest.raises(SetupError, match=message):
        platforms(tuple(specs(**options).values()))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name: east, kind: none}", r"platforms.yaml:2:3: platform east: unknown kind of platform 'none'"),
        (
            "{name: consul, addr: x, wait: soon}",
            r"platforms.yaml:2:33: platform consul: wait is 'soon': write a number",
        ),
        ("{name: consul, adr: x}", r"platforms.yaml:2:23: platform consul: unknown option 'adr'"),
        ("{name: consul, warning: maybe}", r"platforms.yaml:2:27: .*write include or exclude"),
        ("{name: static}", r"platforms.yaml:2:3: platform static: file is missing"),
        ("{name: consul, addr: 'ftp://x'}", r"platforms.yaml:2:3: not an address of Consul"),
        ("{kind: consul}", r"platforms.yaml:2:3: platforms\[0\].name is missing"),
    ],
)
def test_a_fault_in_the_file_has_coordinates(tmp_path: Path, entry: str, message: str) -> None:
    file = tmp_path / "platforms.yaml"
    file.write_text(f"platforms:\n- {entry}\n")
    with pytest.raises(SetupError, match=message):
        platforms(tuple(specs(platforms_file=str(file)).values()))


def test_what_every_kind_has_is_said_beside_its_own_options(tmp_path: Path) -> None:
    file = tmp_path / "platforms.yaml"
    file.write_text(
        "platforms: [{name: static, file: s.yaml, network: west, priority: 1}]\n"
        "networks: {west: {gateways: [{address: 203.0.113.5, port: 8080, mode: http}]}}\n"
    )
    options = ("consul.priority=2", "consul.wait=30")
    found = assembled(Options(platforms=("consul",), platform_options=options, platforms_file=str(file)))
    arrangement = found.arrangement()
    assert arrangement.of("static") == PlatformSettings(network="west", priority=1)
    assert arrangement.of("consul") == PlatformSettings(priority=2)
    assert arrangement.gateways() == {"west": (NetworkGateway("203.0.113.5", 8080),)}
    with pytest.raises(SetupError, match="priority is 32: write 0 to 31"):
        assembled(Options(platforms=("consul",), platform_options=("consul.priority=32",)))


def test_sources_by_what_the_operator_called_them(tmp_path: Path) -> None:
    found = sources(["rules", str(tmp_path), "./odd/name:with-colon"], {})
    assert {name: type(each) for name, each in found.items()} == {
        "rules": FilesSource,
        str(tmp_path): FilesSource,
        "./odd/name:with-colon": FilesSource,
    }


@pytest.mark.parametrize("spec", ["consul:mesh/", "nacos:"])
def test_a_source_that_is_not_known(spec: str) -> None:
    with pytest.raises(SetupError, match=rf"--config {spec}: source '\w+' is not known: give a file, a directory"):
        sources([spec], {})


def test_a_cluster_is_a_source_reached_as_the_platform_is(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"--config kubernetes:shop: kubeconfig /none: "):
        sources(["kubernetes:shop"], {"kubernetes": {"kubeconfig": "/none"}})
    file = tmp_path / "kubeconfig"
    context = {"name": "a", "context": {"cluster": "c", "user": "u"}}
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    content = {"contexts": [context], "clusters": [cluster], "users": [{"name": "u", "user": {}}]}
    file.write_text(json.dumps(content | {"current-context": "a"}))
    found = sources(["kubernetes:", "kubernetes:shop,cart"], {"kubernetes": {"kubeconfig": str(file)}})
    assert [type(each) for each in found.values()] == [KubernetesSource, KubernetesSource]
