"""EnvoyFilter on the wire: filters put in, taken out and merged, and what is broken kept apart by name."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.world import Instance, Mesh, Sidecar, eventually, mesh_adapter

pytestmark = pytest.mark.e2e

SERVICE = "ef-web"
LABEL = "ef=caller"
HEAD = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: {name}}}
spec:
  workloadSelector: {{labels: {{ef: caller}}}}
  priority: {priority}
  configPatches:
"""
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
BY_NAME = "{{name: envoy.filters.network.http_connection_manager, subFilter: {{name: {name}}}}}"
ROUTER = BY_NAME.format(name="envoy.filters.http.router")
OF_SERVICE = f"{{context: SIDECAR_OUTBOUND, cluster: {{service: {SERVICE}.service.consul}}}}"


def lua(match: str, script: str, name: str = "lua", operation: str = "INSERT_BEFORE") -> str:
    return f"""
- applyTo: HTTP_FILTER
  match: {match}
  patch:
    operation: {operation}
    value:
      name: {name}
      typed_config:
        "@type": {LUA}
        default_source_code: {{inline_string: '{script}'}}
"""


def outbound(more: str = "", named: str = "envoy.filters.http.router") -> str:
    listener = f"{{filterChain: {{filter: {BY_NAME.format(name=named)}}}}}"
    return f"{{context: SIDECAR_OUTBOUND, listener: {listener}{more}}}"


def adds(header: str) -> str:
    return f'function envoy_on_request(handle) handle:headers():add("{header}", "yes") end'


@dataclass(frozen=True)
class Stage:
    """A caller whom patches are for, and who is called."""

    mesh: Mesh
    caller: Sidecar
    web: Instance

    def apply(self, name: str, *patches: str, priority: int = 0) -> None:
        text = HEAD.format(name=name, priority=priority) + textwrap.indent("".join(patches), "  ")
        self.mesh.apply(f"{name}.yaml", text)

    def remove(self, *names: str) -> None:
        for name in names:
            (self.mesh.config / f"{name}.yaml").unlink()

    def call(self, path: str = "/") -> dict[str, str]:
        """The headers that arrived; AssertionError unless the answer is well."""
        reply = self.caller.get(SERVICE, path)
        assert reply.status == 200, reply
        found: dict[str, str] = reply.told["headers"]
        return found

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        eventually(condition, what)

    def problems(self) -> list[dict[str, Any]]:
        found = self.mesh.control.debug("problems")["configuration"]
        return [each for each in found if each["object"].startswith("EnvoyFilter default/ef-")]


@pytest.fixture(scope="module")
def stage(shared: Mesh) -> Stage:
    web = shared.instance(SERVICE, sidecar=True)
    caller = shared.client("--label", LABEL, name="ef-caller")
    caller.wait_served_by(SERVICE, web)
    return Stage(shared, caller, web)


def test_filters_are_put_in_on_both_sides_merged_and_taken_out(stage: Stage, client: Sidecar) -> None:
    stage.apply("ef-out", lua(outbound(), adds("x-ef-out")))
    inbound = f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: ef-in}}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {{portNumber: {stage.web.port}, filterChain: {{filter: {ROUTER}}}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: mutate
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
          mutations: {{response_mutations: [{{append: {{header: {{key: x-ef-in, value: "yes"}}}}}}]}}
"""
    stage.mesh.apply("ef-in.yaml", inbound)
    stage.wait(lambda: "x-ef-out" in stage.call(), "the filter on the way out at work")
    stage.wait(lambda: client.get(SERVICE).headers.get("x-ef-in") == "yes", "the filter on the way in at work")
    assert "x-ef-out" not in client.get(SERVICE).told["headers"], "others are not patched"

    merged = outbound(named="lua")
    stage.apply("ef-merged", lua(merged, adds("x-ef-merged"), operation="MERGE"), priority=1)
    stage.wait(lambda: "x-ef-merged" in stage.call(), "the merged script at work")
    assert "x-ef-out" not in stage.call()

    stage.apply(
        "ef-merged", f"\n- {{applyTo: HTTP_FILTER, match: {merged}, patch: {{operation: REMOVE}}}}\n", priority=1
    )
    stage.wait(lambda: not any(each.startswith("x-ef") for each in stage.call()), "the filter gone")
    assert stage.problems() == []
    stage.remove("ef-out", "ef-in", "ef-merged")


def test_routes_and_clusters_are_changed(stage: Stage) -> None:
    stage.apply(
        "ef-cluster",
        f"""
- applyTo: CLUSTER
  match: {OF_SERVICE}
  patch: {{operation: MERGE_AND_REPLACE_LIST, value: {{circuit_breakers: {{thresholds: [{{max_requests: 0}}]}}}}}}
""",
    )
    stage.wait(lambda: stage.caller.get(SERVICE).status == 503, "no request let through")
    assert stage.caller.get(SERVICE).headers["x-envoy-overloaded"] == "true"
    stage.apply(
        "ef-cluster",
        f"""
- applyTo: HTTP_ROUTE
  match:
    context: SIDECAR_OUTBOUND
    routeConfiguration: {{vhost: {{domainName: {SERVICE}.service.consul, route: {{action: ROUTE}}}}}}
  patch:
    operation: INSERT_BEFORE
    value: {{name: teapot, match: {{path: /teapot}}, direct_response: {{status: 418}}}}
""",
    )
    stage.wait(lambda: stage.caller.get(SERVICE, "/teapot").status == 418, "the route put in")
    assert stage.call("/tea")
    stage.remove("ef-cluster")


def test_versions_choose(stage: Stage) -> None:
    stage.apply(
        "ef-versions",
        lua(outbound(", proxy: {proxyVersion: '^1[.][0-9]+[.]'}"), adds("x-ef-new"), "new"),
        lua(outbound(", proxy: {proxyVersion: '^0[.]'}"), adds("x-ef-old"), "old"),
        lua(outbound(", proxy: {metadata: {NAMESPACE: default}}"), adds("x-ef-default"), "default"),
    )
    stage.wait(lambda: "x-ef-new" in stage.call(), "the patch for this version at work")
    found = stage.call()
    assert "x-ef-default" in found
    assert "x-ef-old" not in found
    stage.remove("ef-versions")


def test_what_would_break_a_listener_is_left_out_and_named(stage: Stage) -> None:
    stage.apply("ef-works", lua(outbound(), adds("x-ef-works")))
    stage.apply("ef-breaks", lua("{context: SIDECAR_OUTBOUND}", adds("x-ef-breaks"), "behind", "ADD"))
    stage.wait(lambda: bool(stage.problems()), "the culprit named")
    (problem,) = stage.problems()
    assert problem["object"] == "EnvoyFilter default/ef-breaks"
    assert problem["where"].startswith(f"{stage.mesh.config / 'ef-breaks.yaml'}:")
    assert "left out of listener virtualOutbound: HTTP filter envoy.filters.http.router" in problem["message"]
    assert "EnvoyFilter default/ef-breaks: is left out" in stage.mesh.control.log
    stage.wait(lambda: "x-ef-works" in stage.call(), "the other patch at work")
    assert stage.caller.stat("listener_manager.lds.update_rejected") == 0
    stage.remove("ef-breaks")
    stage.wait(lambda: stage.problems() == [], "nothing left out any more")
    stage.remove("ef-works")


def test_what_only_envoy_refuses_is_named_by_its_nack_and_the_rest_flows_on(stage: Stage) -> None:
    stage.apply("ef-nack", lua(outbound(), "function ("))
    stage.wait(lambda: "ef-nack" in _status(stage), "the culprit in the status")
    assert "EnvoyFilter default/ef-nack" in stage.mesh.control.log
    assert stage.call(), "the listener that was accepted before serves on"
    stage.apply(
        "ef-timeout",
        f"\n- {{applyTo: CLUSTER, match: {OF_SERVICE}, patch: {{operation: MERGE, value: {{alt_stat_name: ef}}}}}}\n",
    )
    stage.wait(lambda: stage.call() != {} and stage.caller.stat("cluster.ef.upstream_rq_total") > 0, "clusters changed")
    stage.apply("ef-nack", lua(outbound(), adds("x-ef-mended")))
    stage.wait(lambda: "x-ef-mended" in stage.call(), "the mended filter at work")
    stage.wait(lambda: "ef-nack" not in _status(stage), "the status clean again")
    stage.remove("ef-nack", "ef-timeout")


def _status(stage: Stage) -> str:
    (own,) = [each for each in stage.mesh.control.debug("syncz") if "~ef-caller." in each["proxy"]]
    lds = own["types"]["LDS"]
    return " ".join(each["origin"] for each in lds["objects"]) if lds["state"] == "NACKED" else ""


def test_what_is_no_envoy_configuration_never_comes_into_force(stage: Stage) -> None:
    good = lua(outbound(), adds("x-ef-good"))
    stage.apply("ef-value", good)
    stage.wait(lambda: "x-ef-good" in stage.call(), "the good version at work")
    bad = HEAD.format(name="ef-value", priority=0) + textwrap.indent(
        good.replace("inline_string", "inline_strin"), "  "
    )
    path = stage.mesh.write("ef-value.yaml", bad)
    checked = mesh_adapter("validate", str(path))
    assert checked.returncode == 1
    field = "spec.configPatches[0].patch.value.typed_config.default_source_code.inline_strin"
    assert f"{field} is not a known field of DataSource" in checked.stdout
    assert "did you mean inline_string?" in checked.stdout
    stage.wait(lambda: any(field in each["message"] for each in stage.problems()), "the bad version refused")
    assert "x-ef-good" in stage.call(), "the good version stays"
    stage.remove("ef-value")
