"""The static platform keeps the contract, as a directory of files and as a single file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.static.watch import StaticPlatform
from pilot.model.service import ServiceKey
from tests.contract.platform_suite import PlatformSuite


class FileWorld:
    """One file that holds all services."""

    forgets = False  # `services: []` in a file is an operator's word, not an accident

    def __init__(self, folder: Path) -> None:
        self.file = folder / "services.yaml"
        self._services: dict[str, dict[str, object]] = {}
        self._write()

    def platform(self) -> StaticPlatform:
        return StaticPlatform(str(self.file))

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.example")

    def appear(self, name: str, *addresses: str) -> None:
        endpoints = [{"address": address, "port": 8080} for address in addresses]
        ports = [{"name": "http", "port": 80, "protocol": "HTTP"}]
        self._services[name] = {"name": f"{name}.example", "ports": ports, "endpoints": endpoints}
        self._write()

    scale = appear

    def move(self, name: str, before: str, after: str) -> None:
        self._endpoint(name, before)["address"] = after
        self._write()

    def fail(self, name: str, address: str) -> None:
        self._endpoint(name, address)["healthy"] = False
        self._write()

    def recover(self, name: str, address: str) -> None:
        self._endpoint(name, address)["healthy"] = True
        self._write()

    def vanish(self, name: str) -> None:
        del self._services[name]
        self._write()

    def break_one_object(self, name: str) -> None:
        self._services[name]["port"] = "what is this"
        self._write()

    def mend_object(self, name: str) -> None:
        del self._services[name]["port"]
        self._write()

    def go_away(self) -> None:
        self.file.rename(self.file.with_suffix(".away"))

    def come_back(self) -> None:
        self.file.with_suffix(".away").rename(self.file)

    def forget(self) -> None:
        raise NotImplementedError

    def _endpoint(self, name: str, address: str) -> dict[str, object]:
        endpoints = self._services[name]["endpoints"]
        assert isinstance(endpoints, list)
        found: dict[str, object] = next(e for e in endpoints if e["address"] == address)
        return found

    def _write(self) -> None:
        swap = self.file.with_suffix(".new")
        swap.write_text(json.dumps({"services": list(self._services.values())}, indent=1))
        swap.rename(self.file)


class DirectoryWorld(FileWorld):
    """A file a service, in a directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "services"
        self.folder.mkdir()
        super().__init__(self.folder)

    def platform(self) -> StaticPlatform:
        return StaticPlatform(str(self.folder))

    def go_away(self) -> None:
        self.folder.rename(self.folder.with_suffix(".away"))

    def come_back(self) -> None:
        self.folder.with_suffix(".away").rename(self.folder)

    def _write(self) -> None:
        for name, service in self._services.items():
            (self.folder / f"{name}.yaml").write_text(json.dumps({"services": [service]}, indent=1))
        for file in self.folder.glob("*.yaml"):
            if file.stem not in self._services:
                file.unlink()


@pytest.fixture(params=[FileWorld, DirectoryWorld])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> FileWorld:
    made: FileWorld = request.param(tmp_path)
    return made


class TestStatic(PlatformSuite):
    pass
