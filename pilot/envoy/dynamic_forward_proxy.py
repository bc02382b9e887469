"""Prints what forwards to the host that a request names: the filter and the cluster must have the same DNS cache."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.config.cluster import v3 as cluster_library
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy import v3 as library
from envoy_data_plane.envoy.extensions.common.dynamic_forward_proxy import v3 as cache_library

from pilot.envoy import codec

_DnsCacheConfig = codec.message(cache_library.DnsCacheConfig)
DNS_CACHE = _DnsCacheConfig(name="mesh", dns_lookup_family=cluster_library.ClusterDnsLookupFamily.V4_PREFERRED)
CLUSTER_TYPE: dict[str, Any] = {
    "name": "envoy.clusters.dynamic_forward_proxy",
    "typed_config": codec.pack(
        codec.message(library.ClusterConfig)(dns_cache_config=DNS_CACHE, allow_insecure_cluster_options=True)
    ),
}
"""`allow_insecure_cluster_options` only keeps Envoy from asking for TLS checks on connections that have no TLS."""
