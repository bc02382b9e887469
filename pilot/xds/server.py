"""The gRPC edge of xDS: ADS and the single-type services of CDS, EDS, LDS, RDS and SDS, state of the world and delta.

Built and run by the composition root in one event loop. Takes no decision: what is said is `pilot.xds.protocol`'s, to
whom and what about is the Directory's. Messages pass as raw bytes, since responses are joined from ready fragments.
Metrics and `connections` are the doors to the outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from pilot.xds.access import Admit, Admitted, StreamError, admit_all, check_claims
from pilot.xds.cache import Encodings
from pilot.xds.connection import (
    DELTA,
    SOTW,
    Connection,
    Q,
    R,
    Rejections,
    Shared,
    Variant,
    decode,
)
from pilot.xds.directory import Directory, Subscription
from pilot.xds.metrics import XdsMetrics
from pilot.xds.protocol import Node
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, SDS
from pilot.xds.syncz import ConnectionStatus


@attrs.frozen
class Service:
    """A discovery service by its methods; an aggregated one has no unary method."""

    name: str
    types: tuple[str, ...]
    stream: str
    delta: str
    fetch: str = ""


SERVICES = (
    Service(
        "envoy.service.discovery.v3.AggregatedDiscoveryService",
        ORDER,
        "StreamAggregatedResources",
        "DeltaAggregatedResources",
    ),
    Service(
        "envoy.service.cluster.v3.ClusterDiscoveryService", (CDS,), "StreamClusters", "DeltaClusters", "FetchClusters"
    ),
    Service(
        "envoy.service.endpoint.v3.EndpointDiscoveryService",
        (EDS,),
        "StreamEndpoints",
        "DeltaEndpoints",
        "FetchEndpoints",
    ),
    Service(
        "envoy.service.listener.v3.ListenerDiscoveryService",
        (LDS,),
        "StreamListeners",
        "DeltaListeners",
        "FetchListeners",
    ),
    Service("envoy.service.route.v3.RouteDiscoveryService", (RDS,), "StreamRoutes", "DeltaRoutes", "FetchRoutes"),
    Service("envoy.service.secret.v3.SecretDiscoveryService", (SDS,), "StreamSecrets", "DeltaSecrets", "FetchSecrets"),
)

OPTIONS: Mapping[str, int] = {
    "grpc.so_reuseport": 0,  # a second server on the port is a mistake to be told, not to share with
    "grpc.max_concurrent_streams": 100_000,
    "grpc.max_receive_message_length": 4 << 20,
    "grpc.max_send_message_length": -1,  # a full state is as long as it is
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    "grpc.http2.min_recv_ping_interval_without_data_ms": 10_000,  # Envoy's own keepalive is not taken for abuse
}


@attrs.frozen
class Listen:
    """An address `host:port` (port 0 takes a free one, `unix:path` works too), with TLS if there are credentials."""

    address: str
    credentials: grpc.ServerCredentials | None = None


class XdsServer:
    """`clock` gives the time that `connections` shows; `services` are further gRPC handlers on the same ports; `admit`
    decides who may open a stream."""

    def __init__(
        self,
        directory: Directory,
        *,
        registry: CollectorRegistry,
        clock: Callable[[], datetime],
        services: Iterable[grpc.GenericRpcHandler] = (),
        options: Mapping[str, int] = OPTIONS,
        admit: Admit = admit_all,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._services = tuple(services)
        self._options = tuple(options.items())
        self._admit = admit
        self._shared = Shared(XdsMetrics(registry), Encodings(), Rejections())
        self._connections: dict[Connection[Any, Any], None] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self, listens: Sequence[Listen]) -> tuple[int, ...]:
        """Listens, and returns the ports in the order asked. Raises OSError naming an address that cannot be had."""
        server = grpc.aio.server(options=self._options)
        server.add_generic_rpc_handlers((*(self._handler(each) for each in SERVICES), *self._services))
        try:
            ports = tuple(_bind(server, each) for each in listens)
        except OSError:
            await server.stop(None)
            raise
        await server.start()
        self._server = server
        return ports

    async def stop(self, grace: float = 5.0) -> None:
        """Takes no more streams, ends those there are with UNAVAILABLE, and waits `grace` seconds for the rest."""
        if self._server is None:
            return
        for connection in tuple(self._connections):
            connection.end()
        await self._server.stop(grace)
        self._server = None

    def connections(self) -> tuple[ConnectionStatus, ...]:
        """Every live stream, oldest first."""
        return tuple(connection.status() for connection in self._connections)

    def _handler(self, service: Service) -> grpc.GenericRpcHandler:
        methods = {
            service.stream: grpc.stream_stream_rpc_method_handler(self._behaviour(SOTW, service.types)),
            service.delta: grpc.stream_stream_rpc_method_handler(self._behaviour(DELTA, service.types)),
        }
        if service.fetch:
            methods[service.fetch] = grpc.unary_unary_rpc_method_handler(_refuse_fetch)
        return grpc.method_handlers_generic_handler(service.name, methods)

    def _behaviour(self, variant: Variant[Q, R], types: Sequence[str]) -> Callable[[Any, Any], Any]:
        async def serve(_: object, context: Any) -> None:
            try:
                await self._serve(variant, types, context)
            except StreamError as error:
                await context.abort(error.code, error.details)

        return serve

    async def _serve(self, variant: Variant[Q, R], types: Sequence[str], context: Any) -> None:
        admitted = await self._admit(context)
        data = await context.read()
        if data is grpc.aio.EOF:
            return
        first = decode(variant, data)
        node, subscription = self._connect(first.node, admitted)
        try:
            address = admitted.address
            connection = Connection(context, variant, types, node, subscription, self._clock(), self._shared, address)
            await self._run(connection, node, types, first)
        finally:
            subscription.close()

    async def _run(self, connection: Connection[Q, R], node: Node, types: Sequence[str], first: Q) -> None:
        self._connections[connection] = None
        self._shared.metrics.connected(node.user_agent_version)
        try:
            await connection.run(first)
        finally:
            del self._connections[connection]
            self._shared.metrics.disconnected(node.user_agent_version, node.id, types)

    def _connect(self, node: Node | None, admitted: Admitted) -> tuple[Node, Subscription]:
        try:
            if node is None or not node.id:
                raise ValueError(
                    "the first request of a stream must carry a node with an id, sidecar~IP~NAME.NAMESPACE~DOMAIN "
                    "or router~IP~NAME.NAMESPACE~DOMAIN (node.id in Envoy's bootstrap, or --service-node)"
                )
            check_claims(node, admitted)
            return node, self._directory.connect(node, admitted)
        except ValueError as error:
            self._shared.metrics.refused_stream()
            raise StreamError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error


def _bind(server: grpc.aio.Server, listen: Listen) -> int:
    try:
        if listen.credentials is None:
            port: int = server.add_insecure_port(listen.address)
        else:
            port = server.add_secure_port(listen.address, listen.credentials)
    except RuntimeError as error:
        raise OSError(
            f"cannot listen on {listen.address} for xDS: the address is in use, not this machine's or not permitted; "
            "stop what listens there (ss -ltnp shows it) or choose another address"
        ) from error
    return port


async def _refuse_fetch(_: bytes, context: Any) -> None:
    await context.abort(
        grpc.StatusCode.UNIMPLEMENTED, "fetching by polling is not served; use the Stream… or Delta… method"
    )
