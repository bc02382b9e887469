"""Bytes ↔ the protocol's messages: DiscoveryRequest and DiscoveryResponse, state of the world and delta.

Called by `pilot.xds.server`. Responses are a join of the resources' ready fragments behind a small head, since
concatenated protobuf messages merge: nothing is encoded twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from envoy_data_plane.envoy.service.discovery import v3 as library

from pilot.envoy import codec
from pilot.xds.protocol import (
    DeltaDiscoveryRequest,
    DeltaResponse,
    DiscoveryRequest,
    Json,
    Node,
    Response,
)
from pilot.xds.protocol.messages import NodeLocality
from pilot.xds.resource import Resource

_Request = codec.message(library.DiscoveryRequest)
_Response = codec.message(library.DiscoveryResponse)
_DeltaRequest = codec.message(library.DeltaDiscoveryRequest)
_DeltaResponse = codec.message(library.DeltaDiscoveryResponse)
_DeltaResource = codec.message(library.Resource)
_RESOURCES_FIELD = 2  # of both responses


def decode_request(data: bytes, with_node: bool = True) -> DiscoveryRequest:
    """google.protobuf.message.DecodeError if the bytes are no DiscoveryRequest.

    Only the first request of a stream is asked for its node: a client may repeat it in each, and it is the larger part.
    """
    message = _Request.FromString(data)
    return DiscoveryRequest(
        type_url=message.type_url,
        version_info=message.version_info,
        response_nonce=message.response_nonce,
        resource_names=tuple(message.resource_names),
        node=_node(message) if with_node else None,
        error_detail=_error(message),
    )


def decode_delta_request(data: bytes, with_node: bool = True) -> DeltaDiscoveryRequest:
    """google.protobuf.message.DecodeError if the bytes are no DeltaDiscoveryRequest. See `decode_request`."""
    message = _DeltaRequest.FromString(data)
    return DeltaDiscoveryRequest(
        type_url=message.type_url,
        response_nonce=message.response_nonce,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=MappingProxyType(dict(message.initial_resource_versions)),
        node=_node(message) if with_node else None,
        error_detail=_error(message),
    )


def encode_response(response: Response) -> bytes:
    return encode_response_head(response) + b"".join(each.fragment for each in response.resources)


def encode_response_head(response: Response) -> bytes:
    """All of the response but its resources; joined with their fragments it is the whole message."""
    head = _Response(version_info=response.version, type_url=response.type_url, nonce=response.nonce)
    return codec.encode(head)


def encode_delta_response(response: DeltaResponse) -> bytes:
    return encode_delta_response_head(response) + b"".join(each.delta_fragment for each in response.resources)


def encode_delta_response_head(response: DeltaResponse) -> bytes:
    """All of the response but its resources; joined with their delta fragments it is the whole message."""
    head = _DeltaResponse(
        system_version_info=response.system_version,
        type_url=response.type_url,
        nonce=response.nonce,
        removed_resources=response.removed,
    )
    return codec.encode(head)


def new_resource(
    type_url: str, name: str, body: bytes, refers: Iterable[tuple[str, str]] = (), origin: str = ""
) -> Resource:
    """A resource of the encoded message `body`, with its version (a hash of the content) and its ready fragments."""
    version = codec.content_version(body)
    packed = codec.Any_(type_url=type_url, value=body)
    delta = _DeltaResource(name=name, version=version, resource=packed)
    return Resource(
        type_url=type_url,
        name=name,
        version=version,
        body=body,
        fragment=codec.length_delimited(_RESOURCES_FIELD, codec.encode(packed)),
        delta_fragment=codec.length_delimited(_RESOURCES_FIELD, codec.encode(delta)),
        refers=tuple(refers),
        origin=origin,
    )


def _error(message: Any) -> str | None:
    return message.error_detail.message if message.HasField("error_detail") else None


def _node(message: Any) -> Node | None:
    if not message.HasField("node"):
        return None
    node = message.node
    return Node(
        id=node.id,
        cluster=node.cluster,
        metadata=_struct(node.metadata),
        user_agent_name=node.user_agent_name,
        user_agent_version=_version(node),
        locality=NodeLocality(node.locality.region, node.locality.zone, node.locality.sub_zone),
        client_features=tuple(node.client_features),
    )


def _version(node: Any) -> str:
    if node.HasField("user_agent_build_version"):
        version = node.user_agent_build_version.version
        return f"{version.major_number}.{version.minor_number}.{version.patch}"
    return str(node.user_agent_version)


def _struct(struct: Any) -> Mapping[str, Json]:
    return MappingProxyType({key: _value(value) for key, value in struct.fields.items()})


def _value(value: Any) -> Json:
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return tuple(_value(item) for item in value.list_value.values)
    plain: Json = getattr(value, kind)
    return plain
