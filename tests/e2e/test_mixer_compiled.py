"""Rules that Envoy carries out by itself, against the same rules by calls to Mixer: the same verdict on every request.

Two services have the same rules; one has a further rule that only Mixer can carry out, which keeps all of its there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.world import LOOPBACK, Mesh, Sidecar, eventually
from tests.servers.ports import free_port

pytestmark = pytest.mark.e2e

CONDITIONS = (
    'request.headers["x-user"] == "mallory"',
    'request.method == "DELETE" && request.url_path.startsWith("/admin")',
    'request.headers["x-tier"] != "gold" && request.url_path == "/gold"',
    '(request.headers["x-a"] == "1" || request.headers["x-b"] == "1") && match(request.url_path, "/either*")',
    'request.path == "/exact?a=b"',
    'request.headers["x-user"].startsWith("bot-")',
)
CODES = (7, 16, 5, 9, 14, 8)

HEAD = """\
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: compiled-asked, namespace: istio-system}
spec: {compiledTemplate: checknothing}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: compiled-headers, namespace: istio-system}
spec:
  match: destination.service.host == "remotely.service.consul"
  requestHeaderOperations: [{name: x-judged-by, values: ['"mixer"']}]
"""


def documents() -> str:
    found = [HEAD]
    for number, (condition, code) in enumerate(zip(CONDITIONS, CODES, strict=True)):
        found.append(
            "apiVersion: config.istio.io/v1alpha2\nkind: handler\n"
            f"metadata: {{name: compiled-no-{number}, namespace: istio-system}}\n"
            f"spec: {{compiledAdapter: denier, params: {{status: {{code: {code}, message: 'no {number}'}}}}}}\n"
        )
        for host in ("natively", "remotely"):
            match = f'destination.service.host == "{host}.service.consul" && ({condition})'
            found.append(
                "apiVersion: config.istio.io/v1alpha2\nkind: rule\n"
                f"metadata: {{name: compiled-{number}-{host}, namespace: istio-system}}\n"
                f"spec:\n  match: {json.dumps(match)}\n"
                f"  actions: [{{handler: compiled-no-{number}, instances: [compiled-asked]}}]\n"
            )
    return "---\n".join(found)


@attrs.frozen
class World:
    mesh: Mesh
    client: Sidecar
    native: Sidecar
    remote: Sidecar


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Mesh(tmp_path_factory.mktemp("compiled")) as mesh:
        mesh.write("mixer.yaml", documents())
        mesh.start("--mixer-addr", f"{LOOPBACK}:{free_port()}")
        instances = [mesh.instance(name, sidecar=True) for name in ("natively", "remotely")]
        client = mesh.client()
        for each in instances:
            client.wait_served_by(each.service, each)
        assert not mesh.control.debug("problems")["configuration"]
        native, remote = (each.sidecar for each in instances)
        assert native is not None
        assert remote is not None
        yield World(mesh, client, native, remote)


def verdicts(world: World, path: str, method: str, headers: dict[str, str]) -> list[tuple[int, str]]:
    """Status, and of a refusal whose it is; Mixer lists all who refuse, Envoy the first."""
    replies = [world.client.get(name, path, method=method, headers=headers) for name in ("natively", "remotely")]
    return [(each.status, each.text.split(", ")[0] if each.status != 200 else "") for each in replies]


PATHS = (
    "/",
    "/admin",
    "/admin/x",
    "/adm",
    "/gold",
    "/gold?x=1",
    "/gold/",
    "/either",
    "/eitherway",
    "/exact?a=b",
    "/exact",
)
VALUES = st.sampled_from(("1", "2", "mallory", "Mallory", "bot-", "bot-9", "gold", "silver", "a,b", ""))
HEADERS = st.dictionaries(st.sampled_from(("X-User", "x-tier", "x-a", "x-b", "x-c")), VALUES, max_size=3)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(PATHS), st.sampled_from(("GET", "POST", "DELETE")), HEADERS)
def test_envoy_and_mixer_give_the_same_verdict(world: World, path: str, method: str, headers: dict[str, str]) -> None:
    native, remote = verdicts(world, path, method, headers)
    assert native == remote


@pytest.mark.parametrize(
    ("path", "method", "headers", "expected"),
    [
        ("/", "GET", {"x-user": "mallory"}, (403, "compiled-no-0.istio-system:no 0")),
        ("/./admin/x", "DELETE", {}, (401, "compiled-no-1.istio-system:no 1")),
        ("/gold", "GET", {"x-tier": "silver"}, (404, "compiled-no-2.istio-system:no 2")),
        ("/gold", "GET", {}, (200, "")),
        ("/either", "GET", {"x-b": "1"}, (200, "")),
        ("/either", "GET", {"x-a": "2", "x-b": "1"}, (400, "compiled-no-3.istio-system:no 3")),
        ("/exact?a=b", "GET", {}, (503, "compiled-no-4.istio-system:no 4")),
        ("/", "GET", {"x-user": "bot-1"}, (429, "compiled-no-5.istio-system:no 5")),
    ],
)
def test_each_rule_refuses_by_its_own_answer(
    world: World, path: str, method: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert verdicts(world, path, method, headers) == [expected, expected]


def test_what_envoy_decides_costs_no_call(world: World) -> None:
    def calls(sidecar: Sidecar) -> int:
        return sum(value for name, value in sidecar.stats().items() if name.endswith("cluster.mixer.upstream_rq_total"))

    before = calls(world.native), calls(world.remote)
    for name in ("natively", "remotely"):
        world.client.batch(name, 20)
    eventually(lambda: calls(world.remote) >= before[1] + 20, "calls of the one that asks")
    assert calls(world.native) == before[0] == 0
