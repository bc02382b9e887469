"""How a bootstrap names the proxy's certificate: the agent's secret discovery, and TLS to the control plane. Pure.

`default` is the proxy's own certificate, `ROOTCA` what it trusts; the control plane's listeners and clusters name the
same secrets of the same cluster.
"""

from __future__ import annotations

from typing import Any

from pilot.sidecar.settings import Identity

SDS_CLUSTER = "sds-grpc"
OWN, TRUSTED = "default", "ROOTCA"
_TYPE = "type.googleapis.com/"
_HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def sds_cluster(identity: Identity) -> dict[str, Any]:
    """The agent's socket."""
    options = {
        "@type": _TYPE + _HTTP_PROTOCOL_OPTIONS,
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": {"pipe": {"path": identity.sds_socket}}}}
    return {
        "name": SDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {_HTTP_PROTOCOL_OPTIONS: options},
        "load_assignment": {"cluster_name": SDS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def xds_transport_socket(identity: Identity) -> dict[str, Any]:
    """Mutual TLS with the control plane, which has to show the control plane's own identity."""
    name = {"san_type": "URI", "matcher": {"exact": identity.control_plane}}
    context = {
        "@type": f"{_TYPE}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_certificate_sds_secret_configs": [secret_config(OWN)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": [name]},
                "validation_context_sds_secret_config": secret_config(TRUSTED),
            },
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def secret_config(name: str) -> dict[str, Any]:
    """envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig of the agent's secret `name`."""
    retry = {"retry_back_off": {"base_interval": "0.25s", "max_interval": "2s"}}
    api = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": SDS_CLUSTER, "retry_policy": retry}}],
    }
    return {
        "name": name,
        "sds_config": {"api_config_source": api, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
    }
