"""From options to platforms and sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.consul.watch import ConsulPlatform
from adapters.static.watch import StaticPlatform
from galley.ingest.files import FilesSource
from mesh_adapter.assembly import ConsulOptions, Options, SetupError, platforms, sources


def test_platforms_in_the_order_that_was_asked_for() -> None:
    found = platforms(Options(platforms=("static", "consul"), static_file="services.yaml"))
    assert [(name, type(each)) for name, each in found.items()] == [
        ("static", StaticPlatform),
        ("consul", ConsulPlatform),
    ]


def test_a_static_file_alone_means_the_platform_static() -> None:
    assert list(platforms(Options(static_file="services.yaml"))) == ["static"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(), r"no platform: give --platform NAME \(static, consul\) or --static-file FILE"),
        (Options(platforms=("etcd",)), r"--platform etcd: unknown platform 'etcd': known are consul.*static"),
        (Options(platforms=("static",)), r"--platform static: .*--static-file"),
        (Options(platforms=("consul", "consul")), r"--platform consul is given twice"),
        (Options(platforms=("consul",), consul=ConsulOptions(addr="ftp://x")), r"--platform consul: .*ftp"),
        (Options(platforms=("consul",), consul=ConsulOptions(empty_hold=-1)), r"--platform consul: .*-1"),
    ],
)
def test_what_cannot_be_is_said_with_the_option(options: Options, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        platforms(options)


def test_sources_by_what_the_operator_called_them(tmp_path: Path) -> None:
    found = sources(["rules", str(tmp_path), "./odd/name:with-colon"])
    assert {name: type(each) for name, each in found.items()} == {
        "rules": FilesSource,
        str(tmp_path): FilesSource,
        "./odd/name:with-colon": FilesSource,
    }


@pytest.mark.parametrize("spec", ["consul:mesh/", "kubernetes:"])
def test_a_source_that_is_not_known(spec: str) -> None:
    with pytest.raises(SetupError, match=rf"--config {spec}: source '\w+' is not known: give a file or a directory"):
        sources([spec])
