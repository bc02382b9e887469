"""What virtual services are refused or warned for, by Istio's rules."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from galley.checks.virtual_service import check_virtual_service
from galley.decode import decode
from galley.kinds.virtual_service import VirtualService

TO = "route: [{destination: {host: a}}]"


def findings(spec: str) -> list[tuple[str, bool]]:
    """Texts of all findings and whether they are warnings."""
    body: Any = yaml.safe_load(spec)
    found, decoded = decode(VirtualService, body, ("spec",))
    return [(each.text, each.warning) for each in (*decoded, *check_virtual_service(found))]


def http(rule: str) -> str:
    return f"{{hosts: [a], http: [{{{rule}}}]}}"


def tls(match: str, route: str = TO) -> str:
    return f"{{hosts: [a.x, '*.b.x'], tls: [{{match: [{match}], {route}}}]}}"


@pytest.mark.parametrize(
    "spec",
    [
        http("redirect: {uri: /x}"),
        http("redirect: {prefixRewrite: /x, redirectCode: 308}"),
        http(f"mirror: {{host: b}}, mirrorPercentage: {{value: 0.5}}, {TO}"),
        http(f"mirrors: [{{destination: {{host: b}}}}], {TO}"),
        http(f"fault: {{delay: {{fixedDelay: 1s, percentage: {{value: 1}}}}}}, {TO}"),
        http(f"fault: {{abort: {{grpcStatus: UNAVAILABLE, percentage: {{value: 1}}}}}}, {TO}"),
        http(
            f"corsPolicy: {{allowOrigins: [{{exact: https://a}}], allowMethods: [GET, '*'], allowHeaders: ['*']}}, {TO}"
        ),
        http(
            f"match: [{{scheme: {{exact: http}}, gateways: [mesh, ns/g], statPrefix: a.b, sourceNamespace: x}}], {TO}"
        ),
        http(f"retries: {{attempts: 1, retryOn: '5xx,429', retryRemoteLocalities: true}}, {TO}"),
        http("delegate: {name: b, namespace: c}"),
        http(f"headers: {{request: {{set: {{Host: b.example}}}}}}, {TO}"),
        http("directResponse: {status: 200, body: {bytes: AAE=}}, corsPolicy: {}"),
        f"{{http: [{{match: [{{uri: {{prefix: /}}}}], {TO}}}]}}",
        f"{{hosts: ['*'], gateways: [edge], http: [{{{TO}}}]}}",
        f"{{hosts: [a], exportTo: ['~'], http: [{{{TO}}}]}}",
        f"{{hosts: [a], exportTo: [., b], http: [{{{TO}}}]}}",
        tls("{sniHosts: [a.x, c.b.x, '*.b.x'], destinationSubnets: [10.0.0.0/8], port: 443}"),
        f"{{hosts: [a], tcp: [{{match: [{{destinationSubnets: [10.0.0.1, 'fd00::/8'], gateways: [mesh]}}], {TO}}}]}}",
    ],
)
def test_good_ones(spec: str) -> None:
    assert findings(spec) == []


REFUSED = [
    (http(f"redirect: {{uri: /x}}, {TO}"), "spec.http[0] cannot contain both route and redirect"),
    (http("redirect: {uri: /x}, directResponse: {status: 200}"), "cannot contain both redirect and directResponse"),
    (http("redirect: {uri: /x}, fault: {abort: {httpStatus: 500, percentage: {value: 1}}}"), "both fault and redirect"),
    (http("redirect: {uri: /x}, rewrite: {uri: /y}"), "both rewrite and redirect"),
    (http("directResponse: {status: 200}, rewrite: {uri: /y}"), "both rewrite and directResponse"),
    (http("redirect: {redirectCode: 301}"), "spec.http[0].redirect must specify one of uri, prefixRewrite, authority"),
    (http("redirect: {uri: /x, redirectCode: 304}"), "redirectCode 304 is not a redirect code that Envoy can give"),
    (http("redirect: {scheme: ftp}"), 'redirect.scheme scheme must be either "http" or "https", not \'ftp\''),
    (http("redirect: {port: 0}"), "redirect.port port number 0 must be in the range 1..65535"),
    (http("redirect: {port: 1, derivePort: FROM_REQUEST_PORT}"), "of which only one may be set"),
    (http("redirect: {uri: /x, prefixRewrite: /y}"), "may only contain one of uri and prefixRewrite"),
    (http("redirect: {authority: 'a/b'}"), "'a/b' is not a valid authority"),
    (http('redirect: {uri: "/x\\ny"}'), "redirect.uri has a line break or NUL"),
    (
        http(f"mirror: {{host: b}}, mirrors: [{{destination: {{host: b}}}}], {TO}"),
        "cannot contain both mirror and mirrors",
    ),
    (http(f"mirrors: [{{}}], {TO}"), "spec.http[0].mirrors[0] has no destination"),
    (http(f"mirror: {{}}, {TO}"), "spec.http[0].mirror.host is an empty host"),
    (http(f"mirror: {{host: b}}, mirrorPercentage: {{value: 101}}, {TO}"), "percentage 101.0 is not in range 0..100"),
    (http(f"mirror: {{host: b}}, mirrorPercent: 101, {TO}"), "percentage 101 is not in range 0..100"),
    (http(f"fault: {{}}, {TO}"), "spec.http[0].fault must have an abort, a delay or both"),
    (http(f"fault: {{delay: {{exponentialDelay: 1s}}}}, {TO}"), "exponentialDelay is not supported: Envoy has none"),
    (http(f"fault: {{delay: {{percentage: {{value: 1}}}}}}, {TO}"), "fault.delay has no fixedDelay"),
    (http(f"fault: {{delay: {{fixedDelay: 0s}}}}, {TO}"), "fixedDelay must be at least 0.001s"),
    (http(f"fault: {{abort: {{http2Error: x}}}}, {TO}"), "HTTP/2 abort fault injection is not supported"),
    (http(f"fault: {{abort: {{grpcStatus: BAD}}}}, {TO}"), "gRPC status 'BAD' is not supported"),
    (http(f"fault: {{abort: {{httpStatus: 199}}}}, {TO}"), "HTTP status 199 must be in the range 200..599"),
    (http(f"fault: {{abort: {{}}}}, {TO}"), "fault.abort has neither httpStatus nor grpcStatus"),
    (http(f"fault: {{abort: {{httpStatus: 500, percentage: {{value: -1}}}}}}, {TO}"), "is not in range 0..100"),
    (http(f"corsPolicy: {{allowMethods: [get]}}, {TO}"), "allowMethods[0] 'get' is not a supported HTTP method"),
    (http(f"corsPolicy: {{allowHeaders: ['a b']}}, {TO}"), "allowHeaders[0] 'a b' is not a valid header name"),
    (http(f"corsPolicy: {{allowOrigins: [{{}}]}}, {TO}"), "allowOrigins[0] says nothing to match"),
    (http(f"corsPolicy: {{allowOrigins: [{{regex: '('}}]}}, {TO}"), "allowOrigins[0].regex is not a valid"),
    (http(f"corsPolicy: {{maxAge: 1.5s}}, {TO}"), "maxAge must be in whole seconds"),
    (http(f"match: [{{gateways: ['a/']}}], {TO}"), "gateways[0] gateway namespace and name cannot be empty"),
    (http(f"match: [{{statPrefix: 'a b'}}], {TO}"), "statPrefix 'a b' has white space"),
    (http(f"match: [{{sourceNamespace: A}}], {TO}"), "sourceNamespace 'A' is not a valid DNS label"),
    (http(f"appendHeaders: {{':path': x}}, {TO}"), "':path' cannot be changed here"),
    (http(f"delegate: {{name: b}}, {TO}"), "spec.http[0] cannot contain both route and delegate"),
    (http(f"headers: {{response: {{set: {{Host: b}}}}}}, {TO}"), "'Host' cannot be changed here"),
    (http(f"headers: {{request: {{remove: [host]}}}}, {TO}"), "'host' cannot be changed here"),
    (
        http(f"rewrite: {{authority: b}}, headers: {{request: {{add: {{host: b}}}}}}, {TO}"),
        "sets the authority several",
    ),
    (http("delegate: {}"), "spec.http[0].delegate.name is missing"),
    (http("delegate: {name: b}, match: [{uri: {regex: a}}]"), "uri match does not support regex match for delegating"),
    ("{http: [{delegate: {name: b}}]}", "a delegate's HTTP route cannot contain delegate"),
    (f"{{gateways: [g], http: [{{{TO}}}]}}", "a delegate virtual service (it has no hosts) must have no gateways"),
    (f"{{http: [{{match: [{{headers: {{x: {{regex: a}}}}}}], {TO}}}]}}", "headers match does not support regex match"),
    (f"{{tcp: [{{{TO}}}]}}", "virtual service must have at least one host"),
    (f"{{hosts: ['*'], gateways: [edge, mesh], http: [{{{TO}}}]}}", "wildcard host '*' is not allowed"),
    (tls("{}"), "spec.tls[0].match[0].sniHosts TLS match must have at least one SNI host"),
    (tls("{sniHosts: [c.x]}"), "SNI host 'c.x' is not a compatible subset of any of the virtual service domains"),
    (tls("{sniHosts: ['*.x']}"), "SNI host '*.x' is not a compatible subset"),
    (tls("{sniHosts: ['*']}"), "SNI host '*' is not a compatible subset"),
    (tls("{sniHosts: [a.x], sourceSubnet: 10.0.0.0/8}"), "sourceSubnet is not supported by this version"),
    (tls("{sniHosts: [a.x], destinationSubnets: [10.0.0.0/33]}"), "'10.0.0.0/33' is not an IP address or subnet"),
    (tls("{sniHosts: [a.x]}", "route: []"), "spec.tls[0] TLS route is required"),
    (f"{{hosts: [a], tls: [{{{TO}}}]}}", "spec.tls[0] TLS route must have at least one match condition"),
    (f"{{hosts: [a], tcp: [{{match: [{{sourceSubnet: 10.0.0.1}}], {TO}}}]}}", "sourceSubnet is not supported"),
]


@pytest.mark.parametrize(("spec", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_bad_ones(spec: str, text: str) -> None:
    assert [each for each, warning in findings(spec) if text in each and not warning]


WARNED = [
    (http("redirect: {uri: /x}, timeout: 1s"), "spec.http[0].timeout has no effect beside redirect"),
    (http("directResponse: {status: 200}, mirror: {host: b}"), "spec.http[0].mirror has no effect beside"),
    (http(f"mirrorPercentage: {{value: 1}}, {TO}"), "spec.http[0].mirrorPercentage has no effect without mirror"),
    (http(f"fault: {{abort: {{httpStatus: 500}}}}, {TO}"), "has no percentage, so no request is aborted"),
    (http(f"fault: {{delay: {{fixedDelay: 1s}}}}, {TO}"), "has no percentage, so no request is delayed"),
    (http(f"fault: {{delay: {{fixedDelay: 1s, percent: 5}}}}, {TO}"), "spec.http[0].fault.delay.percent is deprecated"),
    (http(f"mirror: {{host: b}}, mirrorPercent: 5, {TO}"), "spec.http[0].mirrorPercent is deprecated"),
    (http(f"corsPolicy: {{allowOrigin: ['*']}}, {TO}"), "spec.http[0].corsPolicy.allowOrigin is deprecated"),
    (http(f"websocketUpgrade: true, {TO}"), "spec.http[0].websocketUpgrade is deprecated"),
    (http(f"removeResponseHeaders: [x], {TO}"), "spec.http[0].removeResponseHeaders is deprecated"),
]


@pytest.mark.parametrize(("spec", "text"), WARNED, ids=[text for _, text in WARNED])
def test_what_is_only_warned_about(spec: str, text: str) -> None:
    ((found, warning),) = findings(spec)
    assert text in found
    assert warning
