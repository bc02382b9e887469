"""The oldest Envoy that is served, beside the newest: both work, and neither is told what it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.world import Mesh, OwnEnvoy, Sidecar, host
from tests.servers.binaries import require
from tests.servers.process import Process

pytestmark = pytest.mark.e2e

SERVICE = "told-less"
RULE = f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {SERVICE}, namespace: default}}
spec:
  host: {host(SERVICE)}
  trafficPolicy: {{retryBudget: {{percent: 25, budgetInterval: 10s}}}}
"""


@pytest.fixture
def oldest(shared: Mesh) -> Iterator[OwnEnvoy]:
    """An Envoy that refuses what it does not know, where others of its age would only count it."""
    found = OwnEnvoy(shared.folder, "oldest", shared.control.xds_addr)
    command = [str(require("envoy-oldest")), *found.process.command[1:], "--reject-unknown-dynamic-fields"]
    found.process = Process("envoy-oldest", command, folder=shared.folder)
    yield found
    found.process.kill()


def budget(proxy: OwnEnvoy | Sidecar) -> Any:
    """The retry budget that the proxy has of the service."""
    dump = json.loads(proxy.admin("/config_dump?resource=dynamic_active_clusters"))["configs"]
    (found,) = (each["cluster"] for each in dump if each["cluster"]["name"] == f"outbound|80||{host(SERVICE)}")
    return found["circuit_breakers"]["thresholds"][0]["retry_budget"]


def test_an_older_envoy_is_served_without_what_it_does_not_know(
    shared: Mesh, client: Sidecar, oldest: OwnEnvoy
) -> None:
    instance = shared.instance(SERVICE)
    shared.apply("told-less.yaml", RULE)
    oldest.start()
    assert "/1.38." in oldest.admin("/server_info").replace(" ", "")
    for proxy in (oldest, client):
        proxy.wait_served_by(SERVICE, instance)
        assert not any(count for name, count in proxy.stats().items() if name.endswith(".update_rejected"))
    assert budget(oldest) == {"budget_percent": {"value": 25.0}}
    assert budget(client) == {"budget_percent": {"value": 25.0}, "budget_interval": "10s"}
