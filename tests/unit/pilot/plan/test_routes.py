"""What virtual services make of requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from galley.kinds.virtual_service import (
    Destination,
    Headers,
    HTTPBody,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    PortSelector,
    RegexRewrite,
    StringMatch,
)
from galley.kinds.virtual_service import HeaderOperations as Operations
from pilot import ir
from pilot.model.proxy import OutboundView
from pilot.model.service import Port, Protocol
from pilot.plan.retries import DEFAULT_RETRY
from pilot.plan.routes import default_routes, http_routes
from tests.unit.pilot.plan.world import client, service, to, virtual_service


def routes(*http: HTTPRoute, port: int = 80, view: OutboundView = OutboundView()) -> tuple[ir.Route, ...]:  # noqa: B008
    """The routes of a virtual service for `web.example`, as a client sees them."""
    rule = virtual_service("web.example", http=http)
    return http_routes(client(service(), rule, view=view), rule, port)


def forward(**spec: Any) -> ir.Forward:
    """What the only route of such a virtual service does."""
    (route,) = routes(HTTPRoute(**{"route": (to(),), **spec}))
    assert isinstance(route.action, ir.Forward)
    return route.action


def matched(**conditions: Any) -> ir.RouteMatch:
    (route,) = routes(HTTPRoute(match=(HTTPMatchRequest(**conditions),), route=(to(),)))
    return route.match


def shares(*destinations: HTTPRouteDestination) -> list[tuple[str, int]]:
    return [(each.cluster, each.weight) for each in forward(route=destinations).clusters]


def test_the_default_route_takes_everything_to_the_service_and_retries() -> None:
    (route,) = default_routes(client(service()), "web.example", 80)
    assert route.match == ir.RouteMatch()
    assert route.action == ir.Forward((ir.WeightedCluster("outbound|80||web.example", 100),), retry=DEFAULT_RETRY)


def test_each_match_of_a_route_is_a_route_in_order() -> None:
    matches = tuple(HTTPMatchRequest(name=name, port=80, uri=StringMatch(prefix=f"/{name}")) for name in ("a", "b"))
    found = routes(HTTPRoute(name="first", match=matches, route=(to(),)), HTTPRoute(name="rest", route=(to(),)))
    assert [each.name for each in found] == ["first.a", "first.b", "rest"]


def test_what_stands_behind_a_route_that_takes_everything_is_left_out() -> None:
    late = HTTPRoute(name="late", match=(HTTPMatchRequest(method=StringMatch(exact="GET")),), route=(to(),))
    assert [each.name for each in routes(HTTPRoute(name="all", route=(to(),)), late)] == ["all"]


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        (HTTPMatchRequest(port=80), True),
        (HTTPMatchRequest(port=81), False),
        (HTTPMatchRequest(source_namespace="shop"), True),
        (HTTPMatchRequest(source_namespace="home"), False),
        (HTTPMatchRequest(source_labels=(("app", "web"),)), True),
        (HTTPMatchRequest(source_labels=(("app", "web"), ("tier", "1"))), False),
    ],
)
def test_what_is_known_of_the_client_decides_before_any_request(match: HTTPMatchRequest, applies: bool) -> None:
    view = OutboundView(namespace="shop", labels=(("app", "web"),))
    assert bool(routes(HTTPRoute(match=(match,), route=(to(),)), view=view)) is applies


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (StringMatch(exact="/a"), ir.StringMatch(ir.MatchKind.EXACT, "/a")),
        (StringMatch(prefix="/a"), ir.StringMatch(ir.MatchKind.PREFIX, "/a")),
        (StringMatch(regex="/a+"), ir.StringMatch(ir.MatchKind.REGEX, "/a+")),
    ],
)
def test_paths_match_as_they_are_written(uri: StringMatch, path: ir.StringMatch) -> None:
    assert matched(uri=uri).path == path


def test_letter_case_may_be_ignored_in_paths_only() -> None:
    found = matched(uri=StringMatch(exact="/A"), ignore_uri_case=True, headers=(("x", StringMatch(exact="B")),))
    assert found.path.ignore_case
    assert not found.headers[0].match.ignore_case


def test_method_and_authority_are_pseudo_headers_and_names_are_lower_case() -> None:
    found = matched(
        method=StringMatch(exact="GET"), authority=StringMatch(prefix="web"), headers=(("X-User", StringMatch()),)
    )
    assert [each.name for each in found.headers] == [":method", ":authority", "x-user"]


def test_an_empty_match_asks_for_presence_and_without_headers_for_the_opposite() -> None:
    found = matched(headers=(("a", StringMatch()),), without_headers=(("b", StringMatch()),))
    present = ir.StringMatch(ir.MatchKind.PRESENT)
    assert found.headers == (ir.HeaderMatch("a", present), ir.HeaderMatch("b", present, invert=True))


def test_query_parameters_keep_their_letter_case() -> None:
    found = matched(query_params=(("Page", StringMatch(exact="1")),))
    assert found.query_parameters == (ir.HeaderMatch("Page", ir.StringMatch(ir.MatchKind.EXACT, "1")),)


def test_weights_are_kept_and_a_weight_of_zero_beside_others_gets_nothing() -> None:
    found = shares(to(weight=90), to(subset="v2", weight=10), to(subset="v3"))
    assert found == [("outbound|80||web.example", 90), ("outbound|80|v2|web.example", 10)]


def test_weights_that_are_all_left_out_are_even() -> None:
    assert shares(to(), to(subset="v2")) == [("outbound|80||web.example", 1), ("outbound|80|v2|web.example", 1)]


@pytest.mark.parametrize(
    ("destination", "cluster"),
    [
        (Destination("web"), "outbound|80||web.example"),
        (Destination("web.example", "v1"), "outbound|80|v1|web.example"),
        (Destination("api.example"), "outbound|7000||api.example"),
        (Destination("api.example", port=PortSelector(9)), "outbound|9||api.example"),
        (Destination("two.example"), "outbound|80||two.example"),
        (Destination("absent.example"), "outbound|80||absent.example"),
    ],
)
def test_a_destination_without_port_means_the_services_only_one_else_that_of_the_request(
    destination: Destination, cluster: str
) -> None:
    rule = virtual_service("web.example", http=(HTTPRoute(route=(HTTPRouteDestination(destination),)),))
    api = service("api.example", Port("http", 7000, Protocol.HTTP))
    two = service("two.example", Port("http", 8000), Port("admin", 8001))
    (route,) = http_routes(client(service(), api, two, rule), rule, 80)
    assert isinstance(route.action, ir.Forward)
    assert [each.cluster for each in route.action.clusters] == [cluster]


def test_no_timeout_is_zero() -> None:
    assert forward().timeout == timedelta(0)
    assert forward(timeout=timedelta(seconds=2)).timeout == timedelta(seconds=2)


def test_no_attempts_are_no_retries_and_nothing_said_is_the_default() -> None:
    assert forward(retries=HTTPRetry(attempts=0)).retry is None
    assert forward().retry == DEFAULT_RETRY


@pytest.mark.parametrize(
    ("retry_on", "words", "codes"),
    [
        ("", DEFAULT_RETRY.retry_on, (503,)),
        ("reset", "reset", ()),
        ("503", "retriable-status-codes", (503,)),
        ("reset, 503,504", "reset,retriable-status-codes", (503, 504)),
        ("retriable-status-codes,429", "retriable-status-codes", (429,)),
    ],
)
def test_numbers_among_retry_conditions_are_status_codes(retry_on: str, words: str, codes: tuple[int, ...]) -> None:
    found = forward(retries=HTTPRetry(attempts=3, retry_on=retry_on)).retry
    assert found is not None
    assert (found.attempts, found.retry_on, found.retriable_status_codes) == (3, words, codes)


def test_retries_go_to_another_host_unless_told() -> None:
    told = forward(retries=HTTPRetry(attempts=1, retry_ignore_previous_hosts=False)).retry
    silent = forward(retries=HTTPRetry(attempts=1)).retry
    assert told is not None
    assert silent is not None
    assert (told.previous_hosts, silent.previous_hosts) == (False, True)


def rewritten(uri: StringMatch | None, rewrite: HTTPRewrite) -> tuple[str, tuple[str, str] | None]:
    match = (HTTPMatchRequest(uri=uri),) if uri else ()
    found = forward(match=match, rewrite=rewrite)
    return found.prefix_rewrite, found.regex_rewrite


def test_a_rewrite_replaces_what_the_match_matched() -> None:
    assert rewritten(StringMatch(prefix="/a"), HTTPRewrite(uri="/b")) == ("/b", None)
    assert rewritten(StringMatch(exact="/a"), HTTPRewrite(uri="/b")) == ("/b", None)
    assert rewritten(StringMatch(regex="/a.*"), HTTPRewrite(uri="/b")) == ("", ("/a.*", "/b"))
    assert rewritten(None, HTTPRewrite(uri="/b")) == ("/b", None)


def test_a_regex_rewrite_is_by_its_own_pattern() -> None:
    rewrite = HTTPRewrite(uri_regex_rewrite=RegexRewrite("^/a/(.*)$", r"/\1"))
    assert rewritten(StringMatch(prefix="/a"), rewrite) == ("", ("^/a/(.*)$", r"/\1"))


def test_the_authority_is_rewritten_by_itself() -> None:
    assert forward(rewrite=HTTPRewrite(authority="other")).host_rewrite == "other"


def test_header_changes_stay_where_they_were_said() -> None:
    changes = Headers(request=Operations(set=(("a", "1"),)), response=Operations(remove=("b",)))
    expected = ir.HeaderOperations(request_set=(("a", "1"),), response_remove=("b",))
    (route,) = routes(HTTPRoute(route=(to(),), headers=changes))
    assert route.headers == expected
    assert forward(route=(HTTPRouteDestination(Destination("web"), headers=changes),)).clusters[0].headers == expected


@pytest.mark.parametrize(("body", "text"), [(None, ""), (HTTPBody(), ""), (HTTPBody(string="gone"), "gone")])
def test_a_direct_response_answers_by_itself(body: HTTPBody | None, text: str) -> None:
    (route,) = routes(HTTPRoute(direct_response=HTTPDirectResponse(410, body)))
    assert route.action == ir.DirectResponse(410, text)


def test_a_route_says_which_object_made_it() -> None:
    assert [each.origin for each in routes(HTTPRoute(route=(to(),)))] == ["VirtualService default/rule"]
