"""A new version takes over in ten steps under load, and not one request is lost."""

from __future__ import annotations

import functools
import time

import pytest

from tests.e2e.traffic import Load
from tests.e2e.world import Mesh, Sidecar, eventually, host

pytestmark = pytest.mark.e2e

SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: rising}
spec:
  host: rising
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""
SPLIT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rising}}
spec:
  hosts: [rising]
  http:
  - route:
    - {{destination: {{host: rising, subset: v1}}, weight: {old}}}
    - {{destination: {{host: rising, subset: v2}}, weight: {new}}}
"""
THREADS, PAUSE = 12, 0.008
"""About a thousand requests a second, where the machine has the time."""
AT_EACH_STEP = 400


def wait_for_traffic(load: Load) -> None:
    goal = load.count + AT_EACH_STEP
    eventually(lambda: load.count >= goal, f"{AT_EACH_STEP} more requests answered")


def test_a_canary_from_0_to_100_in_ten_steps_under_load_loses_no_request(shared: Mesh, client: Sidecar) -> None:
    """Through both sidecars; the old version is taken away in the end. The rate is told, as it is the machine's."""
    old = shared.instance("rising", "rising-v1", meta={"version": "v1"}, sidecar=True)
    new = shared.instance("rising", "rising-v2", meta={"version": "v2"}, sidecar=True)
    shared.apply("rising-subsets.yaml", SUBSETS)
    shared.apply("rising.yaml", SPLIT.format(old=100, new=0))
    client.wait_served_by("rising", old)
    updated = f"http.outbound.rds.{client.outbound_port}.update_success"
    began = time.monotonic()
    with Load(client.outbound_port, host("rising"), threads=THREADS, pause=PAUSE) as load:
        for percent in range(10, 101, 10):
            before = client.stat(updated)
            shared.apply("rising.yaml", SPLIT.format(old=100 - percent, new=percent))
            eventually(functools.partial(lambda was: client.stat(updated) > was, before), f"{percent} % told")
            wait_for_traffic(load)
        client.wait_served_by("rising", new)
        shared.deregister(old)
        at_old = old.count()
        wait_for_traffic(load)
    rate = load.count / (time.monotonic() - began)
    print(f"{load.count} requests, {rate:.0f} a second")
    assert load.failures == []
    assert old.count() == at_old
    shares = {name: count / load.count for name, count in load.answered.items()}
    assert shares.keys() == {"rising-v1", "rising-v2"}
    assert 0.4 < shares["rising-v2"] < 0.9
