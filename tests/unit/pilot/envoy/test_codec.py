"""The runtime's classes write what the library's own encoder writes, and write it the same way every time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from betterproto2 import Message
from envoy_data_plane.envoy.admin import v3 as admin_library
from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap_library
from envoy_data_plane.envoy.config.cluster import v3 as cluster_library
from envoy_data_plane.envoy.config.core import v3 as core_library
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint_library
from envoy_data_plane.envoy.config.listener import v3 as listener_library
from envoy_data_plane.envoy.config.route import v3 as route_library
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy import v3 as forward_cluster_library
from envoy_data_plane.envoy.extensions.filters.http.dynamic_forward_proxy import v3 as forward_filter_library
from envoy_data_plane.envoy.extensions.filters.http.grpc_web import v3 as grpc_web_library
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router_library
from envoy_data_plane.envoy.extensions.filters.listener.http_inspector import v3 as inspector_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_library
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts import v3 as previous_hosts_library
from envoy_data_plane.envoy.extensions.transport_sockets.proxy_protocol import v3 as proxy_protocol_library
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls_library
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as http_library
from envoy_data_plane.envoy.service.discovery import v3 as discovery_library
from envoy_data_plane.message_pool import default_message_pool
from hypothesis import given, settings
from hypothesis import strategies as st

from pilot.envoy import codec
from pilot.envoy.descriptors import LibraryMessage
from tests.unit.pilot.envoy.fill import fill, first, reachable, set_field

ROOTS: tuple[LibraryMessage, ...] = (
    bootstrap_library.Bootstrap,
    cluster_library.Cluster,
    forward_cluster_library.ClusterConfig,
    forward_filter_library.FilterConfig,
    grpc_web_library.GrpcWeb,
    discovery_library.DeltaDiscoveryRequest,
    discovery_library.DeltaDiscoveryResponse,
    discovery_library.DiscoveryRequest,
    discovery_library.DiscoveryResponse,
    endpoint_library.ClusterLoadAssignment,
    http_library.HttpProtocolOptions,
    inspector_library.HttpInspector,
    listener_library.Listener,
    manager_library.HttpConnectionManager,
    previous_hosts_library.PreviousHostsPredicate,
    route_library.RouteConfiguration,
    router_library.Router,
    proxy_protocol_library.ProxyProtocolUpstreamTransport,
    tcp_library.TcpProxy,
    tls_library.UpstreamTlsContext,
)
"""Every message that is sent or received whole, or inside an Any."""

LIBRARY: tuple[LibraryMessage, ...] = tuple(
    default_message_pool.url_to_type[f"type.googleapis.com/{name}"]
    for name in reachable(codec.message(root).DESCRIPTOR for root in ROOTS)
    if not name.startswith("google.protobuf.")
)
"""The library's class of every message below the roots."""

_Cluster = codec.message(cluster_library.Cluster)
_Metadata = codec.message(core_library.Metadata)
_Response = codec.message(discovery_library.DiscoveryResponse)


fields_may_be_deprecated = pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
"""The library says so of each that Envoy's API deprecates; all are filled here."""


def library_writes(library: LibraryMessage, data: bytes) -> bytes:
    return bytes(library.parse(data))


def test_the_roots_lead_to_all_of_the_configuration_api() -> None:
    assert len(LIBRARY) > 200


@fields_may_be_deprecated
def test_each_field_by_itself_has_the_very_bytes_that_the_library_writes() -> None:
    different = []
    for library in LIBRARY:
        runtime = codec.message(library)
        for field in runtime.DESCRIPTOR.fields:
            message = runtime()
            set_field(message, field, first, depth=0)
            data = codec.encode(message)
            if not data or library_writes(library, data) != data:
                different.append(field.full_name)
    assert different == []


@fields_may_be_deprecated
def test_a_default_is_written_where_the_library_writes_it() -> None:
    """Members of a oneof and proto3's optional fields: a zero that was set is not the same as none."""
    written, different = 0, []
    for library in LIBRARY:
        runtime = codec.message(library)
        for field in runtime.DESCRIPTOR.fields:
            if field.message_type is None and not field.is_repeated:
                data = bytes(library(**{field.name: field.default_value}))
                written += bool(data)
                if codec.encode(runtime.FromString(data)) != data:
                    different.append(field.full_name)
    assert different == []
    assert written > 50


@fields_may_be_deprecated
@given(st.data())
@settings(max_examples=500, deadline=None)
def test_any_message_means_to_the_library_what_it_means_to_the_runtime(data: st.DataObject) -> None:
    """Byte for byte but for the order of fields: the library writes as declared, the runtime by number."""
    library = data.draw(st.sampled_from(LIBRARY))
    runtime = codec.message(library)
    message = runtime()
    fill(message, lambda options: data.draw(st.sampled_from(options)), depth=2)
    ours = codec.encode(message)
    theirs = library_writes(library, ours)
    assert len(theirs) == len(ours)
    assert codec.encode(runtime.FromString(theirs)) == ours


def test_encoding_sorts_the_entries_of_a_map_whatever_order_they_came_in() -> None:
    names = [f"name-{number:02}" for number in range(30)]
    one, other = _Metadata(), _Metadata()
    for name in names:
        one.filter_metadata[name].update({"x": 1})
    for name in reversed(names):
        other.filter_metadata[name].update({"x": 1})
    data = codec.encode(one)
    assert codec.encode(other) == data
    assert sorted(names, key=lambda name: data.index(name.encode())) == names


def test_a_version_is_the_same_in_every_process() -> None:
    assert codec.content_version(b"") == "e4a6a0577479b2b4"
    assert codec.content_version(codec.encode(_Cluster(name="web"))) == "55c880dbd22efa0b"


def test_other_content_has_another_version() -> None:
    assert codec.content_version(b"a") != codec.content_version(b"b")


def test_json_has_the_names_and_durations_that_envoy_reads() -> None:
    cluster = _Cluster(name="web", connect_timeout=timedelta(seconds=1.5), lb_policy="RANDOM")
    assert codec.to_json(cluster) == {"name": "web", "connect_timeout": "1.500s", "lb_policy": "RANDOM"}


def test_json_shows_what_is_inside_an_any() -> None:
    packed = codec.pack(_Cluster(name="web"))
    (shown,) = codec.to_json(_Response(resources=[packed]))["resources"]
    assert shown == {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "web"}


def test_an_unknown_enum_name_is_refused() -> None:
    with pytest.raises(ValueError, match="MAGIC"):
        _Cluster(lb_policy="MAGIC")


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        _Cluster(colour="blue")


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 70_000])
def test_a_fragment_is_the_field_that_it_stands_for(size: int) -> None:
    packed = codec.Any_(value=b"x" * size)
    assert codec.length_delimited(2, codec.encode(packed)) == codec.encode(_Response(resources=[packed]))


def test_googles_own_types_are_those_of_the_pool() -> None:
    library = default_message_pool.url_to_type["type.googleapis.com/google.protobuf.Any"]
    assert codec.message(library) is codec.Any_


def test_threads_that_ask_at_once_get_the_same_classes() -> None:
    asked = [each for each in vars(admin_library).values() if isinstance(each, type) and issubclass(each, Message)]
    ready = threading.Barrier(8)

    def ask(turn: int) -> dict[LibraryMessage, Any]:
        ready.wait()
        return {each: codec.message(each) for each in asked[turn:] + asked[:turn]}

    with ThreadPoolExecutor(8) as pool:
        one, *others = pool.map(ask, range(8))
    assert len(one) > 20
    assert all(other == one for other in others)
