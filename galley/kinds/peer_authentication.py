"""PeerAuthentication (security.istio.io, peer_authentication.proto): which connections workloads take from peers.

Data only: read by planning, built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.selector import WorkloadSelector
from galley.schema import Becomes, UInt32


class MutualTLSMode(enum.Enum):
    """Plain text, either, or mutual TLS only; UNSET is what the level above says."""

    UNSET = "UNSET"
    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


@attrs.frozen
class MutualTLS:
    """How one level takes connections."""

    mode: Annotated[MutualTLSMode, Becomes("`filter_chains` of listeners for peers: with TLS, without, or both")] = (
        MutualTLSMode.UNSET
    )


@attrs.frozen
class PeerAuthentication:
    """Of workloads with these labels; of a namespace, or in the root namespace of the mesh, where there are none."""

    selector: WorkloadSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: Annotated[
        tuple[tuple[UInt32, MutualTLS], ...], Becomes("the same of the listener for that port of the workload")
    ] = ()
