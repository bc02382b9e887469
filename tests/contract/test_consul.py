"""The Consul platform keeps the contract, against an in-process server of Consul's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.consul.options import ConsulOptions
from adapters.consul.watch import ConsulPlatform
from pilot.model.service import ServiceKey
from tests.contract.consul_server import ConsulServer
from tests.contract.platform_suite import PlatformSuite


class ConsulWorld:
    """Instances of one agent; an instance's ID is its service and address."""

    forgets = True

    def __init__(self, server: ConsulServer) -> None:
        self.server = server
        self._addresses: dict[str, list[str]] = {}

    def platform(self) -> ConsulPlatform:
        return ConsulPlatform(ConsulOptions(addr=self.server.url))

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.service.consul")

    def appear(self, name: str, *addresses: str) -> None:
        for address in addresses:
            self.server.register(name, f"{name}-{address}", address)
        self._addresses[name] = list(addresses)

    def scale(self, name: str, *addresses: str) -> None:
        for address in set(self._addresses[name]) - set(addresses):
            self.server.deregister(f"{name}-{address}")
        self.appear(name, *(address for address in addresses if address not in self._addresses[name]))
        self._addresses[name] = list(addresses)

    def move(self, name: str, before: str, after: str) -> None:
        self.server.register(name, f"{name}-{before}", after)

    def fail(self, name: str, address: str) -> None:
        self.server.check(f"{name}-{address}", "critical")

    def recover(self, name: str, address: str) -> None:
        self.server.check(f"{name}-{address}", "passing")

    def vanish(self, name: str) -> None:
        for address in self._addresses.pop(name):
            self.server.deregister(f"{name}-{address}")

    def break_one_object(self, name: str) -> None:
        address = self._addresses[name][0]
        self.server.register(name, f"{name}-{address}", address, meta={"mesh-port": "eighty"})

    def mend_object(self, name: str) -> None:
        address = self._addresses[name][0]
        self.server.register(name, f"{name}-{address}", address)

    def go_away(self) -> None:
        self.server.stop()

    def come_back(self) -> None:
        self.server.start()

    def forget(self) -> None:
        self.server.forget()


@pytest.fixture
def world() -> Iterator[ConsulWorld]:
    server = ConsulServer()
    server.start()
    yield ConsulWorld(server)
    server.stop()


class TestConsul(PlatformSuite):
    pass
