"""A Vault in development mode on loopback: unsealed, its root token known, its data in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.servers.binaries import require
from tests.servers.http import Answer, call
from tests.servers.ports import free_ports
from tests.servers.process import Process
from tests.servers.server import Server
from tests.servers.settings import Settings, write_json

LOOPBACK = "127.0.0.1"


class Vault(Server):
    """One Vault; config is a further configuration file (plug-in folders, telemetry, a listener with TLS …)."""

    def __init__(self, folder: Path, *, root_token: str = "root", config: Settings | None = None) -> None:
        super().__init__(folder)
        self.root_token = root_token
        self._config = config or {}
        self.port, self._cluster_port = free_ports(2)

    @property
    def addr(self) -> str:
        """host:port of the API."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The API's URL, without a slash at its end."""
        return f"http://{self.addr}"

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Answer:
        """One request to /v1 + path, with the root token unless another is given (an empty one is none)."""
        secret = self.root_token if token is None else token
        return call(method, f"{self.url}/v1{path}", body, headers={"X-Vault-Token": secret} if secret else {})

    def read(self, path: str, *, token: str | None = None) -> Any:
        """The data of a path."""
        return self.call("GET", path, token=token).json["data"]

    def write(self, path: str, body: object, *, token: str | None = None) -> Any:
        """Write to a path; what is answered, if anything."""
        return self.call("POST", path, body, token=token).json

    def _make_process(self) -> Process:
        config = write_json(
            self.folder / "vault.json", {"cluster_addr": f"http://{LOOPBACK}:{self._cluster_port}"} | dict(self._config)
        )
        dev = [
            "-dev",
            f"-dev-root-token-id={self.root_token}",
            f"-dev-listen-address={self.addr}",
            "-dev-no-store-token",
        ]
        command = [str(require("vault")), "server", *dev, f"-config={config}"]
        return Process("vault", command, folder=self.folder, environment={"HOME": str(self.folder)})

    def _wait_ready(self, process: Process) -> None:
        process.wait_until(lambda: self.read("/auth/token/lookup-self")["id"] == self.root_token, "unsealed")
