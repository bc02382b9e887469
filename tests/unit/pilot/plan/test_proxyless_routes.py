"""Routes are narrowed to what gRPC can carry out; what it can't makes a call fail rather than go astray."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from pilot import ir
from pilot.plan.proxyless_routes import narrowed
from pilot.plan.retries import DEFAULT_RETRY

TO_WEB = (ir.WeightedCluster("web", 100),)
PLAIN = ir.Route("r", ir.RouteMatch(), ir.Forward(TO_WEB))


def said(kind: ir.MatchKind, value: str = "", name: str = ":method") -> ir.HeaderMatch:
    return ir.HeaderMatch(name, ir.StringMatch(kind, value))


def routes(*given: ir.Route) -> tuple[ir.Route, ...]:
    found = narrowed(ir.RouteConfiguration("web:80", (ir.VirtualHost("web:80", ("*",), given),)))
    return found.virtual_hosts[0].routes


def matching(*headers: ir.HeaderMatch) -> ir.Route:
    return attrs.evolve(PLAIN, match=ir.RouteMatch(headers=headers))


def forward(**fields: Any) -> ir.Action:
    """What becomes of that way to forward."""
    (found,) = routes(attrs.evolve(PLAIN, action=ir.Forward(**{"clusters": TO_WEB, **fields})))
    return found.action


@pytest.mark.parametrize(
    "header",
    [
        said(ir.MatchKind.EXACT, "POST"),
        said(ir.MatchKind.PREFIX, "PO"),
        said(ir.MatchKind.REGEX, "GET|POST"),
        said(ir.MatchKind.PRESENT),
        said(ir.MatchKind.EXACT, "http", ":scheme"),
        said(ir.MatchKind.PREFIX, "web:", ":authority"),
    ],
)
def test_what_every_call_says_is_not_asked_for(header: ir.HeaderMatch) -> None:
    assert routes(matching(header)) == (PLAIN,)


@pytest.mark.parametrize(
    "header",
    [
        said(ir.MatchKind.EXACT, "GET"),
        said(ir.MatchKind.PREFIX, "G"),
        said(ir.MatchKind.REGEX, "P"),
        said(ir.MatchKind.REGEX, r"\pN"),
        said(ir.MatchKind.EXACT, "https", ":scheme"),
        said(ir.MatchKind.EXACT, "other:80", ":authority"),
    ],
)
def test_a_route_that_no_call_can_match_is_left_out(header: ir.HeaderMatch) -> None:
    assert routes(matching(header), PLAIN) == (PLAIN,)


def test_no_call_has_a_query() -> None:
    query = ir.RouteMatch(query_parameters=(said(ir.MatchKind.PRESENT, name="q"),))
    assert routes(attrs.evolve(PLAIN, match=query), PLAIN) == (PLAIN,)


def test_other_headers_are_asked_for() -> None:
    user = said(ir.MatchKind.EXACT, "ada", "x-user")
    assert routes(matching(said(ir.MatchKind.EXACT, "POST"), user)) == (matching(user),)


@pytest.mark.parametrize(
    "fields",
    [
        {"prefix_rewrite": "/"},
        {"regex_rewrite": ("a", "b")},
        {"host_rewrite": "other"},
        {"clusters": (ir.WeightedCluster("web", 1, host_rewrite="other"),)},
    ],
)
def test_a_rewrite_makes_calls_fail(fields: dict[str, Any]) -> None:
    assert isinstance(forward(**fields), ir.DirectResponse)


def test_answers_and_redirects_stay_and_make_calls_fail_too() -> None:
    answer = attrs.evolve(PLAIN, action=ir.DirectResponse(200))
    assert routes(answer) == (answer,)


def test_what_goes_along_with_a_call_is_left_out() -> None:
    headers = ir.HeaderOperations(request_set=(("a", "b"),))
    route = attrs.evolve(
        PLAIN,
        action=ir.Forward(
            (ir.WeightedCluster("web", 1, headers), ir.WeightedCluster("api", 2)), mirrors=(ir.Mirror("m", 1),)
        ),
        headers=headers,
        cors=ir.Cors(),
        fault=ir.Fault(grpc_status=14, aborted_per_million=1),
        origin="VirtualService default/web",
    )
    assert routes(route) == (
        ir.Route(
            "r",
            ir.RouteMatch(),
            ir.Forward((ir.WeightedCluster("web", 1), ir.WeightedCluster("api", 2))),
            fault=ir.Fault(grpc_status=14, aborted_per_million=1),
            origin="VirtualService default/web",
        ),
    )


def test_a_timeout_bounds_the_whole_call() -> None:
    second = timedelta(seconds=1)
    assert forward(timeout=second) == ir.Forward(TO_WEB, max_stream_duration=second)
    assert forward() == ir.Forward(TO_WEB)


def test_a_call_is_tried_again_on_the_statuses_that_grpc_knows() -> None:
    known = ir.RetryPolicy(2, "unavailable,cancelled", previous_hosts=False)
    assert forward(retry=DEFAULT_RETRY) == ir.Forward(TO_WEB, retry=known)
    assert forward(retry=ir.RetryPolicy(2, "5xx,reset")) == ir.Forward(TO_WEB)


def test_only_headers_are_hashed() -> None:
    header, cookie = ir.HashPolicy(ir.HashOf.HEADER, "x-user"), ir.HashPolicy(ir.HashOf.COOKIE, "session")
    assert forward(hash_policies=(header, cookie)) == ir.Forward(TO_WEB, hash_policies=(header,))
