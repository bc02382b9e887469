"""Where Envoy gets what a resource refers to: the same aggregated stream, waited for as long as it takes.

Not so secrets: one that is missing would keep a proxy from starting. Until it comes its connections are refused.
"""

from __future__ import annotations

from typing import Any

ADS: dict[str, Any] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": {"seconds": 0}}

SECRETS: dict[str, Any] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": {"seconds": 15}}
"""As long as Istio has it."""


AGENT_CLUSTER = "sds-grpc"
"""The cluster of the bootstrap that leads to the local socket where a proxy's own identity is handed out."""
AGENT: dict[str, Any] = {
    "api_config_source": {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": AGENT_CLUSTER}}],
    },
    "resource_api_version": "V3",
    "initial_fetch_timeout": {"seconds": 0},
}


def origin_metadata(origin: str) -> dict[str, Any]:
    """Istio's `istio` metadata: the configuration object that decided the resource."""
    if not origin:
        return {}
    return {"metadata": {"filter_metadata": {"istio": {"fields": {"config": {"string_value": origin}}}}}}
