"""Virtual services, seen on the wire: who is asked what for a request, and what comes back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from tests.e2e.world import Instance, Mesh, Sidecar, eventually, host

pytestmark = pytest.mark.e2e

DOCUMENTS = r"""
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: routed}
spec:
  host: routed.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: routed}
spec:
  hosts: [routed.service.consul]
  http:
  - match:
    - uri: {exact: /exact}
    - uri: {prefix: /prefix/}
    - uri: {regex: "/items/[0-9]+"}
    - method: {exact: DELETE}
    - headers: {x-user: {exact: ada}}
    - headers: {x-user: {prefix: bob-}}
    - headers: {x-user: {regex: "c[0-9]{3}"}}
    - headers: {x-preview: {}}
    - queryParams: {version: {exact: v2}}
    route: [{destination: {host: routed.service.consul, subset: v2}}]
  - match: [{uri: {prefix: /old/}}]
    rewrite: {uri: /new/}
    route: [{destination: {host: routed.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /users/}}]
    rewrite: {uriRegexRewrite: {match: "^/users/([0-9]+)/posts$", rewrite: "/posts/by/\\1"}}
    route: [{destination: {host: routed.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /elsewhere}}]
    rewrite: {authority: elsewhere.example}
    route: [{destination: {host: routed.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /headers}}]
    headers:
      request: {set: {x-set: new}, add: {x-added: more}, remove: [x-removed]}
      response: {set: {x-answer: "42"}, remove: [x-plain]}
    route: [{destination: {host: routed.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /teapot}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - match: [{uri: {prefix: /split}}]
    route:
    - {destination: {host: routed.service.consul, subset: v1}, weight: 90}
    - {destination: {host: routed.service.consul, subset: v2}, weight: 10}
  - route: [{destination: {host: routed.service.consul, subset: v1}}]
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: flaky}
spec:
  hosts: [flaky.service.consul]
  http:
  - match: [{uri: {prefix: /timeout}}]
    timeout: 0.3s
    route: [{destination: {host: flaky.service.consul}}]
  - match: [{uri: {prefix: /retried}}]
    retries: {attempts: 3, retryOn: 5xx, backoff: 5ms}
    route: [{destination: {host: flaky.service.consul}}]
  - match: [{uri: {prefix: /hasty}}]
    retries: {attempts: 1, perTryTimeout: 0.2s, retryOn: 5xx}
    route: [{destination: {host: flaky.service.consul}}]
  - match: [{uri: {prefix: /once}}]
    retries: {attempts: 0}
    route: [{destination: {host: flaky.service.consul}}]
  - route: [{destination: {host: flaky.service.consul}}]
"""


@pytest.fixture(scope="module", autouse=True)
def routed(shared: Mesh, client: Sidecar) -> None:
    """v1 and v2 of the service `routed`, v2 behind a sidecar of its own; no test changes anything of it."""
    shared.apply("routes.yaml", DOCUMENTS)
    v1 = shared.instance("routed", "v1", meta={"version": "v1"})
    shared.instance("routed", "v2", meta={"version": "v2"}, sidecar=True)
    client.wait_served_by("routed", v1)
    eventually(lambda: client.get("routed", "/exact").status == 200, "v2 answering")


@pytest.fixture
def flaky(shared: Mesh, client: Sidecar, request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A fresh workload for the test to tell how to behave."""
    found = shared.instance("flaky", f"flaky-{request.node.name}")
    client.wait_served_by("flaky", found)
    yield found
    shared.deregister(found)


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/", "v1"),
        ("/exact", "v2"),
        ("/exact?with=query", "v2"),
        ("/exactly", "v1"),
        ("/prefix/a", "v2"),
        ("/prefi/a", "v1"),
        ("/items/42", "v2"),
        ("/items/42/more", "v1"),
        ("/a?version=v2", "v2"),
        ("/a?version=v3", "v1"),
    ],
)
def test_a_path_or_query_parameter_chooses_the_route(client: Sidecar, path: str, version: str) -> None:
    assert client.get("routed", path).instance == version


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"x-user": "ada"}, "v2"),
        ({"X-User": "ada"}, "v2"),
        ({"x-user": "adam"}, "v1"),
        ({"x-user": "bob-7"}, "v2"),
        ({"x-user": "c123"}, "v2"),
        ({"x-user": "c1234"}, "v1"),
        ({"x-preview": "whatever"}, "v2"),
    ],
)
def test_a_header_chooses_the_route(client: Sidecar, headers: Mapping[str, str], version: str) -> None:
    assert client.get("routed", headers=headers).instance == version


def test_the_method_chooses_the_route(client: Sidecar) -> None:
    assert client.get("routed", method="DELETE").instance == "v2"
    assert client.get("routed", method="POST").instance == "v1"


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/old/page?q=1", "/new/page?q=1"),
        ("/users/17/posts", "/posts/by/17"),
        ("/users/none/posts", "/users/none/posts"),
    ],
)
def test_a_path_is_rewritten_by_prefix_or_regex(client: Sidecar, path: str, arrives: str) -> None:
    assert client.get("routed", path).told["path"] == arrives


def test_the_authority_is_rewritten(client: Sidecar) -> None:
    assert client.get("routed", "/elsewhere").told["headers"]["host"] == "elsewhere.example"
    assert client.get("routed", "/").told["headers"]["host"] == host("routed")


def test_headers_are_set_added_and_removed_both_ways(client: Sidecar) -> None:
    sent = {"x-set": "old", "x-added": "some", "x-removed": "secret", "x-kept": "as it is"}
    reply = client.get("routed", "/headers", headers=sent)
    arrived = {name: value for name, value in reply.told["headers"].items() if name in (*sent, "x-removed")}
    assert arrived == {"x-set": "new", "x-added": "some,more", "x-kept": "as it is"}
    assert reply.headers["x-answer"] == "42"
    assert "x-plain" not in reply.headers
    assert client.get("routed", "/").headers["x-plain"] == "yes"


def test_a_direct_response_is_given_by_the_proxy(client: Sidecar) -> None:
    reply = client.get("routed", "/teapot")
    assert (reply.status, reply.text) == (418, "short and stout")


def test_a_request_for_an_unknown_host_is_refused(client: Sidecar) -> None:
    assert client.get("nobody.example").status == 502


def test_a_timeout_is_answered_by_504_in_time(client: Sidecar, flaky: Instance) -> None:
    flaky.behave(delay=10)
    reply = client.get("flaky", "/timeout")
    assert reply.status == 504
    assert 0.25 < reply.seconds < 5  # Envoy's timers run by the clock of its event loop, a few milliseconds off


def test_a_failed_request_is_retried_until_it_succeeds(client: Sidecar, flaky: Instance) -> None:
    flaky.behave(failures=2, status=500)
    assert client.get("flaky", "/retried").status == 200
    attempts = [headers["x-envoy-attempt-count"] for headers in flaky.seen("/retried")]
    assert attempts == ["1", "2", "3"]


def test_retries_end_after_the_attempts_that_were_allowed(client: Sidecar, flaky: Instance) -> None:
    flaky.behave(failures=-1, status=500)
    assert client.get("flaky", "/retried").status == 500
    assert client.get("flaky", "/once").status == 500
    counts = flaky.counts()
    assert (counts["/retried"], counts["/once"]) == (1 + 3, 1)


def test_each_try_has_a_timeout_of_its_own(client: Sidecar, flaky: Instance) -> None:
    flaky.behave(delay=10)
    assert client.get("flaky", "/hasty").status == 504
    assert flaky.counts()["/hasty"] == 2


def test_a_split_of_90_to_10_holds_within_three_sigma_over_10000_requests(client: Sidecar) -> None:
    """Envoy throws dice for each request: a fair split leaves three sigma once in 370 runs, so a second one decides."""
    requests, share = 10_000, 0.1
    sigma = math.sqrt(requests * share * (1 - share))

    def deviation() -> float:
        replies = client.batch("routed", requests, connections=8, path="/split")
        assert Counter(reply.status for reply in replies) == {200: requests}
        return abs(Counter(reply.instance for reply in replies)["v2"] - requests * share) / sigma

    assert deviation() <= 3 or deviation() <= 3
