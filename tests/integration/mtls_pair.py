"""Two Envoys that speak mutual TLS with the certificates of their agents, under load: client → server → 200.

Their bootstraps are written here, so that what is shown is the agent's doing alone: secrets of the cluster `sds-grpc`,
checked for the peer's SPIFFE id, and a new connection (so a handshake) after every few requests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pilot.sidecar.identity import sds_cluster, secret_config
from pilot.sidecar.settings import Identity
from tests.e2e.traffic import Load
from tests.integration.control_plane_child import COMMAND, Child, join_token
from tests.servers.envoy import Envoy
from tests.servers.ports import free_ports
from tests.servers.process import Process

LOOPBACK = "127.0.0.1"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
REQUESTS_A_CONNECTION = 5
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


class AgentProcess:
    """`mesh-adapter sidecar --agent-only` of an account, by a join token; its socket is in `folder`."""

    def __init__(self, child: Child, account: str, folder: Path, root: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "agent.sock"
        token = folder / "token"
        token.write_text(join_token(child.folder, account))
        command = [COMMAND, "sidecar", "--agent-only", "--identity", "sds", "--service", account]
        command += ["--xds-addr", f"{LOOPBACK}:{child.tls}", "--sds-socket", str(self.socket)]
        command += ["--evidence", f"static={token}", "--root-cert-file", str(root), *options]
        self.process = Process(f"agent-{account}", command, folder=folder)

    def start(self) -> None:
        self.process.start()
        self.process.wait_until(lambda: "certificate of spiffe://" in self.log, "certified")

    @property
    def log(self) -> str:
        return self.process.log.read_text(encoding="utf-8")

    @property
    def certificates(self) -> int:
        """How many it got so far."""
        return self.log.count("certificate of spiffe://")


class Pair:
    """`with Pair(child, folder, root) as pair: with pair.load() as load: …`"""

    def __init__(self, child: Child, folder: Path, root: Path) -> None:
        self.agents = {name: AgentProcess(child, name, folder / name, root) for name in ("caller", "callee")}
        self.port, server_port = free_ports(2)
        sockets = {name: str(agent.socket) for name, agent in self.agents.items()}
        self.caller = Envoy(folder / "envoy-caller", client(sockets["caller"], self.port, server_port))
        self.callee = Envoy(folder / "envoy-callee", server(sockets["callee"], server_port))

    def __enter__(self) -> Self:
        for agent in self.agents.values():
            agent.start()
        for envoy in (self.callee, self.caller):
            envoy.start()
            envoy.wait_live()
        return self

    def __exit__(self, *_: object) -> None:
        for envoy in (self.caller, self.callee):
            envoy.stop()
        for agent in self.agents.values():
            agent.process.stop()

    def load(self) -> Load:
        """About 500 requests a second, if the machine lets it."""
        return Load(self.port, "callee", threads=4, pause=0.006)


def server(socket: str, port: int) -> dict[str, Any]:
    context = {
        "@type": f"{TLS}DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": common("caller"),
    }
    action = {"direct_response": {"status": 200, "body": {"inline_string": "{}"}}}
    return bootstrap(socket, port, action, [], context)


def client(socket: str, port: int, server_port: int) -> dict[str, Any]:
    context = {"@type": f"{TLS}UpstreamTlsContext", "common_tls_context": common("callee")}
    address = {"socket_address": {"address": LOOPBACK, "port_value": server_port}}
    options = {
        "@type": f"type.googleapis.com/{HTTP}",
        "common_http_protocol_options": {"max_requests_per_connection": REQUESTS_A_CONNECTION},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    cluster = {
        "name": "callee",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "callee",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
        "typed_extension_protocol_options": {HTTP: options},
    }
    return bootstrap(socket, port, {"route": {"cluster": "callee"}}, [cluster], None)


def common(peer: str) -> dict[str, Any]:
    """CommonTlsContext: the own certificate, and a peer of exactly this account."""
    name = {"san_type": "URI", "matcher": {"exact": f"spiffe://cluster.local/ns/default/sa/{peer}"}}
    return {
        "tls_certificate_sds_secret_configs": [secret_config("default")],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [name]},
            "validation_context_sds_secret_config": secret_config("ROOTCA"),
        },
    }


def bootstrap(
    socket: str, port: int, action: dict[str, Any], clusters: list[Any], context: dict[str, Any] | None
) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
    manager = {
        "@type": kind,
        "stat_prefix": "test",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": router}}],
    }
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
    if context is not None:
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    address = {"socket_address": {"address": LOOPBACK, "port_value": port}}
    return {
        "node": {"id": "test", "cluster": "test"},
        "static_resources": {
            "listeners": [{"name": "test", "address": address, "filter_chains": [chain]}],
            "clusters": [*clusters, sds_cluster(Identity(socket))],
        },
    }
