"""Pytest fixtures that start the servers beside this file. A program that is missing fails the test; nothing skips.

Servers that start in about a second are fresh for each test. Nomad and kube-apiserver are started once and shared:
a test gets Nomad without any job, and makes a namespace of its own in Kubernetes. A test that needs other options, two
of a kind, or a server to stop and start by itself makes its own (`with Consul(tmp_path / "a") as a:`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers.binaries import MissingServerError, require
from tests.servers.consul import Consul
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.nomad import Nomad
from tests.servers.process import ServerFailedError
from tests.servers.redis import Redis
from tests.servers.server import Server
from tests.servers.vault import Vault

AnyServer = TypeVar("AnyServer", bound=Server)


@contextlib.contextmanager
def _running(server: AnyServer) -> Iterator[AnyServer]:
    """The server, started and at last stopped; what keeps it from starting fails the test, without our own stack."""
    reason = _reason_not_to_start(server)
    if reason:
        pytest.fail(reason, pytrace=False)
    try:
        yield server
    finally:
        server.stop()


def _reason_not_to_start(server: Server) -> str:
    """Empty when it has started. (Failing inside an `except` would print the reason twice.)"""
    try:
        server.start()
    except (MissingServerError, ServerFailedError) as reason:
        return str(reason)
    return ""


@pytest.fixture
def consul(tmp_path: Path) -> Iterator[Consul]:
    """A Consul in development mode, with no access control, for this test alone."""
    with _running(Consul(tmp_path / "consul")) as server:
        yield server


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A Vault in development mode, for this test alone."""
    with _running(Vault(tmp_path / "vault")) as server:
        yield server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis in memory, for this test alone."""
    with _running(Redis(tmp_path / "redis")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_nomad(tmp_path_factory: pytest.TempPathFactory, envoy_binary: Path) -> Iterator[Nomad]:
    """The Nomad that `nomad` hands out; a test asks for `nomad`."""
    with _running(Nomad(tmp_path_factory.mktemp("nomad"), programs=[envoy_binary])) as server:
        yield server


@pytest.fixture
def nomad(shared_nomad: Nomad) -> Iterator[Nomad]:
    """A Nomad without jobs, whose exec tasks find Envoy as /usr/local/bin/envoy; its jobs end with the test."""
    if not shared_nomad.running:
        shared_nomad.start()
    yield shared_nomad
    if shared_nomad.running:
        shared_nomad.remove_all()


@pytest.fixture(scope="session")
def shared_kube_apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApiserver]:
    """The Kubernetes API that `kube_apiserver` hands out; a test asks for `kube_apiserver`."""
    with _running(KubeApiserver(tmp_path_factory.mktemp("kube-apiserver"))) as server:
        yield server


@pytest.fixture
def kube_apiserver(shared_kube_apiserver: KubeApiserver) -> KubeApiserver:
    """A Kubernetes API that other tests use too: make a namespace (`kube_apiserver.namespace(name)`) and stay in it."""
    if not shared_kube_apiserver.running:
        shared_kube_apiserver.start()
    return shared_kube_apiserver


@pytest.fixture(scope="session")
def envoy_binary() -> Path:
    """Envoy's program; tests that only want Envoy's opinion use `tests.servers.envoy.validate`."""
    with contextlib.suppress(MissingServerError):
        return require("envoy")
    pytest.fail(str(MissingServerError("envoy")), pytrace=False)
