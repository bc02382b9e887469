"""HTTP routes of virtual services, on the wire: redirects, copies, faults, origins, delegates, retries, matches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.e2e.traffic import Reply
from tests.e2e.world import Instance, Mesh, Sidecar, eventually, host

pytestmark = pytest.mark.e2e

SHOP = host("shop")
DOCUMENTS = r"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.service.consul, "*.shop.example"]
  http:
  - match: [{uri: {exact: /moved}}]
    redirect: {uri: /there, authority: other.example, redirectCode: 302}
  - match: [{uri: {exact: /secure}}]
    redirect: {scheme: https, port: 8443}
  - match: [{uri: {exact: /same-port}}]
    redirect: {authority: other.example, derivePort: FROM_REQUEST_PORT, redirectCode: 307}
  - match: [{uri: {exact: /usual-port}}]
    redirect: {scheme: https, derivePort: FROM_PROTOCOL_DEFAULT, redirectCode: 308}
  - match: [{uri: {prefix: /old/}}]
    redirect: {prefixRewrite: /new/, redirectCode: 303}
  - match: [{uri: {exact: /bytes}}]
    directResponse: {status: 200, body: {bytes: aGVsbG8=}}
  - match: [{uri: {prefix: /copied}}]
    mirror: {host: shadow.service.consul}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /sometimes-copied}}]
    mirrors:
    - {destination: {host: shadow.service.consul}, percentage: {value: 30}}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /aborted}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 20}}}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /grpc-aborted}}]
    fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /delayed}}]
    fault: {delay: {fixedDelay: 0.3s, percentage: {value: 30}}}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /late-and-lost}}]
    fault: {delay: {fixedDelay: 0.3s, percent: 100}, abort: {httpStatus: 503, percentage: {value: 100}}}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /shared}}]
    corsPolicy:
      allowOrigins: [{exact: https://web.example}, {regex: "https://[a-z]+[.]shop[.]example"}]
      allowMethods: [GET, PUT]
      allowHeaders: [x-user]
      exposeHeaders: [x-plain]
      maxAge: 1h
      allowCredentials: true
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /strict}}]
    corsPolicy: {allowOrigins: [{exact: https://web.example}], unmatchedPreflights: IGNORE}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /open}}]
    corsPolicy: {allowOrigin: ["*"], allowMethods: [GET]}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /delegated}}]
    delegate: {name: shop-team, namespace: team}
    headers: {request: {set: {x-by: root}}}
  - match: [{uri: {prefix: /gone}}]
    delegate: {name: nobody}
  - match: [{uri: {prefix: /scheme}, scheme: {exact: http}}]
    route: [{destination: {host: shop.service.consul, subset: v2}}]
  - match: [{uri: {prefix: /scheme}, scheme: {exact: https}}]
    directResponse: {status: 418}
  - match: [{authority: {prefix: "blue."}, statPrefix: blue}]
    route: [{destination: {host: shop.service.consul, subset: v2}}]
  - match: [{uri: {prefix: /renamed}}]
    headers: {request: {set: {Host: renamed.example}}}
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - match: [{uri: {prefix: /half-renamed}}]
    route:
    - destination: {host: shop.service.consul, subset: v1}
      headers: {request: {set: {":authority": half.example}}}
  - match: [{uri: {prefix: /gateway-only}, gateways: [edge]}]
    directResponse: {status: 418}
  - match: [{uri: {prefix: /older}}]
    appendHeaders: {x-append: "1"}
    appendRequestHeaders: {x-request: "2"}
    removeRequestHeaders: [x-secret]
    appendResponseHeaders: {x-response: "3"}
    removeResponseHeaders: [x-plain]
    websocketUpgrade: true
    route: [{destination: {host: shop.service.consul, subset: v1}}]
  - route: [{destination: {host: shop.service.consul, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop-team, namespace: team}
spec:
  exportTo: [default]
  http:
  - match: [{uri: {prefix: /delegated/v2}}]
    route: [{destination: {host: shop, subset: v2}}]
  - match: [{uri: {prefix: /elsewhere}}]
    directResponse: {status: 418}
  - route: [{destination: {host: shop, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-shop-of-the-gateway}
spec:
  hosts: [shop.service.consul]
  gateways: [edge]
  http: [{directResponse: {status: 418}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a-private, namespace: elsewhere}
spec:
  hosts: [shadow.service.consul]
  exportTo: [.]
  http: [{directResponse: {status: 418}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: moody}
spec:
  hosts: [moody.service.consul]
  http:
  - match: [{uri: {prefix: /5xx}}]
    retries: {attempts: 2, retryOn: 5xx, backoff: 5ms}
    route: [{destination: {host: moody.service.consul}}]
  - match: [{uri: {prefix: /gateway-error}}]
    retries: {attempts: 2, retryOn: gateway-error, backoff: 5ms, retryRemoteLocalities: true}
    route: [{destination: {host: moody.service.consul}}]
  - match: [{uri: {prefix: /retriable-4xx}}]
    retries: {attempts: 2, retryOn: retriable-4xx, backoff: 5ms}
    route: [{destination: {host: moody.service.consul}}]
  - match: [{uri: {prefix: /codes}}]
    retries: {attempts: 2, retryOn: "reset,429", backoff: 5ms}
    route: [{destination: {host: moody.service.consul}}]
  - route: [{destination: {host: moody.service.consul}}]
"""


@pytest.fixture(scope="module", autouse=True)
def shop(shared: Mesh, client: Sidecar) -> Instance:
    """v1 of the service `shop`, whose v2 is there too."""
    shared.apply("traffic_http.yaml", DOCUMENTS)
    v1 = shared.instance("shop", "shop-v1", meta={"version": "v1"})
    shared.instance("shop", "shop-v2", meta={"version": "v2"})
    client.wait_served_by("shop", v1)
    eventually(lambda: client.get("shop", "/scheme").instance == "shop-v2", "shop-v2 answering")
    return v1


@pytest.fixture(scope="module")
def shadow(shared: Mesh, client: Sidecar) -> Instance:
    """Who gets the copies."""
    found = shared.instance("shadow")
    client.wait_served_by("shadow", found)
    return found


@pytest.fixture(scope="module")
def moody_service(shared: Mesh, client: Sidecar) -> Instance:
    found = shared.instance("moody")
    client.wait_served_by("moody", found)
    return found


@pytest.fixture
def moody(moody_service: Instance) -> Iterator[Instance]:
    """A workload to be told how to behave; it behaves well again at last."""
    yield moody_service
    moody_service.behave()


def within_three_sigma(requests: int, share: float, count: Callable[[], int]) -> bool:
    """Envoy throws dice for each request: a fair share leaves three sigma once in 370 runs, so a second one decides."""
    sigma = math.sqrt(requests * share * (1 - share))
    return any(abs(count() - requests * share) <= 3 * sigma for _ in range(2))


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/moved?q=1", 302, "http://other.example/there?q=1"),
        ("/secure", 301, f"https://{SHOP}:8443/secure"),
        ("/same-port", 307, "http://other.example:80/same-port"),
        ("/usual-port", 308, f"https://{SHOP}/usual-port"),
        ("/old/page?q=1", 303, f"http://{SHOP}/new/page?q=1"),
    ],
)
def test_a_redirect_names_the_new_place(client: Sidecar, path: str, status: int, location: str) -> None:
    reply = client.get("shop", path)
    assert (reply.status, reply.headers["location"]) == (status, location)


def test_a_direct_response_may_be_bytes(client: Sidecar) -> None:
    assert client.get("shop", "/bytes").text == "hello"


def test_every_request_is_copied_and_the_answers_to_copies_are_ignored(client: Sidecar, shadow: Instance) -> None:
    shadow.behave(failures=-1, status=500, delay=1)
    replies = [client.get("shop", "/copied") for _ in range(10)]
    assert {(reply.status, reply.instance) for reply in replies} == {(200, "shop-v1")}
    assert max(reply.seconds for reply in replies) < 1
    eventually(lambda: shadow.counts()["/copied"] == 10, "all copies arrived")
    shadow.behave()
    assert {headers["host"] for headers in shadow.seen("/copied")} == {f"{SHOP}-shadow"}


def test_a_share_of_the_requests_is_copied(client: Sidecar, shadow: Instance) -> None:
    requests = 2000

    def copies() -> int:
        before = shadow.counts()["/sometimes-copied"]
        replies = client.batch("shop", requests, connections=8, path="/sometimes-copied")
        assert {(reply.status, reply.instance) for reply in replies} == {(200, "shop-v1")}
        active = f"cluster.outbound|80||{host('shadow')}.upstream_rq_active"
        eventually(lambda: client.stat(active) == 0, "no copy under way")
        return shadow.counts()["/sometimes-copied"] - before

    assert within_three_sigma(requests, 0.3, copies)


def test_a_share_of_the_requests_is_aborted(client: Sidecar, shop: Instance) -> None:
    requests = 2000

    def aborted() -> int:
        before = shop.counts()["/aborted"]
        replies = client.batch("shop", requests, connections=8, path="/aborted")
        found = sum(reply.status == 418 for reply in replies)
        assert sum(reply.status == 200 for reply in replies) == requests - found
        assert shop.counts()["/aborted"] - before == requests - found
        return found

    assert within_three_sigma(requests, 0.2, aborted)


def test_an_aborted_grpc_call_has_the_status_in_its_trailers(client: Sidecar) -> None:
    reply = client.get("shop", "/grpc-aborted", method="POST", headers={"content-type": "application/grpc"})
    assert (reply.status, reply.headers["grpc-status"]) == (200, "14")


def test_a_share_of_the_requests_is_delayed(client: Sidecar) -> None:
    requests = 200

    def delayed() -> int:
        replies = client.batch("shop", requests, connections=20, path="/delayed")
        assert {reply.status for reply in replies} == {200}
        return sum(reply.seconds > 0.28 for reply in replies)  # Envoy's timers are a few milliseconds off

    assert within_three_sigma(requests, 0.3, delayed)


def test_a_request_may_be_delayed_and_then_aborted(client: Sidecar, shop: Instance) -> None:
    reply = client.get("shop", "/late-and-lost")
    assert reply.status == 503
    assert 0.28 < reply.seconds < 5
    assert shop.counts()["/late-and-lost"] == 0


def preflight(client: Sidecar, path: str, origin: str) -> Reply:
    headers = {"origin": origin, "access-control-request-method": "PUT"}
    return client.get("shop", path, method="OPTIONS", headers=headers)


def cors_headers(reply: Reply) -> Mapping[str, str]:
    prefix = "access-control-"
    return {name.removeprefix(prefix): value for name, value in reply.headers.items() if name.startswith(prefix)}


@pytest.mark.parametrize("origin", ["https://web.example", "https://blue.shop.example"])
def test_a_preflight_of_an_allowed_origin_is_answered_by_the_proxy(
    client: Sidecar, shop: Instance, origin: str
) -> None:
    reply = preflight(client, "/shared/preflight", origin)
    assert (reply.status, cors_headers(reply)) == (
        200,
        {
            "allow-origin": origin,
            "allow-methods": "GET,PUT",
            "allow-headers": "x-user",
            "allow-credentials": "true",
            "max-age": "3600",
            "expose-headers": "x-plain",
        },
    )
    assert shop.counts()["/shared/preflight"] == 0


def test_a_simple_request_of_an_allowed_origin_may_be_read(client: Sidecar) -> None:
    reply = client.get("shop", "/shared", headers={"origin": "https://web.example"})
    assert reply.instance == "shop-v1"
    expected = {"allow-origin": "https://web.example", "allow-credentials": "true", "expose-headers": "x-plain"}
    assert cors_headers(reply) == expected
    assert cors_headers(client.get("shop", "/shared", headers={"origin": "https://evil.example"})) == {}


def test_a_preflight_of_another_origin_is_passed_on_unless_it_is_to_be_ignored(client: Sidecar, shop: Instance) -> None:
    passed, ignored = (preflight(client, path, "https://evil.example") for path in ("/shared/evil", "/strict/evil"))
    assert (passed.instance, cors_headers(passed)) == ("shop-v1", {})
    assert (ignored.instance, cors_headers(ignored)) == ("", {})
    counts = shop.counts()
    assert (counts["/shared/evil"], counts["/strict/evil"]) == (1, 0)


def test_the_older_form_allows_every_origin_by_a_star(client: Sidecar) -> None:
    reply = preflight(client, "/open", "https://anybody.example")
    assert cors_headers(reply) == {"allow-origin": "https://anybody.example", "allow-methods": "GET"}


def test_a_delegate_decides_within_what_the_root_gave_it(client: Sidecar) -> None:
    narrow, rest = client.get("shop", "/delegated/v2"), client.get("shop", "/delegated")
    assert (narrow.instance, rest.instance) == ("shop-v2", "shop-v1")
    assert {reply.told["headers"]["x-by"] for reply in (narrow, rest)} == {"root"}
    assert client.get("shop", "/elsewhere").instance == "shop-v1"


def test_a_route_whose_delegate_is_missing_is_left_out_and_told(client: Sidecar, shared: Mesh) -> None:
    assert client.get("shop", "/gone").instance == "shop-v1"
    problems = shared.control.get("/debug/problems")
    assert "delegate virtual service 'default/nobody', not found" in problems.replace('\\"', '"')


@pytest.mark.parametrize(
    ("path", "status", "attempts"),
    [
        ("/5xx", 500, 3),
        ("/5xx", 404, 1),
        ("/gateway-error", 502, 3),
        ("/gateway-error", 500, 1),
        ("/retriable-4xx", 409, 3),
        ("/retriable-4xx", 404, 1),
        ("/codes", 429, 3),
        ("/codes", 500, 1),
        ("/default", 503, 3),
        ("/default", 500, 1),
    ],
)
def test_what_is_retried_is_what_the_route_says(
    client: Sidecar, moody: Instance, path: str, status: int, attempts: int
) -> None:
    moody.behave(failures=-1, status=status)
    asked = f"{path}/{status}"
    assert client.get("moody", asked).status == status
    assert moody.counts()[asked] == attempts


def test_a_connection_that_ends_instead_of_an_answer_is_retried_as_a_reset(client: Sidecar, moody: Instance) -> None:
    moody.behave(close=True)
    assert client.get("moody", "/codes/closed").status == 503
    assert moody.counts()["/codes/closed"] == 3


def test_scheme_and_authority_choose_the_route(client: Sidecar) -> None:
    assert client.get("shop", "/scheme").instance == "shop-v2"
    assert client.get("blue.shop.example", "/x").instance == "shop-v2"
    assert client.get("green.shop.example", "/x").instance == "shop-v1"


def test_a_route_with_a_stat_prefix_is_counted_by_itself(client: Sidecar) -> None:
    def counted() -> int:
        return sum(value for name, value in client.stats().items() if name.endswith(".route.blue.upstream_rq_total"))

    before = counted()
    client.get("blue.shop.example", "/counted")
    eventually(lambda: counted() == before + 1, "counted")


def test_what_is_for_a_gateway_is_not_for_sidecars(client: Sidecar) -> None:
    assert client.get("shop", "/gateway-only").instance == "shop-v1"


def test_a_rule_that_is_not_exported_to_the_client_does_not_hold(client: Sidecar, shadow: Instance) -> None:
    assert client.get("shadow", "/private").instance == shadow.name


def test_the_authority_is_set_among_the_headers(client: Sidecar) -> None:
    arrived = [client.get("shop", path).told["headers"]["host"] for path in ("/renamed", "/half-renamed")]
    assert arrived == ["renamed.example", "half.example"]


def test_the_header_fields_of_istio_1_1_mean_what_they_meant(client: Sidecar) -> None:
    reply = client.get("shop", "/older", headers={"x-secret": "s"})
    arrived = {name: value for name, value in reply.told["headers"].items() if name in ("x-append", "x-request")}
    assert arrived == {"x-append": "1", "x-request": "2"}
    assert "x-secret" not in reply.told["headers"]
    assert (reply.headers["x-response"], "x-plain" in reply.headers) == ("3", False)
