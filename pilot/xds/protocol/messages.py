"""What is said on an xDS stream, free of any wire format.

`pilot.envoy.discovery` turns bytes into these requests and these responses into bytes; the sessions in this package
see nothing else. Fields are those of discovery.proto, by shorter names.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from pilot.xds.resource import Resource

Json = None | bool | int | float | str | tuple["Json", ...] | Mapping[str, "Json"]
"""A value of a protobuf Struct; lists are tuples, so that what flows stays frozen."""

NO_METADATA: Mapping[str, Json] = MappingProxyType({})
NO_VERSIONS: Mapping[str, str] = MappingProxyType({})


@attrs.frozen
class NodeLocality:
    """Where a proxy says it runs; empty parts are unknown."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


NOWHERE = NodeLocality()


@attrs.frozen
class Node:
    """Who is at the other end; only the first request of a stream is sure to say (`set_node_on_first_message_only`).

    `user_agent_version` is the build version as text ("1.40.0"), whichever of the two fields it came in.
    """

    id: str = ""
    cluster: str = ""
    metadata: Mapping[str, Json] = attrs.field(default=NO_METADATA, hash=False)
    user_agent_name: str = ""
    user_agent_version: str = ""
    locality: NodeLocality = NOWHERE
    client_features: tuple[str, ...] = ()


@attrs.frozen
class DiscoveryRequest:
    """State of the world: the latest request of a type says all that is wanted of it and supersedes earlier ones.

    It answers the response whose nonce it repeats: an ACK, or a NACK when `error_detail` is not None (an empty text
    still is one).
    """

    type_url: str
    version_info: str = ""
    response_nonce: str = ""
    resource_names: tuple[str, ...] = ()
    node: Node | None = None
    error_detail: str | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of resources that it wants."""
        return self.resource_names


@attrs.frozen
class DeltaDiscoveryRequest:
    """Incremental: names come and go; `initial_versions` says what the proxy still holds from before this stream."""

    type_url: str
    response_nonce: str = ""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = attrs.field(default=NO_VERSIONS, hash=False)
    node: Node | None = None
    error_detail: str | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of resources that it wants from now on."""
        return self.subscribe


@attrs.frozen
class Response:
    """State of the world: all resources of LDS and CDS, or some of EDS and RDS, at one version of the type."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[Resource, ...]


@attrs.frozen
class DeltaResponse:
    """Incremental: what changed and what is gone. `system_version` is for people; each resource has its own version."""

    type_url: str
    system_version: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()
