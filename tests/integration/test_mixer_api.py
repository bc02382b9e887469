"""Mixer's own API as a program speaks it that was made from Istio's public protos, unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.mixer import GoClient, Mixer

pytestmark = pytest.mark.integration

SERVICES = """\
services:
- name: pay.example
  namespace: money
  ports:
  - {name: http, port: 80, protocol: HTTP}
  endpoints:
  - {address: 10.0.0.7, port: 8080, labels: {version: v2}, serviceAccount: pay}
"""
RULES = """\
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: stop-mallory, namespace: istio-system}
spec:
  match: request.headers["user"] == "mallory"
  actions:
  - {handler: stop, instances: [nothing]}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: who-is-it, namespace: money}
spec:
  match: context.protocol == "http"
  requestHeaderOperations:
  - {name: x-workload, values: ['destination.workload.name | "nobody"']}
  - {name: x-version, values: ['destination.labels["version"] | "none"']}
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: stop, namespace: istio-system}
spec:
  compiledAdapter: denier
  params:
    status: {code: 7, message: not you}
    validDuration: 7s
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: nothing, namespace: istio-system}
spec: {compiledTemplate: checknothing}
"""


@pytest.fixture(scope="module")
def mixer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixer]:
    found = Mixer(tmp_path_factory.mktemp("mixer"), services=SERVICES)
    found.write("rules.yaml", RULES)
    found.start()
    yield found
    found.process.stop()


@pytest.fixture(scope="module")
def client(mixer: Mixer) -> Iterator[GoClient]:
    with GoClient(mixer.address) as found:
        yield found


def checked(client: GoClient, **asked: Any) -> Any:
    answer = client.ask({"check": asked})
    assert "answer" in answer, answer
    return answer["answer"]["precondition"]


def test_a_go_client_of_istio_s_own_protos_is_refused_and_told_why(client: GoClient) -> None:
    found = checked(client, maps={"request.headers": {"user": "mallory"}})
    assert found["status"] == {"code": 7, "message": "stop.istio-system:not you"}
    assert (found["validDuration"], found["validUseCount"]) == ("7s", 1000)
    user = {"name": 15, "condition": "EXACT", "mapKey": -1}  # word 15 of the dictionary is request.headers
    assert user in found["referencedAttributes"]["attributeMatches"]
    assert found["referencedAttributes"]["words"] == ["user"]


def test_a_go_client_passes_with_what_the_catalog_knows_of_the_place_it_names(client: GoClient) -> None:
    found = checked(
        client,
        strings={"context.protocol": "http", "destination.service.host": "pay.example"},
        maps={"request.headers": {"user": "alice"}},
    )
    operations = found["routeDirective"]["requestHeaderOperations"]
    assert [(each["name"], each["value"]) for each in operations] == [("x-workload", "nobody"), ("x-version", "none")]
    assert found["validUseCount"] == 10_000


def test_a_dictionary_that_mixer_does_not_know_is_told_and_never_a_pass(client: GoClient) -> None:
    answer = client.ask({"check": {"strings": {"context.protocol": "http"}, "words": 10_000}})
    assert answer["error"] == "InvalidArgument"
    assert "global dictionary" in answer["message"]


def test_a_report_of_many_is_taken(client: GoClient) -> None:
    bags = [{"strings": {"context.protocol": "http"}, "ints": {"response.code": 200 + n}} for n in range(100)]
    assert client.ask({"report": bags}) == {"answer": {}}


def test_a_value_of_another_type_is_told_with_its_name(client: GoClient) -> None:
    answer = client.ask({"check": {"strings": {"response.code": "200"}}})
    assert answer["error"] == "InvalidArgument"
    assert "response.code" in answer["message"]
