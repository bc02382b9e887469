"""Rules of routes: their order across routes, and what they become."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest

from galley.config import Config
from galley.gateway_api.translate import translate
from galley.kinds.virtual_service import HTTPRetry, StringMatch
from tests.unit.galley.gateway_api.objects import TO_WEB, WEB, gateway, route, rules, translated


def rule(*matches: dict[str, Any], name: str = "", **more: Any) -> dict[str, Any]:
    return {"matches": list(matches), **({"name": name} if name else {}), **TO_WEB, **more}


def order(*routes: Any) -> list[str]:
    """The names of rules as they are asked."""
    return [each.name for each in rules(translated(gateway(), *routes))]


FIRST_TO_LAST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("exact", {"path": {"type": "Exact", "value": "/a"}}),
    ("long", {"path": {"value": "/a/b/c"}}),
    ("method", {"path": {"value": "/a"}, "method": "GET"}),
    ("headers", {"path": {"value": "/a"}, "headers": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]}),
    ("header", {"path": {"value": "/a"}, "headers": [{"name": "a", "value": "1"}]}),
    ("queries", {"path": {"value": "/a"}, "queryParams": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]}),
    ("query", {"path": {"value": "/a"}, "queryParams": [{"name": "a", "value": "1"}]}),
    ("plain", {"path": {"value": "/a"}}),
    ("regex", {"path": {"type": "RegularExpression", "value": "/a.*"}}),
    ("any", {}),
)


@pytest.mark.parametrize(
    "pair", list(itertools.combinations(FIRST_TO_LAST, 2)), ids=lambda pair: f"{pair[0][0]}-{pair[1][0]}"
)
def test_the_more_specific_rule_is_asked_first_wherever_it_stands(pair: Any) -> None:
    (first, one), (second, other) = pair
    told = [f"default.web.{first}", f"default.web.{second}"]
    assert order(route(rule(other, name=second), rule(one, name=first))) == told
    assert order(route(rule(one, name=first), rule(other, name=second))) == told


def test_of_equal_rules_the_oldest_route_has_it_then_the_first_by_name_then_the_first_in_the_route() -> None:
    new = route(rule({}), name="a", creationTimestamp="2026-01-02T00:00:00Z")
    old = route(rule({}), name="b", creationTimestamp="2026-01-01T00:00:00+00:00")
    ageless = route(rule({}, name="x"), rule({}, name="w"), name="c")
    assert order(new, old, ageless) == ["default.c.x", "default.c.w", "default.b.0", "default.a.0"]
    assert order(route(rule({}), name="b"), route(rule({}), name="a")) == ["default.a.0", "default.b.0"]


def test_a_rule_knows_the_route_that_wrote_it() -> None:
    (only,) = rules(translated(gateway(), route()))
    assert only.origin == "HTTPRoute default/web"


def test_a_route_that_says_no_rules_takes_everything_and_leads_nowhere() -> None:
    (only,) = rules(translated(gateway(), route(spec={"rules": [{}]})))
    assert only.direct_response
    assert only.direct_response.status == 500
    assert only.match[0].uri == StringMatch(prefix="/")


@pytest.mark.parametrize(
    ("path", "matched", "replacement", "made"),
    [
        ("/foo", "/foo/bar", "/xyz", "/xyz/bar"),
        ("/foo", "/foo/bar", "/xyz/", "/xyz/bar"),
        ("/foo/", "/foo/bar", "/xyz", "/xyz/bar"),
        ("/foo/", "/foo/bar", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo", "/foo/", "/xyz", "/xyz/"),
        ("/foo", "/foo/bar", "", "/bar"),
        ("/foo", "/foo/", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo", "/foo/", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/", "/bar", "/xyz", "/xyz/bar"),
        ("/", "/bar", "/", "/bar"),
    ],
)
def test_a_prefix_is_replaced_as_the_specification_shows(path: str, matched: str, replacement: str, made: str) -> None:
    change = {"type": "ReplacePrefixMatch", "replacePrefixMatch": replacement}
    filters = [{"type": "URLRewrite", "urlRewrite": {"path": change}}]
    found = rules(translated(gateway(), route(rule({"path": {"value": path}}, filters=filters))))
    assert made in [_rewritten(each.match[0].uri, each.rewrite.uri, matched) for each in found if each.rewrite]


def _rewritten(uri: StringMatch | None, rewrite: str, path: str) -> str:
    """As Envoy does: what the match matched gives way."""
    assert uri is not None
    if uri.exact is not None:
        return rewrite if path == uri.exact else ""
    prefix = uri.elements or uri.prefix or ""
    whole = uri.elements is None or path == prefix or path.startswith(f"{prefix}/")
    return rewrite + path.removeprefix(prefix) if whole and path.startswith(prefix) else ""


@pytest.mark.parametrize(
    ("listener", "redirect", "port"),
    [
        ((80, "HTTP"), {}, None),
        ((8080, "HTTP"), {}, 8080),
        ((8080, "HTTP"), {"scheme": "https"}, None),
        ((8080, "HTTP"), {"scheme": "https", "port": 8443}, 8443),
        ((8080, "HTTP"), {"scheme": "https", "port": 443}, None),
        ((8080, "HTTP"), {"port": 80}, None),
        ((80, "HTTP"), {"port": 443}, 443),
    ],
)
def test_the_port_of_a_redirect(listener: tuple[int, str], redirect: dict[str, Any], port: int | None) -> None:
    number, protocol = listener
    filters = [{"type": "RequestRedirect", "requestRedirect": redirect}]
    edge = gateway({"name": "http", "port": number, "protocol": protocol})
    (only,) = rules(translated(edge, route({"filters": filters})))
    assert only.redirect is not None
    assert only.redirect.port == port
    assert only.direct_response is None


@pytest.mark.parametrize(
    ("said", "timeout", "retries"),
    [
        ({}, None, None),
        ({"timeouts": {"request": "0s"}}, None, None),
        ({"timeouts": {"request": "5s", "backendRequest": "1s"}}, 5, HTTPRetry(2, datetime.timedelta(seconds=1))),
        (
            {"timeouts": {"backendRequest": "1s"}, "retry": {"attempts": 0}},
            1,
            HTTPRetry(0, datetime.timedelta(seconds=1)),
        ),
        ({"retry": {"attempts": 4}}, None, HTTPRetry(4)),
    ],
)
def test_time_and_retries(said: dict[str, Any], timeout: int | None, retries: HTTPRetry | None) -> None:
    (only,) = rules(translated(gateway(), route(rule({}, **said))))
    assert only.timeout == (None if timeout is None else datetime.timedelta(seconds=timeout))
    assert only.retries == retries


@pytest.mark.parametrize(
    ("method", "made"),
    [
        (None, StringMatch(prefix="/")),
        ({"service": "a.B", "method": "C"}, StringMatch(exact="/a.B/C")),
        ({"service": "a.B"}, StringMatch(prefix="/a.B/")),
        ({"method": "C"}, StringMatch(regex="/[^/]+/C")),
        ({"type": "RegularExpression", "service": "a.*"}, StringMatch(regex="/a.*/[^/]+")),
    ],
)
def test_a_grpc_method_is_a_path(method: dict[str, str] | None, made: StringMatch) -> None:
    match = {} if method is None else {"method": method}
    echo = route({"matches": [match], **TO_WEB}, kind="GRPCRoute")
    (only,) = rules(translated(gateway(), echo))
    assert only.match[0].uri == made
    assert only.missing_status == 503


def test_http_and_grpc_routes_of_one_host_are_ordered_together() -> None:
    echo = route({"matches": [{"method": {"service": "a.B", "method": "C"}}], **TO_WEB}, kind="GRPCRoute", name="z")
    assert order(echo, route(rule({}), name="a")) == ["default.z.0", "default.a.0"]


def test_what_comes_out_as_before_is_the_same_object() -> None:
    objects = (gateway(), route(), route(rule({}), name="other", spec={"hostnames": ["other.example"]}))
    first = translated(*objects)
    more = translate(Config.of((*objects, route(name="more", spec={"hostnames": ["more.example"]}))), (WEB,), first)
    assert len(more.virtual_services) == 3
    assert [each in first.virtual_services for each in more.virtual_services].count(True) == 2
    assert more.gateways == first.gateways


def test_a_service_that_comes_changes_the_rules_that_lead_there() -> None:
    objects = Config.of((gateway(), route()))
    first = translate(objects, ())
    second = translate(objects, (WEB,), first)
    (before,), (after,) = rules(first), rules(second)
    assert before.route[0].destination != after.route[0].destination
    assert translate(objects, (WEB,), second).virtual_services == second.virtual_services
