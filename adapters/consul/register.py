"""Registers this control plane with the Consul agent, with a check of its readiness, and takes it back at the end.

Run by `adapters.consul.watch` as a thread, if the operator asked for it. An agent that is away is tried again; one that
lost its services (it restarted) is told again.
"""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
from typing import Any

from adapters.api import Access, ApiError, refusal
from adapters.consul.client import Client
from adapters.pace import pause_after_failure
from adapters.platform import Announcement

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
CHECK_EVERY = "10s"
GONE_AFTER = "10m"
"""Consul itself removes a control plane that was killed, after so long in critical."""
ANY = ("0.0.0.0", "::", "")


class Registration(threading.Thread):
    """`close` ends it, within a moment if the agent answers."""

    def __init__(self, access: Access, name: str, announcement: Announcement) -> None:
        super().__init__(name="consul-register", daemon=True)
        self._client = Client(access, 1)
        self._service = document(name, announcement, socket.gethostname())
        self._closed = threading.Event()

    def run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            try:
                if not self._is_registered():
                    self._put("/v1/agent/service/register", self._service)
                    log.info("registered with Consul as %s", self._service["ID"])
                failures = 0
            except ApiError as error:
                failures += 1
                if failures == 1:
                    log.warning("can't be registered with Consul: %s; tried again", error)
            self._closed.wait(pause_after_failure(failures, random.random()) if failures else LOOK_EVERY)

    def close(self) -> None:
        """Deregister; an agent that is away is left to its own check."""
        self._closed.set()
        try:
            self._put(f"/v1/agent/service/deregister/{self._service['ID']}", None, timeout=1.0)
        except ApiError as error:
            log.warning("can't be deregistered from Consul: %s; its check will", error)
        self._client.close()

    def _is_registered(self) -> bool:
        answer = self._client.send("GET", f"/v1/agent/service/{self._service['ID']}", again=True)
        return answer.status == 200

    def _put(self, path: str, body: Any, timeout: float = 5.0) -> None:
        data = json.dumps(body).encode() if body is not None else None
        answer = self._client.send("PUT", path, {"replace-existing-checks": "true"}, data, timeout=timeout)
        if answer.status >= 300:
            raise refusal(answer)


def document(name: str, announcement: Announcement, host: str) -> dict[str, Any]:
    """What the agent is told; without an address of its own the node's counts."""
    everywhere = announcement.address in ANY
    checked = "127.0.0.1" if everywhere else announcement.address
    checked = f"[{checked}]" if ":" in checked else checked
    return {
        "ID": f"{name}-{host}-{announcement.xds_port}",
        "Name": name,
        "Address": "" if everywhere else announcement.address,
        "Port": announcement.xds_port,
        "Meta": {"protocol": "grpc", "http-port": str(announcement.http_port)},
        "Check": {
            "Name": "ready",
            "HTTP": f"http://{checked}:{announcement.http_port}/readyz",
            "Interval": CHECK_EVERY,
            "Timeout": "5s",
            "DeregisterCriticalServiceAfter": GONE_AFTER,
        },
    }
