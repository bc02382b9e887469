"""What is done with requests: redirects, direct answers, copies, and what filters do before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.plan.routes import http_routes
from tests.unit.pilot.plan.world import client, service, to, virtual_service

SECOND = timedelta(seconds=1)
ROUTED = (to(),)


def route(port: int = 80, **spec: Any) -> ir.Route:
    """The only route of a virtual service with one rule."""
    rule = virtual_service("web.example", http=(kind.HTTPRoute(**spec),))
    (found,) = http_routes(client(service(), service("copy.example"), rule), rule, port)
    return found


@pytest.mark.parametrize(
    ("redirect", "planned"),
    [
        (kind.HTTPRedirect(uri="/a"), ir.Redirect(301, path="/a")),
        (kind.HTTPRedirect(authority="b.example", redirect_code=307), ir.Redirect(307, host="b.example")),
        (kind.HTTPRedirect(scheme="https", port=8443), ir.Redirect(301, scheme="https", port=8443)),
        (kind.HTTPRedirect(derive_port=kind.RedirectPortSelection.FROM_REQUEST_PORT), ir.Redirect(301, port=8080)),
        (kind.HTTPRedirect(derive_port=kind.RedirectPortSelection.FROM_PROTOCOL_DEFAULT), ir.Redirect(301)),
        (kind.HTTPRedirect(prefix_rewrite="/new"), ir.Redirect(301, prefix_rewrite="/new")),
        (kind.HTTPRedirect(uri="%PREFIX()%/new"), ir.Redirect(301, prefix_rewrite="/new")),
    ],
)
def test_redirects(redirect: kind.HTTPRedirect, planned: ir.Redirect) -> None:
    assert route(8080, redirect=redirect).action == planned


def test_a_direct_response_of_bytes() -> None:
    response = kind.HTTPDirectResponse(200, kind.HTTPBody(bytes=b"\0"))
    assert route(direct_response=response).action == ir.DirectResponse(200, body_bytes=b"\0")


COPY = kind.Destination("copy.example")


@pytest.mark.parametrize(
    ("spec", "shares"),
    [
        ({"mirror": COPY}, [1_000_000]),
        ({"mirror": COPY, "mirror_percent": 30}, [300_000]),
        ({"mirror": COPY, "mirror_percent": 0}, []),
        ({"mirror": COPY, "mirror_percent": 30, "mirror_percentage": kind.Percent(0.5)}, [5_000]),
        ({"mirror": COPY, "mirror_percentage": kind.Percent(0)}, []),
        ({"mirrors": (kind.HTTPMirrorPolicy(COPY), kind.HTTPMirrorPolicy(COPY, kind.Percent(29.9)))}, [10**6, 299_000]),
        ({"mirrors": (kind.HTTPMirrorPolicy(COPY, kind.Percent(0)),)}, []),
    ],
)
def test_copies(spec: dict[str, Any], shares: list[int]) -> None:
    action = route(route=ROUTED, **spec).action
    assert isinstance(action, ir.Forward)
    assert [(each.cluster, each.per_million) for each in action.mirrors] == [
        ("outbound|80||copy.example", share) for share in shares
    ]


@pytest.mark.parametrize(
    ("fault", "planned"),
    [
        (None, None),
        (kind.HTTPFaultInjection(kind.Delay(fixed_delay=SECOND)), None),
        (kind.HTTPFaultInjection(abort=kind.Abort(http_status=500)), None),
        (kind.HTTPFaultInjection(kind.Delay(50, SECOND)), ir.Fault(SECOND, 500_000)),
        (kind.HTTPFaultInjection(kind.Delay(50, SECOND, percentage=kind.Percent(0.1))), ir.Fault(SECOND, 1_000)),
        (
            kind.HTTPFaultInjection(kind.Delay(fixed_delay=SECOND), kind.Abort(418, percentage=kind.Percent(100))),
            ir.Fault(http_status=418, aborted_per_million=1_000_000),
        ),
        (
            kind.HTTPFaultInjection(abort=kind.Abort(grpc_status="NOT_FOUND", percentage=kind.Percent(1))),
            ir.Fault(grpc_status=5, aborted_per_million=10_000),
        ),
    ],
)
def test_faults(fault: kind.HTTPFaultInjection | None, planned: ir.Fault | None) -> None:
    assert route(route=ROUTED, fault=fault).fault == planned


def test_cors_of_today_and_of_istio_1_1() -> None:
    exact, regex = kind.StringMatch(exact="https://a"), kind.StringMatch(regex="https://b.*")
    older = route(route=ROUTED, cors_policy=kind.CorsPolicy(allow_origin=("https://a", "*"))).cors
    newer = route(route=ROUTED, cors_policy=kind.CorsPolicy(allow_origin=("*",), allow_origins=(exact, regex))).cors
    assert older
    assert newer
    assert [(each.kind.value, each.value) for each in older.allow_origins] == [("exact", "https://a"), ("exact", "*")]
    assert [each.kind.value for each in newer.allow_origins] == ["exact", "regex"]


@pytest.mark.parametrize(("word", "forwarded"), [("UNSPECIFIED", True), ("FORWARD", True), ("IGNORE", False)])
def test_unmatched_preflights_are_forwarded_unless_they_are_to_be_ignored(word: str, forwarded: bool) -> None:
    policy = kind.CorsPolicy(unmatched_preflights=kind.UnmatchedPreflights(word), max_age=timedelta(hours=1))
    cors = route(route=ROUTED, cors_policy=policy).cors
    assert cors
    assert (cors.forward_unmatched_preflights, cors.max_age) == (forwarded, "3600")


def test_older_header_fields_are_added_to_the_newer_ones() -> None:
    found = route(
        route=(kind.HTTPRouteDestination(kind.Destination("web.example"), remove_response_headers=("e",)),),
        headers=kind.Headers(kind.HeaderOperations(add=(("a", "1"),))),
        append_headers=(("b", "2"),),
        append_request_headers=(("c", "3"),),
        append_response_headers=(("d", "4"),),
    )
    assert found.headers == ir.HeaderOperations(
        request_add=(("a", "1"), ("b", "2"), ("c", "3")), response_add=(("d", "4"),)
    )
    assert isinstance(found.action, ir.Forward)
    assert found.action.clusters[0].headers == ir.HeaderOperations(response_remove=("e",))


def test_retries_may_leave_the_priority() -> None:
    action = route(route=ROUTED, retries=kind.HTTPRetry(attempts=1, retry_remote_localities=True)).action
    assert isinstance(action, ir.Forward)
    assert action.retry
    assert action.retry.remote_localities


def test_the_authority_may_be_set_among_the_headers_of_a_route_or_a_destination() -> None:
    def host(name: str) -> kind.Headers:
        return kind.Headers(kind.HeaderOperations(set=((name, "b.example"), ("x", "1"))))

    found = route(route=(kind.HTTPRouteDestination(kind.Destination("web.example"), headers=host(":authority")),))
    assert isinstance(found.action, ir.Forward)
    assert found.action.clusters[0].host_rewrite == "b.example"
    assert found.action.clusters[0].headers == ir.HeaderOperations(request_set=(("x", "1"),))
    found = route(route=ROUTED, headers=host("Host"))
    assert isinstance(found.action, ir.Forward)
    assert found.action.host_rewrite == "b.example"
    assert found.headers == ir.HeaderOperations(request_set=(("x", "1"),))
