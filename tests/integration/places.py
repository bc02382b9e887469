"""The places of the scenario that all platforms tell: files, a real Consul, a real Nomad, a real Kubernetes API."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.consul.options import ConsulOptions
from adapters.kubernetes.options import KubernetesOptions
from adapters.nomad.options import NomadOptions
from adapters.platform import Platform
from adapters.static.watch import StaticPlatform
from pilot.model.service import Endpoint, ServiceKey
from tests.contract.kubernetes_objects import endpoint, endpoint_slice, pod, service
from tests.servers.consul import Consul
from tests.servers.http import RefusedError
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.kube_objects import apply, delete
from tests.servers.nomad import Nomad
from tests.servers.nomad_job import http_job


class StaticPlace:
    """One file. Its server is the folder: it goes away as a whole, and comes back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "services"
        self._folder.mkdir()
        self._services: dict[str, list[dict[str, Any]]] = {}
        self._addresses = 0
        self._write()

    def platform(self) -> Platform:
        return StaticPlatform(str(self._folder))

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.example")

    def appear(self, name: str, count: int) -> None:
        self._services[name] = []
        self.scale(name, count)

    def scale(self, name: str, count: int) -> None:
        there = self._services[name]
        self._services[name] = there[:count] + [self._endpoint() for _ in range(count - len(there))]
        self._write()

    def move(self, name: str, endpoint: Endpoint) -> None:
        self._at(name, endpoint).update(self._endpoint())
        self._write()

    def fail(self, name: str, endpoint: Endpoint) -> None:
        self._at(name, endpoint)["healthy"] = False
        self._write()

    def recover(self, name: str, endpoint: Endpoint) -> None:
        self._at(name, endpoint)["healthy"] = True
        self._write()

    def vanish(self, name: str) -> None:
        del self._services[name]
        self._write()

    def restart(self) -> None:
        self._folder.rename(self._folder.with_suffix(".away"))

    def restarted(self) -> None:
        self._folder.with_suffix(".away").rename(self._folder)

    def _endpoint(self) -> dict[str, Any]:
        self._addresses += 1
        return {"address": f"10.0.0.{self._addresses}", "port": 8080}

    def _at(self, name: str, endpoint: Endpoint) -> dict[str, Any]:
        return next(each for each in self._services[name] if each["address"] == endpoint.address)

    def _write(self) -> None:
        ports = [{"name": "http", "port": 80, "protocol": "HTTP"}]
        services = [{"name": f"{n}.example", "ports": ports, "endpoints": e} for n, e in self._services.items()]
        swap = self._folder / "services.new"
        swap.write_text(json.dumps({"services": services}))
        swap.rename(self._folder / "services.yaml")


class ConsulPlace:
    """A Consul that keeps its data; instances are registered at its agent, with a check each."""

    def __init__(self, folder: Path) -> None:
        self.consul = Consul(folder / "consul", persistent=True)
        self._ids: dict[str, list[str]] = {}
        self._made = 0

    def platform(self) -> Platform:
        return ConsulOptions(addr=self.consul.http_addr).platform("consul")

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.service.consul")

    def appear(self, name: str, count: int) -> None:
        self._ids[name] = []
        self.scale(name, count)

    def scale(self, name: str, count: int) -> None:
        while len(self._ids[name]) < count:
            self._made += 1
            identity = f"{name}-{self._made}"
            check = {"CheckID": f"check-{identity}", "TTL": "10m", "Status": "passing"}
            body = {"ID": identity, "Name": name, "Address": f"10.0.0.{self._made}", "Port": 8080, "Check": check}
            self.consul.call("PUT", "/v1/agent/service/register", body)
            self._ids[name].append(identity)
        while len(self._ids[name]) > count:
            self._end(self._ids[name].pop())

    def move(self, name: str, endpoint: Endpoint) -> None:
        gone = endpoint.instance.rsplit("/", 1)[1]
        self.scale(name, len(self._ids[name]) + 1)
        self._ids[name].remove(gone)
        self._end(gone)

    def fail(self, name: str, endpoint: Endpoint) -> None:
        self.consul.call("PUT", f"/v1/agent/check/fail/check-{endpoint.instance.rsplit('/', 1)[1]}")

    def recover(self, name: str, endpoint: Endpoint) -> None:
        self.consul.call("PUT", f"/v1/agent/check/pass/check-{endpoint.instance.rsplit('/', 1)[1]}")

    def vanish(self, name: str) -> None:
        self.scale(name, 0)

    def restart(self) -> None:
        self.consul.kill()

    def restarted(self) -> None:
        """A TTL check is critical when its agent starts: whoever reports it has to do so again."""
        self.consul.start()
        for identities in self._ids.values():
            for identity in identities:
                _until(functools.partial(self.consul.call, "PUT", f"/v1/agent/check/pass/check-{identity}"))

    def _end(self, identity: str) -> None:
        self.consul.call("PUT", f"/v1/agent/service/deregister/{identity}")


class NomadPlace:
    """A Nomad that keeps its data, and jobs that it runs; a job is a service."""

    def __init__(self, folder: Path) -> None:
        self.nomad = Nomad(folder / "nomad", persistent=True)

    def platform(self) -> Platform:
        return NomadOptions(addr=self.nomad.http_addr, check_interval=0.2).platform("nomad")

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.default.service.nomad")

    def appear(self, name: str, count: int) -> None:
        self.nomad.run(http_job(name, count=count, checked=True))

    scale = appear

    def move(self, name: str, endpoint: Endpoint) -> None:
        self.nomad.call("PUT", f"/v1/allocation/{_allocation(endpoint)}/stop")

    def fail(self, name: str, endpoint: Endpoint) -> None:
        self._ill(endpoint).touch()

    def recover(self, name: str, endpoint: Endpoint) -> None:
        self._ill(endpoint).unlink()

    def vanish(self, name: str) -> None:
        self.nomad.remove(name)

    def restart(self) -> None:
        self.nomad.kill()

    def restarted(self) -> None:
        self.nomad.start()

    def _ill(self, endpoint: Endpoint) -> Path:
        return self.nomad.data / "alloc" / _allocation(endpoint) / "alloc" / "ill"


class KubernetesPlace:
    """An API server whose etcd keeps its data. What controllers and the kubelet would write is written here: pods,
    and one EndpointSlice a service."""

    def __init__(self, folder: Path) -> None:
        self.server = KubeApiserver(folder / "kubernetes")
        self._ready: dict[str, dict[str, bool]] = {}
        self._made = 0

    def platform(self) -> Platform:
        return KubernetesOptions(kubeconfig=str(self.server.kubeconfig), namespaces=("default",)).platform("kubernetes")

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.default.svc.cluster.local")

    def appear(self, name: str, count: int) -> None:
        self._ready[name] = {}
        apply(self.server, service(name))
        self.scale(name, count)

    def scale(self, name: str, count: int) -> None:
        ready = self._ready[name]
        while len(ready) < count:
            self._made += 1
            address = f"10.0.0.{self._made}"
            apply(self.server, pod(_pod(name, address)))
            ready[address] = True
        while len(ready) > count:
            address, _ = ready.popitem()
            delete(self.server, pod(_pod(name, address)))
        self._write(name)

    def move(self, name: str, endpoint: Endpoint) -> None:
        del self._ready[name][endpoint.address]
        delete(self.server, pod(_pod(name, endpoint.address)))
        self.scale(name, len(self._ready[name]) + 1)

    def fail(self, name: str, endpoint: Endpoint) -> None:
        self._ready[name][endpoint.address] = False
        self._write(name)

    def recover(self, name: str, endpoint: Endpoint) -> None:
        self._ready[name][endpoint.address] = True
        self._write(name)

    def vanish(self, name: str) -> None:
        self.scale(name, 0)
        delete(self.server, service(name))

    def restart(self) -> None:
        self.server.kill()

    def restarted(self) -> None:
        self.server.start()

    def _write(self, name: str) -> None:
        found = [endpoint(address, _pod(name, address), ready=ready) for address, ready in self._ready[name].items()]
        apply(self.server, endpoint_slice(f"{name}-1", name, found))


def _pod(name: str, address: str) -> str:
    return f"{name}-{address.replace('.', '-')}"


def _allocation(endpoint: Endpoint) -> str:
    return dict(endpoint.labels)["nomad.alloc"]


def _until(ask: Callable[[], object], seconds: float = 30.0) -> None:
    """Ask until it is not refused."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()
            return
        except (RefusedError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
