"""Decides by which chains a port takes what peers send: plain, by mutual TLS of the mesh, or either. Pure.

A port that takes either looks at the first bytes. TLS that offers one of the mesh's ALPN names is the mesh's; other TLS
is the workload's own and is passed on as it is. A port that is to take mutual TLS only, beside a proxy that has no
identity to end it with, takes nothing: it is not for us to open it.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from pilot import ir
from pilot.model.security import Identity, PeerMode
from pilot.plan.mesh_tls import ALPN_HTTP, ALPN_TCP, server_tls

TLS, PLAIN = "tls", "raw_buffer"
NOBODY = "nobody"
"""A transport that no connection is of."""
HTTP_OVER_TLS = (*ALPN_HTTP, "http/1.0", "http/1.1", "h2")
SILENCE = timedelta(seconds=1)
"""How long a port that takes either waits for a client to begin, before it lets a server of plain TCP speak first."""


def by_mode(listener: ir.Listener, mode: PeerMode, identity: Identity | None, passthrough: ir.TcpProxy) -> ir.Listener:
    """The listener, which takes plain text, with the chains of that mode. `passthrough` hands bytes to the workload."""
    if mode is PeerMode.DISABLE or (identity is None and mode is PeerMode.PERMISSIVE):
        return listener
    if identity is None:
        closed = attrs.evolve(listener.chains[-1], name="closed", transport_protocol=NOBODY)
        return attrs.evolve(listener, chains=(closed,), http_inspector=False, tls_inspector=True)
    secured = _secured(listener.chains, identity, strict=mode is PeerMode.STRICT)
    if mode is PeerMode.STRICT:
        return attrs.evolve(listener, chains=secured, http_inspector=False, tls_inspector=True)
    own_tls = ir.FilterChain(passthrough, name="own-tls", transport_protocol=TLS)
    plain = tuple(attrs.evolve(chain, transport_protocol=PLAIN) for chain in listener.chains)
    return attrs.evolve(
        listener,
        chains=(*secured, own_tls, *plain),
        tls_inspector=True,
        silence=SILENCE if any(isinstance(chain.filter, ir.TcpProxy) for chain in plain) else None,
    )


def _secured(chains: tuple[ir.FilterChain, ...], identity: Identity, *, strict: bool) -> tuple[ir.FilterChain, ...]:
    """Each chain for TLS of the mesh: of two, the one for HTTP takes who says that it is."""
    several = len(chains) > 1
    found = []
    alpn: tuple[str, ...]
    for chain in chains:
        http = isinstance(chain.filter, ir.HttpConnectionManager)
        if not several:
            alpn = () if strict else (*ALPN_TCP, *ALPN_HTTP)
        elif http:
            alpn = HTTP_OVER_TLS if strict else ALPN_HTTP
        else:
            alpn = () if strict else ALPN_TCP
        found.append(
            attrs.evolve(
                chain,
                name="-".join(filter(None, (chain.name, "mtls"))),
                transport_protocol=TLS,
                application_protocols=alpn,
                tls=server_tls(identity),
            )
        )
    return tuple(found)
