"""Encoded resources back to JSON, in the shape of Envoy's `/config_dump`: what `proxy-config` and `/debug` show.

Private keys are left out, as Envoy does it.
"""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import Secret

from pilot.envoy import codec
from pilot.envoy.descriptors import LibraryMessage
from pilot.xds.resource import CDS, EDS, LDS, RDS, SDS, Resource, Resources

_CLASSES: dict[str, LibraryMessage] = {
    CDS: Cluster,
    EDS: ClusterLoadAssignment,
    LDS: Listener,
    RDS: RouteConfiguration,
    SDS: Secret,
}
REDACTED = "[redacted]"
_ADMIN = "type.googleapis.com/envoy.admin.v3."


def resource_json(resource: Resource) -> dict[str, Any]:
    """Protobuf JSON of one resource, with the API's snake_case names; without private keys."""
    message = codec.message(_CLASSES[resource.type_url]).FromString(resource.body)
    if resource.type_url == SDS and message.tls_certificate.private_key.WhichOneof("specifier") != "filename":
        _redact(message)
    return codec.to_json(message)


def _redact(secret: Any) -> None:
    if secret.HasField("tls_certificate"):
        secret.tls_certificate.private_key.inline_string = REDACTED


def config_dump(resources: Resources) -> dict[str, Any]:
    """The dumps of a proxy that accepted all of this (envoy.admin.v3.ConfigDump)."""

    def typed(type_url: str, each: Resource) -> dict[str, Any]:
        return {"@type": type_url, **resource_json(each)}

    def all_of(type_url: str) -> list[tuple[Resource, dict[str, Any]]]:
        found = resources.get(type_url)
        return [(each, typed(type_url, each)) for each in found.resources.values()] if found else []

    return {
        "configs": [
            {
                "@type": _ADMIN + "ClustersConfigDump",
                "dynamic_active_clusters": [{"version_info": r.version, "cluster": body} for r, body in all_of(CDS)],
            },
            {
                "@type": _ADMIN + "ListenersConfigDump",
                "dynamic_listeners": [
                    {"name": r.name, "active_state": {"version_info": r.version, "listener": body}}
                    for r, body in all_of(LDS)
                ],
            },
            {
                "@type": _ADMIN + "RoutesConfigDump",
                "dynamic_route_configs": [{"version_info": r.version, "route_config": body} for r, body in all_of(RDS)],
            },
            {
                "@type": _ADMIN + "EndpointsConfigDump",
                "dynamic_endpoint_configs": [
                    {"version_info": r.version, "endpoint_config": body} for r, body in all_of(EDS)
                ],
            },
            {
                "@type": _ADMIN + "SecretsConfigDump",
                "dynamic_active_secrets": [
                    {"name": r.name, "version_info": r.version, "secret": body} for r, body in all_of(SDS)
                ],
            },
        ]
    }
