"""A Consul server agent on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers.binaries import require
from tests.servers.http import Answer, call
from tests.servers.ports import free_ports
from tests.servers.process import Process
from tests.servers.server import Server
from tests.servers.settings import Settings, overlaid, write_json

if TYPE_CHECKING:
    from tests.servers.tls import Certificate

LOOPBACK = "127.0.0.1"


class Consul(Server):
    """One server agent. By default in development mode, whose data are in memory; `persistent` keeps them on disk.

    management_token turns access control on, with deny as the default policy and this token allowed everything.
    certificate makes the HTTP API answer TLS only, and demand a client certificate if verify_incoming is set in config.
    join is another datacenter's server: the two are federated over the WAN once both are up.
    config is laid over the agent's configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        datacenter: str = "dc1",
        persistent: bool = False,
        management_token: str | None = None,
        certificate: Certificate | None = None,
        join: Consul | None = None,
        config: Settings | None = None,
    ) -> None:
        super().__init__(folder)
        self.datacenter = datacenter
        self.keeps_data = persistent
        self.management_token = management_token
        self.certificate = certificate
        self._join = join
        self._config = config or {}
        self._http, self._server, self._serf_lan, self._serf_wan = free_ports(4)

    @property
    def http_addr(self) -> str:
        """host:port of the HTTP API (which speaks TLS when a certificate was given)."""
        return f"{LOOPBACK}:{self._http}"

    @property
    def http_port(self) -> int:
        """The port of http_addr."""
        return self._http

    @property
    def url(self) -> str:
        """The HTTP API's URL, without a slash at its end."""
        return f"{'https' if self.certificate else 'http'}://{self.http_addr}"

    @property
    def serf_wan_addr(self) -> str:
        """host:port for a server of another datacenter to join."""
        return f"{LOOPBACK}:{self._serf_wan}"

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Answer:
        """One request to the API, with the management token unless another is given (an empty one is none)."""
        secret = self.management_token if token is None else token
        tls = self.certificate.client_context() if self.certificate else None
        return call(method, self.url + path, body, headers={"X-Consul-Token": secret} if secret else {}, tls=tls)

    def get(self, path: str, *, token: str | None = None) -> Any:
        """The JSON that a GET answers."""
        return self.call("GET", path, token=token).json

    def put(self, path: str, body: object = None, *, token: str | None = None) -> Any:
        """The JSON that a PUT answers."""
        return self.call("PUT", path, body, token=token).json

    def _make_process(self) -> Process:
        config = write_json(self.folder / "consul.json", overlaid(self._defaults(), self._config))
        mode = [] if self.keeps_data else ["-dev"]
        return Process("consul", [str(require("consul")), "agent", *mode, f"-config-file={config}"], folder=self.folder)

    def _wait_ready(self, process: Process) -> None:
        process.wait_until(self._is_ready, "its leader elected and its node registered")
        if self._join is not None and self._join.running:
            process.wait_until(self._is_joined, f"federated with {self._join.datacenter}")

    def _is_ready(self) -> bool:
        return any(node["Node"] == self._node for node in self.get("/v1/catalog/nodes") or ())

    def _is_joined(self) -> bool:
        assert self._join is not None
        there = self._join.datacenter
        answers = bool(self.get(f"/v1/catalog/nodes?dc={there}"))
        return answers and bool(self._join.get(f"/v1/catalog/nodes?dc={self.datacenter}"))

    @property
    def _node(self) -> str:
        return f"consul-{self.datacenter}"

    def _defaults(self) -> dict[str, object]:
        """Loopback only, every port its own, nothing that calls home or is answered slowly on purpose."""
        settings: dict[str, object] = {
            "datacenter": self.datacenter,
            "primary_datacenter": "" if self._join is None else self._join.datacenter,
            "node_name": self._node,
            "server": True,
            "bind_addr": LOOPBACK,
            "client_addr": LOOPBACK,
            "ports": self._ports(),
            "disable_update_check": True,
            "performance": {"raft_multiplier": 1},
            "retry_join_wan": [] if self._join is None else [self._join.serf_wan_addr],
            "retry_interval_wan": "1s",
        }
        if self.keeps_data:
            settings |= {"data_dir": str(self.data), "bootstrap_expect": 1, "connect": {"enabled": True}}
        if self.management_token is not None:
            settings["acl"] = _access_control(self.management_token)
        if self.certificate is not None:
            settings["tls"] = {"defaults": _tls(self.certificate)}
        return settings

    def _ports(self) -> dict[str, int]:
        return {
            "http": -1 if self.certificate else self._http,
            "https": self._http if self.certificate else -1,
            "grpc": -1,
            "grpc_tls": -1,
            "dns": -1,
            "server": self._server,
            "serf_lan": self._serf_lan,
            "serf_wan": self._serf_wan,
        }


def _access_control(management_token: str) -> dict[str, object]:
    """Deny by default; the agent itself uses the management token to register its node."""
    tokens = {"initial_management": management_token, "agent": management_token}
    return {"enabled": True, "default_policy": "deny", "tokens": tokens}


def _tls(certificate: Certificate) -> dict[str, object]:
    return {
        "ca_file": str(certificate.ca_file),
        "cert_file": str(certificate.cert_file),
        "key_file": str(certificate.key_file),
    }
