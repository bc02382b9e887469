"""What a proxy can prove of itself, and what holds for connections to it: the parts of a view that security decides by.

`Identity` comes from the proxy's node (`pilot.model.proxy`); `Security` is worked out when a view is reduced, so that
proxies under the same policies are told the same. Pure data.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

TLS_MODE = "security.istio.io/tlsMode"
"""The label of an endpoint that says, with the value `istio`, that a proxy of the mesh takes mutual TLS beside it."""
CERTIFICATES = "/etc/certs"


class PeerMode(enum.Enum):
    """How a port takes connections: plain text, plain text or mutual TLS, mutual TLS."""

    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@attrs.frozen(cache_hash=True)
class Files:
    """A certificate chain, its key, and the CAs that peers are held against, as the proxy's host has them."""

    certificate: str
    key: str
    ca: str


@attrs.frozen(cache_hash=True)
class Identity:
    """Where a proxy has its certificate of the mesh from: a local socket (SDS), or files for each of its roles."""

    server: Files | None = None
    client: Files | None = None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Identity | None:
        """By MESH_IDENTITY: `sds`, `files` with Istio's TLS_SERVER_… and TLS_CLIENT_… names, or none. ValueError."""
        said = metadata.get("MESH_IDENTITY") or ""
        if said not in ("", "none", "sds", "files"):
            raise ValueError(f"MESH_IDENTITY is {said!r}: give sds or files, or leave it out")
        if said != "files":
            return cls() if said == "sds" else None
        server = _files(
            metadata,
            "SERVER",
            Files(f"{CERTIFICATES}/cert-chain.pem", f"{CERTIFICATES}/key.pem", f"{CERTIFICATES}/root-cert.pem"),
        )
        return cls(server, _files(metadata, "CLIENT", server))


def _files(metadata: Mapping[str, Any], role: str, default: Files) -> Files:
    def path(name: str, otherwise: str) -> str:
        found = metadata.get(f"TLS_{role}_{name}") or otherwise
        if not isinstance(found, str) or not found.startswith("/"):
            raise ValueError(f"TLS_{role}_{name} is {found!r}, not an absolute path")
        return found

    return Files(path("CERT_CHAIN", default.certificate), path("KEY", default.key), path("ROOT_CERT", default.ca))


@attrs.frozen(cache_hash=True)
class Security:
    """What is in force for one workload, as the reduced view says it."""

    mode: PeerMode = PeerMode.PERMISSIVE
    port_modes: tuple[tuple[int, PeerMode], ...] = ()
    authorization: tuple[str, ...] = ()
    """The AuthorizationPolicies for the workload, as NAMESPACE/NAME."""

    def mode_of(self, port: int) -> PeerMode:
        """Of a port of the workload."""
        return dict(self.port_modes).get(port, self.mode)


PERMISSIVE = Security()
"""What holds where nothing is said."""
