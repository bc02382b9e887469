"""Decides what is changed in the headers of a request and its response, Istio 1.1's older fields among it. Pure."""

from __future__ import annotations

from galley.kinds import virtual_service as kind
from pilot import ir

_NONE = kind.HeaderOperations()


def route_headers(route: kind.HTTPRoute) -> ir.HeaderOperations | None:
    """Of a whole route."""
    return _operations(route, route.append_headers)


def destination_headers(destination: kind.HTTPRouteDestination) -> ir.HeaderOperations | None:
    """Of what goes to one destination."""
    return _operations(destination, ())


def authority(headers: kind.Headers | None) -> str:
    """What the request's host is set to among the headers, where Envoy has a word of its own for it."""
    request = headers.request if headers else None
    pairs = (*request.set, *request.add) if request else ()
    return next((value for name, value in pairs if kind.is_authority(name)), "")


def _others(pairs: kind.StringMap) -> kind.StringMap:
    return tuple(pair for pair in pairs if not kind.is_authority(pair[0]))


def _operations(place: kind.HTTPRoute | kind.HTTPRouteDestination, more: kind.StringMap) -> ir.HeaderOperations | None:
    request_add, response_add = (*more, *place.append_request_headers), place.append_response_headers
    older = request_add or response_add or place.remove_request_headers or place.remove_response_headers
    if place.headers is None and not older:
        return None
    headers = place.headers or kind.Headers()
    request, response = headers.request or _NONE, headers.response or _NONE
    return ir.HeaderOperations(
        request_set=_others(request.set),
        request_add=(*_others(request.add), *request_add),
        request_remove=(*request.remove, *place.remove_request_headers),
        response_set=response.set,
        response_add=(*response.add, *response_add),
        response_remove=(*response.remove, *place.remove_response_headers),
    )
