"""Mixer in a process of its own, asked and told by real Envoys; and what they do when it is not there to be asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.e2e.world import DEADLINE, LOOPBACK, Instance, Mesh, Sidecar, eventually
from tests.servers.http import call
from tests.servers.ports import free_port, free_ports
from tests.servers.process import Process

pytestmark = pytest.mark.e2e

PATIENCE = 5.0
"""Seconds within which a request is answered though Mixer does not: more than the rules' deadline with its retry on a
busy machine, less than a client waits."""


@attrs.define
class World:
    mesh: Mesh
    mixer: Process
    mixer_http: str
    client: Sidecar
    guarded: Instance
    lenient: Instance
    lines: Path

    def apply(self, name: str, text: str) -> None:
        """Returns when Mixer and the control plane have it."""
        path = self.mesh.apply(name, text)

        def there() -> bool:
            found = json.loads(call("GET", f"http://{self.mixer_http}/debug/configz").text)
            return any(each["origin"].startswith(f"{path}:") for each in found)

        eventually(there, f"{name} in force at Mixer")

    def status(self, service: str, path: str = "/", **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(service, path, headers=named).status


RULES = """\
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: refusing, namespace: istio-system}
spec:
  compiledAdapter: denier
  params: {status: {code: 7, message: not you}}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: asked, namespace: istio-system}
spec: {compiledTemplate: checknothing}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: mixer-closed, namespace: istio-system}
spec:
  match: destination.service.host == "guarded.service.consul" && request.headers["x-user"] == "mallory"
  actions: [{handler: refusing, instances: [asked]}]
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: mixer-paths, namespace: istio-system}
spec:
  match: destination.service.host == "guarded.service.consul" && request.url_path.startsWith("/admin")
  actions: [{handler: refusing, instances: [asked]}]
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: mixer-headers, namespace: istio-system}
spec:
  match: destination.service.host == "guarded.service.consul"
  failPolicy: {timeout: 400ms, maxRetry: 1}
  requestHeaderOperations:
  - {name: x-path-seen, values: [request.path]}
  - {name: x-workload, values: ['destination.workload.name | "unknown"']}
  - {name: x-secret, operation: REMOVE}
  responseHeaderOperations:
  - {name: x-judged, values: ['"yes"']}
  - {name: x-plain, operation: REMOVE}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: mixer-open, namespace: istio-system}
spec:
  match: destination.service.host == "lenient.service.consul" && request.headers["x-user"] == "mallory"
  actions: [{handler: refusing, instances: [asked]}]
  failPolicy: {policy: FAIL_OPEN, maxRetry: 1}
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: lines, namespace: istio-system}
spec:
  compiledAdapter: stdio
  params: {logStream: FILE, outputPath: LINES, outputAsJson: true}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: line, namespace: istio-system}
spec:
  compiledTemplate: logentry
  params:
    severity: '"info"'
    timestamp: request.time
    variables:
      reporter: context.reporter.kind | "unknown"
      host: destination.service.host | "unknown"
      path: request.path | "unknown"
      code: response.code | 0
      agent: request.headers["x-agent"] | "none"
      workload: destination.workload.name | "unknown"
      source: source.workload.name | "unknown"
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: mixer-lines, namespace: istio-system}
spec:
  match: context.protocol == "http"
  actions: [{handler: lines, instances: [line]}]
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: counting, namespace: istio-system}
spec:
  compiledAdapter: memquota
  params: {quotas: [{name: payments.instance.istio-system, maxAmount: 4, validDuration: 300s}]}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: payments, namespace: istio-system}
spec:
  compiledTemplate: quota
  params: {dimensions: {user: 'request.headers["x-user"] | "nobody"'}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: mixer-quota, namespace: istio-system}
spec:
  actions: [{handler: counting, instances: [payments]}]
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpec
metadata: {name: mixer-price, namespace: istio-system}
spec:
  rules:
  - match: [{clause: {request.path: {prefix: /paid}}}]
    quotas: [{quota: payments, charge: 2}]
---
apiVersion: config.istio.io/v1alpha2
kind: QuotaSpecBinding
metadata: {name: mixer-price, namespace: istio-system}
spec:
  services: [{service: guarded.service.consul}]
  quotaSpecs: [{name: mixer-price}]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mixer")
    mixer_port, mixer_http = free_ports(2)
    with Mesh(folder) as mesh:
        lines = folder / "lines.json"
        mesh.write("mixer.yaml", RULES.replace("LINES", str(lines)))
        mesh.consul.start()
        servers = ("--mixer-server", f"{LOOPBACK}:{mixer_port}", "--mixer-server", f"{LOOPBACK}:{free_port()}")
        control = mesh.make_control("--components", "pilot", *servers)
        mixer = mesh.second_process(
            "mixer",
            *("--components", "mixer", "--mixer-addr", f"{LOOPBACK}:{mixer_port}"),
            *("--http-addr", f"{LOOPBACK}:{mixer_http}"),
        )
        mixer.start()
        control.start()
        ready = f"http://{LOOPBACK}:{mixer_http}/readyz"
        mixer.wait_until(lambda: call("GET", ready).text.strip() == "ready", "ready", seconds=DEADLINE)
        guarded, lenient = mesh.instance("guarded", sidecar=True), mesh.instance("lenient", sidecar=True)
        client = mesh.client()
        client.wait_served_by("guarded", guarded)
        client.wait_served_by("lenient", lenient)
        assert not control.debug("problems")["configuration"]
        yield World(mesh, mixer, f"{LOOPBACK}:{mixer_http}", client, guarded, lenient, lines)


def test_a_rule_refuses_whom_it_means_and_nobody_else(world: World) -> None:
    refused = world.client.get("guarded", headers={"x-user": "mallory"})
    assert (refused.status, refused.text) == (403, "refusing.istio-system:not you")
    assert world.status("guarded", x_user="alice") == 200
    assert world.status("lenient", x_user="alice") == 200
    # This one is open where no answer comes in time, which on a busy machine the first may not.
    eventually(lambda: world.status("lenient", x_user="mallory") == 403, "the lenient one refuses too")


def test_a_passed_check_changes_headers_by_what_it_knows(world: World) -> None:
    reply = world.client.get("guarded", "/headers?a=b", headers={"x-secret": "s"})
    (arrived,) = world.guarded.seen("/headers")
    assert arrived["x-path-seen"] == "/headers?a=b"
    assert arrived["x-workload"] == "guarded"
    assert "x-secret" not in arrived
    assert reply.headers["x-judged"] == "yes"


def test_a_passed_check_takes_headers_off_the_answer(world: World) -> None:
    assert "x-plain" in world.client.get("lenient").headers
    assert "x-plain" not in world.client.get("guarded").headers
    refused = world.client.get("guarded", headers={"x-user": "mallory"})
    assert (refused.status, "x-judged" in refused.headers) == (403, False)


@pytest.mark.parametrize(
    "path", ["/admin", "/./admin", "/x/../admin", "/%61dmin", "/admin/", "/admin;a=b", "/admin?x=/public", "/admin%2f"]
)
def test_no_way_of_writing_a_path_gets_around_a_rule(world: World, path: str) -> None:
    assert world.status("guarded", path) == 403


@pytest.mark.parametrize("path", ["/b//c", "/b/./c", "/b/%63", "/b/x/../c", "/b/c;d", "/b/c?d=%2f", "/b%2fc", "/b/c/"])
def test_a_rule_sees_the_path_that_the_workload_gets(world: World, path: str) -> None:
    reply = world.client.get("guarded", path)
    assert reply.status == 200
    told = reply.told
    assert told["headers"]["x-path-seen"] == told["path"]


def test_what_has_passed_is_reported_from_both_sides(world: World) -> None:
    assert world.status("lenient", "/told", x_agent="probe") == 200

    def told() -> dict[str, dict[str, object]]:
        if not world.lines.exists():
            return {}
        lines = [json.loads(line) for line in world.lines.read_text(encoding="utf-8").splitlines()]
        return {line["reporter"]: line for line in lines if line["path"] == "/told"}

    eventually(lambda: set(told()) == {"inbound", "outbound"}, "reported from both sides")
    for line in told().values():
        assert line["host"] == "lenient.service.consul"
        assert line["workload"] == "lenient"
        assert line["agent"] == "probe"
        assert line["code"] == 200
    assert told()["outbound"]["source"] == "client"


def test_a_mixer_that_is_away_is_made_up_for_by_another(world: World) -> None:
    """Every second connection attempt goes to an address where nobody listens."""
    assert {world.status("guarded", x_user="alice") for _ in range(30)} == {200}


def test_requests_that_cost_a_quota_are_answered_429_when_it_is_spent(world: World) -> None:
    assert [world.status("guarded", "/paid", x_user="dora") for _ in range(3)] == [200, 200, 429]
    assert world.status("guarded", "/paid", x_user="emil") == 200
    assert world.status("guarded", "/free", x_user="dora") == 200
    assert world.status("lenient", "/paid", x_user="dora") == 200


def test_without_mixer_each_rule_s_own_policy_holds(world: World) -> None:
    """Hung first, then gone; afterwards all is as it was."""
    world.mixer.pause()
    try:
        began = time.monotonic()
        assert world.status("guarded", x_user="alice") == 503
        assert world.status("lenient", x_user="mallory") == 200
        assert time.monotonic() - began < 2 * PATIENCE
    finally:
        world.mixer.resume()
    eventually(lambda: world.status("guarded", x_user="alice") == 200, "asked again after a pause")
    world.mixer.kill()
    assert world.status("guarded", x_user="alice") == 503
    assert world.status("lenient", x_user="mallory") == 200
    world.mixer.start()
    eventually(lambda: world.status("guarded", x_user="alice") == 200, "asked again after a restart")
    assert world.status("guarded", x_user="mallory") == 403
    assert world.status("lenient", x_user="mallory") == 403
