"""One document: what passes, and for each thing that may be wrong its place, its words and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from galley.finding import Finding
from galley.validate import validate
from tests.unit.galley.documents import ROUTED, destination_rule, document, virtual_service

TO = "route: [{destination: {host: a}}]"


def http(rest: str) -> str:
    """A VirtualService with one HTTP rule, written in flow style in line 6."""
    return virtual_service(f"hosts: [a]\nhttp: [{{{TO}, {rest}}}]\n")


def test_a_good_document_becomes_an_object() -> None:
    text = virtual_service().replace(
        "{name: reviews}", "{name: reviews, namespace: shop, labels: {b: x, a: y}, uid: z}"
    )
    verdict = validate(document(text))
    assert not verdict.problems
    assert verdict.object is not None
    assert str(verdict.object) == "VirtualService shop/reviews"
    assert verdict.object.origin == "rules.yaml:1"
    assert verdict.object.labels == (("a", "y"), ("b", "x"))


def test_the_namespace_is_default_unless_given() -> None:
    verdict = validate(document(destination_rule()))
    assert verdict.object is not None
    assert verdict.object.namespace == "default"


def test_all_problems_of_a_document_are_told_each_at_its_place() -> None:
    text = virtual_service(
        """
        hosts: [a, a]
        http:
        - route:
          - destination: {host: a}
            weight: 80
          - destination: {host: b}
            weight: 10
        - timeout: soon
        """
    )
    assert [str(problem).split("\n")[0] for problem in validate(document(text)).problems] == [
        "rules.yaml:13:5  VirtualService default/reviews: spec.http[1].timeout expected a duration, got 'soon'",
        "rules.yaml:6:14  VirtualService default/reviews: spec.hosts[1] duplicate host 'a' in virtual service",
        "rules.yaml:8:5  VirtualService default/reviews: spec.http[0].route weights sum to 90, not 100",
    ]


def test_what_follows_from_a_broken_field_is_not_told_again() -> None:
    text = virtual_service(
        "hosts: [a]\nhttp: [{route: [{destination: {host: a}, weight: x}, {destination: {host: b}, weight: 9}]}]\n"
    )
    (problem,) = validate(document(text)).problems
    assert problem.message == "spec.http[0].route[0].weight expected an integer, got 'x'"


def test_snake_case_finds_its_place_as_near_as_possible() -> None:
    text = destination_rule("host: a\ntraffic_policy:\n  connection_pool:\n    tcp: {max_connections: -1}\n")
    (problem,) = validate(document(text)).problems
    assert problem.where == "rules.yaml:4:1"


SUPPORTED = [
    http("match: [{name: m, uri: {prefix: /}, method: {exact: GET}, authority: {regex: 'a.*'}, port: 80}]"),
    http("match: [{headers: {x: {}}, withoutHeaders: {y: {exact: z}}, queryParams: {q: {}}, ignoreUriCase: true}]"),
    http("match: [{sourceLabels: {app: a}, sourceNamespace: shop}], name: first"),
    http("rewrite: {uri: /b, authority: 'b.example:80'}, timeout: 0s"),
    http(r"rewrite: {uriRegexRewrite: {match: '/(\\w+)/(.*)', rewrite: '/\\2'}}".replace(r"\\", "\\")),
    http("retries: {attempts: 0}"),
    http("retries: {attempts: 3, perTryTimeout: 1s, retryOn: '5xx,503', backoff: 25ms, retryIgnorePreviousHosts: no}"),
    http("headers: {request: {set: {x: '%%1'}, remove: [y]}, response: {add: {z: '1'}}}"),
    virtual_service(
        "hosts: ['*.a.org', 10.0.0.1]\nhttp: [{directResponse: {status: 503, body: {string: no}}}]\n"
    ).replace("no}", "'no'}"),
    virtual_service("hosts: [a]\ngateways: [mesh]\nexportTo: ['*']\ntcp: [{match: [{port: 80}], " + TO + "}]\n"),
    virtual_service("hosts: [a]\nhttp: [{route: [{destination: {host: a}, weight: 7}]}]\n"),
    destination_rule(
        "host: a\nsubsets: [{name: v1, labels: {v: '1'}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]\n"
    ),
    destination_rule(
        "host: '*.a.org'\ntrafficPolicy: {tls: {mode: DISABLE}, portLevelSettings: [{port: {number: 80}, tls: {}}]}\n"
    ),
    destination_rule(
        "host: a\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 1, connectTimeout: 30ms, tcpKeepalive: {"
        "probes: 3, time: 7200s, interval: 75s}, maxConnectionDuration: 1h, "
        "idleTimeout: 0s}, http: {http1MaxPendingRequests: 1,"
        " http2MaxRequests: 1, maxRequestsPerConnection: 1, maxRetries: 1, idleTimeout: 1s}}}\n"
    ),
    destination_rule(
        "host: a\ntrafficPolicy: {outlierDetection: {consecutiveGatewayErrors: 0, consecutive5xxErrors: 7, interval: 5m"
        ", baseEjectionTime: 15m, maxEjectionPercent: 100, minHealthPercent: 0, splitExternalLocalOriginErrors: true,"
        " consecutiveLocalOriginFailures: 3}}\n"
    ),
]


@pytest.mark.parametrize("text", SUPPORTED)
def test_what_is_supported_passes(text: str) -> None:
    assert [str(problem) for problem in validate(document(text)).problems] == []


BAD = [
    # the document
    (
        virtual_service().replace("kind: VirtualService", "kind: Virtual"),
        "kind:",
        "kind 'Virtual' is not a known kind",
        "known kinds are",
    ),
    (
        virtual_service().replace("/v1", "/v7"),
        "apiVersion:",
        "apiVersion 'networking.istio.io/v7' is not a known",
        "v1alpha3",
    ),
    (virtual_service().replace("kind: VirtualService\n", ""), "apiVersion:", "kind is missing", "known kinds are"),
    (virtual_service() + "spce: {}\n", "spce:", "spce is not a known field", "known are apiVersion"),
    (
        virtual_service().replace("{name: reviews}", "{nam: reviews}"),
        "nam:",
        "metadata.nam is not a known field",
        "did you mean name?",
    ),
    (
        virtual_service().replace("{name: reviews}", "{}"),
        "metadata:",
        "metadata.name is missing",
        "give the object a name",
    ),
    (
        virtual_service().replace("metadata: {name: reviews}\n", ""),
        "apiVersion:",
        "metadata is missing",
        "add metadata",
    ),
    (
        virtual_service(name="My_Rule").replace("[My_Rule]", "[a]"),
        "name:",
        "metadata.name 'My_Rule' is not a valid name",
        "lower case",
    ),
    (
        virtual_service().replace("reviews}", "reviews, namespace: A}", 1),
        "namespace:",
        "metadata.namespace 'A' is not",
        "lower case",
    ),
    (
        virtual_service().replace("reviews}", "reviews, labels: {v: 1}}", 1),
        "v:",
        "metadata.labels.v expected a string",
        "quotes",
    ),
    (virtual_service("{}\n"), "spec:", "spec.hosts virtual service must have at least one host", "list the hosts"),
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n",
        "apiVersion:",
        "spec is missing",
        "add the spec",
    ),
    # VirtualService
    (virtual_service("hosts: [a]\n"), "spec:", "spec must have at least one of http, tcp and tls", "add a route"),
    (
        virtual_service(ROUTED.replace("[reviews]", "['*']", 1)),
        "'*'",
        "spec.hosts[0] wildcard host '*' is not allowed",
        "name the hosts",
    ),
    (
        virtual_service(ROUTED.replace("[reviews]", "['a.*']", 1)),
        "'a.*'",
        "spec.hosts[0] 'a.*' has a wildcard",
        "in front",
    ),
    (
        virtual_service(ROUTED.replace("[reviews]", "['a:80']", 1)),
        "'a:80'",
        "spec.hosts[0] 'a:80' is not a valid host",
        "without port",
    ),
    (
        virtual_service(ROUTED + "gateways: [/g]\n"),
        "/g",
        "spec.gateways[0] gateway namespace and name cannot be empty",
        "NAMESPACE/NAME",
    ),
    (
        virtual_service(ROUTED + "exportTo: ['*', a]\n"),
        "exportTo:",
        "spec.exportTo has '*' beside other namespaces",
        "keep '*' alone",
    ),
    (
        virtual_service("hosts: [a]\nhttp: [{name: x}]\n"),
        "{name: x}]",
        "spec.http[0] needs one of route, redirect, directResponse and delegate",
        "add a route",
    ),
    (
        http("directResponse: {status: 200}"),
        "{route: [{dest",
        "spec.http[0] cannot contain both route and directResponse",
        "keep one",
    ),
    (http("timeout: -1s"), "timeout:", "spec.http[0].timeout must be at least 0s, not -1s", ""),
    (
        http("timeout: 1500us"),
        "timeout:",
        "spec.http[0].timeout must be in whole milliseconds, not 0.0015s",
        "round it",
    ),
    (
        http("retries: {attempts: -1}"),
        "attempts:",
        "spec.http[0].retries.attempts attempts cannot be negative",
        "0 disables",
    ),
    (
        http("retries: {attempts: 1, backoff: 0s}"),
        "backoff:",
        "spec.http[0].retries.backoff must be at least 0.001s",
        "",
    ),
    (
        http("retries: {retryOn: '5xx,always'}"),
        "retryOn:",
        "spec.http[0].retries.retryOn 'always' is not a retry policy",
        "connect-failure",
    ),
    (http("rewrite: {}"), "rewrite:", "spec.http[0].rewrite must specify one of uri, authority", "add one"),
    (
        http("rewrite: {uriRegexRewrite: {match: '(a', rewrite: b}}"),
        "match:",
        "spec.http[0].rewrite.uriRegexRewrite.match is not a valid",
        "RE2",
    ),
    (
        http(r"rewrite: {uriRegexRewrite: {match: a, rewrite: '\1'}}"),
        "rewrite:",
        r"refers to group \1, but match has 0",
        "parentheses",
    ),
    (
        http("rewrite: {uri: /, uriRegexRewrite: {match: a}}"),
        "rewrite:",
        "spec.http[0].rewrite may only contain one of",
        "keep one",
    ),
    (
        http("match: [{uri: {regex: '(?=a)'}}]"),
        "regex:",
        "spec.http[0].match[0].uri.regex is not a valid RE2",
        "without",
    ),
    (http("match: [{uri: {}}]"), "uri:", "spec.http[0].match[0].uri says nothing to match", "give it one of"),
    (
        http("match: [{headers: {x: {prefix: ''}}}]"),
        "prefix:",
        "spec.http[0].match[0].headers.x.prefix is empty",
        "leave",
    ),
    (http("match: [{headers: {'x y': {}}}]"), "'x y'", "headers[\"x y\"] 'x y' is not a valid header name", "letters"),
    (http("match: [{port: 70000}]"), "port:", "spec.http[0].match[0].port port number 70000 must be in the range", ""),
    (http("headers: {request: {set: {':path': x}}}"), "':path'", "':path' cannot be changed here", "rewrite.uri"),
    (http("headers: {request: {set: {x: '5%'}}}"), "x:", "has a single '%' in its value", "%%"),
    (http('headers: {request: {set: {x: "a\\nb"}}}'), "x:", "has a line break or NUL", "one line"),
    (
        virtual_service("hosts: [a]\nhttp: [{directResponse: {status: 99}}]\n"),
        "status:",
        "spec.http[0].directResponse.status HTTP status 99 must be in the range 200..599",
        "",
    ),
    (
        virtual_service("hosts: [a]\nhttp: [{route: [{weight: 1}]}]\n"),
        "{weight: 1}]}]",
        "spec.http[0].route[0] has no destination",
        "say where",
    ),
    (
        virtual_service("hosts: [a]\nhttp: [{route: [{destination: {host: a}, weight: -5}]}]\n"),
        "weight:",
        "spec.http[0].route[0].weight -5 is negative",
        "shares of 100",
    ),
    (
        virtual_service("hosts: [a]\ntcp: [{route: [{destination: {host: a, port: {number: 0}}}]}]\n"),
        "number:",
        "spec.tcp[0].route[0].destination.port.number port number 0 must be in the range 1..65535",
        "",
    ),
    (virtual_service("hosts: [a]\ntcp: [{}]\n"), "{}]", "spec.tcp[0] needs a route", "add a route"),
    # DestinationRule
    (destination_rule("{}\n"), "spec:", "spec.host is an empty host", "name a host"),
    (
        destination_rule("host: a\nsubsets: [{name: A}]\n"),
        "name:",
        "spec.subsets[0].name 'A' is not a valid DNS label",
        "lower case",
    ),
    (
        destination_rule("host: a\nsubsets: [{name: b}, {name: b}]\n"),
        "name:",
        "spec.subsets[1].name duplicate subset name 'b'",
        "rename",
    ),
    (
        destination_rule("host: a\ntrafficPolicy: {loadBalancer: {zoneAwareLbSetting: {enabled: true}}}\n"),
        "zoneAwareLbSetting:",
        "zoneAwareLbSetting is not supported by this version of mesh-adapter: Envoy would have to know",
        "remove it",
    ),
    (
        destination_rule("host: a\ntrafficPolicy: {tls: {mode: ISTIO_MUTUAL, privateKey: /key.pem}}\n"),
        "privateKey:",
        "spec.trafficPolicy.tls.privateKey can't be given with mode ISTIO_MUTUAL",
        "use MUTUAL",
    ),
    (
        destination_rule("host: a\ntrafficPolicy: {outlierDetection: {maxEjectionPercent: 101}}\n"),
        "maxEjectionPercent:",
        "spec.trafficPolicy.outlierDetection.maxEjectionPercent percentage 101 is not in range 0..100",
        "",
    ),
    (
        destination_rule("host: a\ntrafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 100ms}}}}\n"),
        "time:",
        "tcpKeepalive.time must be at least 1s, not 0.1s",
        "",
    ),
    (
        destination_rule("host: a\ntrafficPolicy: {portLevelSettings: [{}]}\n"),
        "{}]}",
        "spec.trafficPolicy.portLevelSettings[0] has no port",
        "port.number",
    ),
    (
        destination_rule(
            "host: a\ntrafficPolicy:\n"
            "  portLevelSettings: [{port: {number: 1}, tls: {}}, {port: {number: 1}, tls: {}}]\n"
        ),
        "port:",
        "spec.trafficPolicy.portLevelSettings[1].port port 1 is given twice",
        "merge",
    ),
]


@pytest.mark.parametrize(("text", "place", "message", "mend"), BAD, ids=[case[2] for case in BAD])
def test_what_is_bad_is_told_with_place_and_mend(text: str, place: str, message: str, mend: str) -> None:
    """`place` is what stands at the line and column that the problem names."""
    verdict = validate(document(text))
    assert verdict.object is None
    first = verdict.problems[0]
    assert message in first.message
    assert mend in first.mend
    unit, line, column = first.where.split(":")
    assert unit == "rules.yaml"
    assert text.splitlines()[int(line) - 1][int(column) - 1 :].startswith(place)


def test_a_warning_leaves_the_object_in() -> None:
    verdict = validate(document(http("match: [{uri: {regex: a}}], rewrite: {uri: /b}")))
    assert verdict.object is not None
    (problem,) = verdict.problems
    assert problem.warning
    assert "replaces the whole path" in problem.message


@pytest.mark.parametrize(
    "text", ["a: 1\n", "kind: [x]\nmetadata: 3\nspec: 4\n", "metadata: {name: {}}\n", "1: 2\n", "spec: []\n"]
)
def test_nonsense_is_told_and_survived(text: str) -> None:
    verdict = validate(document(text))
    assert verdict.object is None
    assert verdict.problems


def test_checks_that_others_bring_count_for_their_kind() -> None:
    def refuse(spec: Any) -> Iterator[Finding]:
        yield Finding(("spec", "hosts", 0), f"{spec.hosts[0]!r} is not liked", "choose another")

    found = validate(document(virtual_service()), {"VirtualService": refuse})
    assert found.object is None
    assert [each.message for each in found.problems] == ["spec.hosts[0] 'reviews' is not liked"]
    assert validate(document(destination_rule()), {"VirtualService": refuse}).object is not None
