"""The Nomad platform keeps the contract, against an in-process server of Nomad's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.nomad.options import NomadOptions
from adapters.nomad.watch import NomadPlatform
from pilot.model.service import ServiceKey
from tests.contract.nomad_server import NomadServer
from tests.contract.platform_suite import PlatformSuite


class NomadWorld:
    """Jobs that are called as their service; an allocation is called as its service and address."""

    forgets = True

    def __init__(self, server: NomadServer) -> None:
        self.server = server
        self._allocs: dict[str, dict[str, str]] = {}

    def platform(self) -> NomadPlatform:
        return NomadPlatform(NomadOptions(addr=self.server.url, check_interval=0.1))

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.default.service.nomad")

    def appear(self, name: str, *addresses: str) -> None:
        for address in addresses:
            self.server.register(name, f"{name}-{address}", address)
            self._allocs.setdefault(name, {})[address] = f"{name}-{address}"

    def scale(self, name: str, *addresses: str) -> None:
        there = self._allocs[name]
        for address in set(there) - set(addresses):
            self.server.deregister(name, there.pop(address))
        self.appear(name, *(address for address in addresses if address not in there))

    def move(self, name: str, before: str, after: str) -> None:
        """Nomad has the new allocation run before it ends the old one."""
        self.appear(name, after)
        self.server.deregister(name, self._allocs[name].pop(before))

    def fail(self, name: str, address: str) -> None:
        self.server.check(self._allocs[name][address], "failure")

    def recover(self, name: str, address: str) -> None:
        self.server.check(self._allocs[name][address], "success")

    def vanish(self, name: str) -> None:
        for alloc in self._allocs.pop(name).values():
            self.server.deregister(name, alloc)

    def break_one_object(self, name: str) -> None:
        address, alloc = next(iter(self._allocs[name].items()))
        self.server.register(name, alloc, address, port=0)

    def mend_object(self, name: str) -> None:
        address, alloc = next(iter(self._allocs[name].items()))
        self.server.register(name, alloc, address)

    def go_away(self) -> None:
        self.server.stop()

    def come_back(self) -> None:
        self.server.start()

    def forget(self) -> None:
        self.server.forget()


@pytest.fixture
def world() -> Iterator[NomadWorld]:
    server = NomadServer()
    server.start()
    yield NomadWorld(server)
    server.stop()


class TestNomad(PlatformSuite):
    pass
