"""Attributes that Envoy's protocols tell in one way: addresses, identities, paths, and what Pilot said of the proxy.

Pilot writes what it knows of a proxy and its listener (whose inbound side this is, which service it serves) as metadata
of the gRPC calls that Envoy makes: `mesh-attributes: context.reporter.kind=inbound&destination.service.host=…`, the
form of a query string. Those are strings of the vocabulary and win over nothing that the request itself shows. Pure.
"""

from __future__ import annotations

import functools
import ipaddress
import urllib.parse
from collections.abc import Mapping
from typing import Any

from mixer.attributes import Value, ValueType
from mixer.vocabulary import ISTIO

METADATA = "mesh-attributes"
_SPIFFE = "spiffe://"


@functools.lru_cache(maxsize=4096)
def told_by_pilot(text: str) -> Mapping[str, str]:
    """The attributes of the metadata; what is no STRING attribute is left out."""
    return {
        name: value
        for name, value in urllib.parse.parse_qsl(text)
        if ISTIO.types.get(name) in (ValueType.STRING, ValueType.DNS_NAME)
    }


def told_by_node(node: Any, told: Mapping[str, Value]) -> dict[str, Value]:
    """Who reports, by its xDS node: the source of what it calls, the destination of what it takes in.

    The id is `TYPE~IP~NAME.NAMESPACE~DOMAIN`, LABELS are those of its metadata. Nothing for an id of another form.
    """
    parts = node.id.split("~")
    if len(parts) != 4:
        return {}
    name, _, namespace = parts[2].rpartition(".")
    side = "source" if told.get("context.reporter.kind") == "outbound" else "destination"
    labels = node.metadata.fields["LABELS"].struct_value.fields if "LABELS" in node.metadata.fields else {}
    return {
        "context.reporter.uid": node.id,
        f"{side}.name": name,
        f"{side}.namespace": namespace,
        f"{side}.labels": {key: value.string_value for key, value in labels.items()},
    }


def host_of_cluster(name: str) -> str:
    """The host in a cluster's name of Istio's form, `outbound|PORT|SUBSET|HOST`; empty for another."""
    parts = name.split("|")
    return parts[3] if len(parts) == 4 and parts[0] == "outbound" else ""


@functools.lru_cache(maxsize=4096)
def _packed(address: str) -> bytes | None:
    try:
        return ipaddress.ip_address(address).packed
    except ValueError:
        return None


def add_address(bag: dict[str, Value], side: str, address: Any) -> None:
    """`source.ip`, or `destination.ip` and `destination.port`, of an envoy.config.core.v3.Address."""
    socket = address.socket_address
    packed = _packed(socket.address)
    if packed is not None:
        bag[f"{side}.ip"] = packed
    if side == "destination" and socket.port_value:
        bag["destination.port"] = socket.port_value


def add_identity(bag: dict[str, Value], side: str, uri: str) -> None:
    """`source.principal` and what follows from it; Istio's principals are SPIFFE ids without their scheme."""
    if not uri.startswith(_SPIFFE):
        return
    principal = uri[len(_SPIFFE) :]
    bag[f"{side}.principal"] = principal
    if side == "source":
        bag["source.user"] = principal
        bag["connection.mtls"] = True
        parts = principal.split("/")
        if len(parts) == 5 and (parts[1], parts[3]) == ("ns", "sa"):
            bag["source.namespace"] = parts[2]


def add_path(bag: dict[str, Value], path: str) -> None:
    """`request.path` as it is routed, `request.url_path` without the query, `request.query_params`."""
    bag["request.path"] = path
    bare, mark, query = path.partition("?")
    bag["request.url_path"] = bare
    if mark:
        bag["request.query_params"] = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))


def add_headers(bag: dict[str, Value], headers: Mapping[str, str]) -> None:
    """`request.headers`, and the attributes that are one header each."""
    bag["request.headers"] = headers
    for attribute, header in _OF_HEADERS:
        if value := headers.get(header):
            bag[attribute] = value


_OF_HEADERS = (
    ("request.id", "x-request-id"),
    ("request.referer", "referer"),
    ("request.useragent", "user-agent"),
)


def protocol_of(headers: Mapping[str, str]) -> str:
    """`context.protocol`: grpc, http, or http/1.0's and websockets' own words as Istio's filter has them."""
    return "grpc" if headers.get("content-type", "").startswith("application/grpc") else "http"
