"""Routes and grants of the Gateway API: what is refused, and how it is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.gateway_api.objects import API, TO_WEB
from tests.unit.galley.objects import refusals, warnings

PARENTS = [{"name": "edge"}]
SET = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}


def refused(rule: dict[str, Any], kind: str = "HTTPRoute", **spec: Any) -> list[str]:
    return refusals(kind, {"parentRefs": PARENTS, "rules": [rule], **spec}, api_version=API)


def one(found: list[str], message: str) -> None:
    assert any(message in each for each in found), found


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ({"path": {"value": "a"}}, "is not an absolute path"),
        ({"path": {"value": "/a//b"}}, "must not contain '//' when type is PathPrefix"),
        ({"path": {"type": "Exact", "value": "/a/../b"}}, "must not contain '/../' when type is Exact"),
        ({"path": {"value": "/a%2fb"}}, "must not contain '%2f'"),
        ({"path": {"value": "/a#b"}}, "must not contain '#'"),
        ({"path": {"value": "/a/.."}}, "must not contain '/..'"),
        ({"path": {"value": "/a b"}}, "has characters that no path has"),
        ({"path": {"type": "RegularExpression", "value": "("}}, "is not a valid regular expression"),
        ({"path": {"type": "Glob", "value": "/"}}, "expected one of PathPrefix, Exact, RegularExpression"),
        ({"method": "get"}, "'get' is not a known method"),
        ({"headers": [{"name": "a b", "value": "c"}]}, "is not a valid header name"),
        ({"headers": [{"name": "a"}]}, "headers[0].value is missing"),
        ({"headers": [{"name": "a", "type": "RegularExpression", "value": "("}]}, "not a valid regular expression"),
        ({"queryParams": [{"name": "", "value": "c"}]}, "is not a valid header name"),
    ],
)
def test_bad_matches(match: dict[str, Any], message: str) -> None:
    one(refused({"matches": [match], **TO_WEB}), message)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([{}], "filters[0].type is missing"),
        ([{"type": "CORS"}], "filters[0].cors is missing, and needed for type CORS"),
        ([{**SET, "cors": {}}], "cors must be left out where type is RequestHeaderModifier"),
        ([SET, SET], "RequestHeaderModifier filter cannot be repeated"),
        ([{"type": "ExtensionRef", "extensionRef": {}}], "ExtensionRef is not supported by this version"),
        ([{"type": "ExternalAuth", "externalAuth": {}}], "ExternalAuth is not supported by this version"),
        ([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a"}]}}], "value is missing"),
        (
            [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "a", "value": "\n"}]}}],
            "contro",
        ),
        ([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["Host"]}}], "Host can't be removed"),
        ([{"type": "RequestMirror", "requestMirror": {}}], "requestMirror.backendRef is missing"),
        ([{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "a"}}}], "backendRef.port is missing"),
        (
            [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "a", "port": 1}, "percent": 101}}],
            "expected an integer from 0 to 100",
        ),
        (
            [{"type": "RequestMirror", "requestMirror": {"percent": 1, "fraction": {"numerator": 1}}}],
            "percent and fraction, of which only one",
        ),
        (
            [{"type": "RequestMirror", "requestMirror": {"fraction": {"numerator": 2, "denominator": 1}}}],
            "numerator must be less than or equal to denominator",
        ),
        ([{"type": "URLRewrite", "urlRewrite": {"path": {}}}], "path.type is missing"),
        ([{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}}], "replaceFullPath is missing"),
        (
            [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replacePrefixMatch": "/"}}}],
            "replacePrefixMatch must be left out where type is ReplaceFullPath",
        ),
        (
            [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "a"}}}],
            "does not begin with '/'",
        ),
        ([{"type": "URLRewrite", "urlRewrite": {"hostname": "*.a"}}], "is not a valid hostname"),
        ([{"type": "CORS", "cors": {"allowOrigins": ["a"]}}], "'a' is not an origin"),
        ([{"type": "CORS", "cors": {"allowOrigins": ["*", "https://a"]}}], "cannot contain '*' alongside others"),
        ([{"type": "CORS", "cors": {"allowMethods": ["get"]}}], "'get' is not a known method"),
        ([{"type": "CORS", "cors": {"allowHeaders": ["*"], "allowCredentials": True}}], "browsers read it literally"),
        ([{"type": "CORS", "cors": {"maxAge": 0}}], "expected an integer from 1"),
        ([{"type": "Other"}], "expected one of RequestHeaderModifier"),
    ],
)
def test_bad_filters(filters: list[dict[str, Any]], message: str) -> None:
    one(refused({"filters": filters, **TO_WEB}), message)


@pytest.mark.parametrize(
    ("redirect", "message"),
    [
        ({"scheme": "ftp"}, "'ftp' is not a known scheme"),
        ({"statusCode": 304}, "304 does not redirect"),
        ({"port": 0}, "expected an integer from 1 to 65535"),
        ({"hostname": "a..b"}, "is not a valid hostname"),
    ],
)
def test_bad_redirects(redirect: dict[str, Any], message: str) -> None:
    one(refused({"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}), message)


def test_a_redirect_stands_alone() -> None:
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
    one(refused({"filters": [redirect], **TO_WEB}), "must not be used together with backendRefs")
    rewrite = {"type": "URLRewrite", "urlRewrite": {"hostname": "a.example"}}
    one(refused({"filters": [redirect, rewrite]}), "cannot contain both RequestRedirect and URLRewrite")


@pytest.mark.parametrize("matches", [[{"path": {"type": "Exact", "value": "/a"}}], [{}, {"path": {"value": "/a"}}]])
def test_a_prefix_that_is_replaced_must_be_one(matches: list[dict[str, Any]]) -> None:
    change = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}
    message = "exactly one PathPrefix match must be specified"
    one(refused({"matches": matches, "filters": [{"type": "URLRewrite", "urlRewrite": change}], **TO_WEB}), message)
    one(refused({"matches": matches, "filters": [{"type": "RequestRedirect", "requestRedirect": change}]}), message)


def test_a_destination_may_change_headers_only() -> None:
    rewrite = {"type": "URLRewrite", "urlRewrite": {"hostname": "a.example"}}
    one(refused({"backendRefs": [{"name": "web", "port": 80, "filters": [rewrite]}]}), "for one destination")
    assert not refused({"backendRefs": [{"name": "web", "port": 80, "filters": [SET]}]})


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ({"name": "web"}, "backendRefs[0].port is missing, and needed for a Service"),
        ({"port": 80}, "backendRefs[0].name is missing"),
        ({"name": "web", "port": 80, "weight": -1}, "expected an integer from 0 to 1000000"),
        ({"name": "web", "port": 80, "weight": 1000001}, "expected an integer from 0 to 1000000"),
        ({"name": "web", "port": 80, "namespace": "A"}, "is not a valid DNS label"),
        ({"name": "web", "port": 80, "kind": ""}, "backendRefs[0].kind is missing"),
    ],
)
@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute", "TLSRoute"])
def test_bad_backends(kind: str, backend: dict[str, Any], message: str) -> None:
    one(refused({"backendRefs": [backend]}, kind), message)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"timeouts": {"request": "1s", "backendRequest": "2s"}}, "cannot be longer than request timeout"),
        ({"timeouts": {"request": "-1s"}}, "must be at least 0s"),
        ({"timeouts": {"request": 1}}, "expected a duration"),
        ({"retry": {"codes": [200]}}, "expected an integer from 400 to 599"),
        ({"retry": {"attempts": -1}}, "expected an integer from 0"),
        ({"sessionPersistence": {}}, "consistentHash.httpCookie"),
        ({"name": "A"}, "is not a valid name"),
        ({"nonsense": 1}, "is not a known field"),
    ],
)
def test_bad_rules(rule: dict[str, Any], message: str) -> None:
    one(refused({**rule, **TO_WEB}), message)


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ({}, "parentRefs[0].name is missing"),
        ({"name": "a", "kind": "Ingress"}, "gateway.networking.k8s.io/Ingress can't be a parent here"),
        ({"name": "a", "kind": "Service", "group": "", "sectionName": "b"}, "has no meaning for a Service"),
        ({"name": "a", "port": 70000}, "expected an integer from 1 to 65535"),
    ],
)
def test_bad_parents(parent: dict[str, Any], message: str) -> None:
    one(refused(TO_WEB, parentRefs=[parent]), message)


def test_a_parent_is_named_once() -> None:
    one(refused(TO_WEB, parentRefs=[*PARENTS, *PARENTS]), "refers to the same parent as one before it")
    assert not refused(TO_WEB, parentRefs=[{"name": "a", "sectionName": "b"}, {"name": "a", "sectionName": "c"}])


def test_a_route_of_nothing_is_told_of() -> None:
    (found,) = warnings("HTTPRoute", {"rules": [TO_WEB]}, api_version=API)
    assert "it has no effect" in found


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({}, "one or both of service or method must be specified"),
        ({"service": "a/b"}, "'a/b' is not the name of a service"),
        ({"method": "a.b"}, "'a.b' is not the name of a method"),
        ({"type": "RegularExpression", "method": "("}, "is not a valid regular expression"),
    ],
)
def test_bad_grpc_methods(method: dict[str, str], message: str) -> None:
    one(refused({"matches": [{"method": method}], **TO_WEB}, "GRPCRoute"), message)


def test_a_grpc_route_has_fewer_filters() -> None:
    one(refused({"filters": [{"type": "CORS"}], **TO_WEB}, "GRPCRoute"), "CORS is no filter of a GRPCRoute")
    one(refused({"filters": [{"type": "CORS", "cors": {}}], **TO_WEB}, "GRPCRoute"), "is not a known field")
    one(refused({"sessionPersistence": {}, **TO_WEB}, "GRPCRoute"), "consistentHash.httpHeaderName")


def test_a_tls_route_is_one_rule_that_leads_somewhere() -> None:
    one(refusals("TLSRoute", {"parentRefs": PARENTS}, api_version=API), "must be one rule, not 0")
    one(refusals("TLSRoute", {"parentRefs": PARENTS, "rules": [TO_WEB, TO_WEB]}, api_version=API), "one rule, not 2")
    one(refused({}, "TLSRoute"), "backendRefs is missing")
    one(
        refused(TO_WEB, "TLSRoute", parentRefs=[{"group": "", "kind": "Service", "name": "a"}]),
        "can't be a parent here",
    )
    one(refused(TO_WEB, "TLSRoute", hostnames=["10.0.0.1"]), "is an IP address")


def test_a_grant_says_who_and_what() -> None:
    assert refusals("ReferenceGrant", {}, api_version=API) == ["spec.from is missing", "spec.to is missing"]
    spec = {"from": [{"group": "A b", "kind": "HTTPRoute", "namespace": "a"}], "to": [{"group": "", "kind": ""}]}
    found = refusals("ReferenceGrant", spec, api_version=API)
    one(found, "spec.from[0].group 'A b' is not a valid name")
    one(found, "spec.to[0].kind is missing")


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("HTTPRoute", "v1beta1"),
        ("GRPCRoute", "v1"),
        ("TLSRoute", "v1alpha2"),
        ("TLSRoute", "v1alpha3"),
        ("TLSRoute", "v1"),
    ],
)
def test_versions(kind: str, version: str) -> None:
    assert not refusals(
        kind, {"parentRefs": PARENTS, "rules": [TO_WEB]}, api_version=f"gateway.networking.k8s.io/{version}"
    )
