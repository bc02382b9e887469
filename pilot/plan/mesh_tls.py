"""Decides TLS by the mesh's own identities: what a proxy shows, whom it expects, how it asks for them. Pure.

Names are Istio's: the secrets `default` and `ROOTCA` from the socket beside the proxy, `file-cert:…` and `file-root:…`
for files; server names `outbound_.80_.v1_.web.example`; ALPN `istio…`, by which a port that takes both tells TLS of the
mesh from TLS of the workload itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from galley.kinds.destination_rule import ClientTLSSettings, TLSmode
from pilot import ir
from pilot.model.security import TLS_MODE, Files, Identity, PeerMode
from pilot.model.service import Endpoint, Port, Service
from pilot.plan import names
from pilot.plan.alt_names import alt_name
from pilot.plan.peers import Peers

ALPN_TCP = ("istio-peer-exchange", "istio")
ALPN_HTTP = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
_OFFERED = {
    ir.UpstreamHttp.NONE: ("istio",),
    ir.UpstreamHttp.HTTP1: ("istio-http/1.1", "http/1.1"),
    ir.UpstreamHttp.HTTP2: ("istio-h2", "h2"),
    ir.UpstreamHttp.SAME: ("istio-http/1.1",),
}
"""What a cluster offers by what it speaks. SAME says HTTP alone: the version shows in the first bytes."""
TCP_OFFER = _OFFERED[ir.UpstreamHttp.NONE]
_SPIFFE = "spiffe://"


def is_istio_mutual(settings: ClientTLSSettings | None) -> bool:
    """Whether a rule asks for mutual TLS of the mesh."""
    return settings is not None and settings.mode is TLSmode.ISTIO_MUTUAL


def begins_mesh_tls(settings: ClientTLSSettings | None, service: Service) -> bool:
    """Whether a client with an identity uses it: where a rule says so, and by itself where no rule says anything."""
    return settings.mode is TLSmode.ISTIO_MUTUAL if settings else not service.external


def client_tls(
    identity: Identity,
    peers: Peers,
    service: Service,
    port: Port,
    subset: str,
    http: ir.UpstreamHttp,
    settings: ClientTLSSettings | None,
) -> ir.Tls:
    """Mutual TLS to a cluster of the service."""
    said = settings or ClientTLSSettings()
    expected = said.subject_alt_names or service.subject_alt_names or identities(service, peers.trust_domains)
    return ir.Tls(
        certificate=certificate(identity.client),
        ca=roots(identity.client),
        alt_names=tuple(map(alt_name, expected)),
        sni=said.sni or names.server_name(service.host, port.number, subset),
        alpn=_OFFERED[http],
    )


def server_tls(identity: Identity) -> ir.ServerTls:
    """Mutual TLS from peers. It agrees to no ALPN: what is spoken inside shows in the first bytes."""
    ca = roots(identity.server)
    return ir.ServerTls(secrets=(certificate(identity.server),), ca=ca, require_client_certificate=True)


def certificate(files: Files | None) -> ir.SecretRef:
    if files is None:
        return ir.SecretRef("default", ir.SecretSource.AGENT)
    return ir.SecretRef(f"file-cert:{files.certificate}~{files.key}", ir.SecretSource.CONTROL_PLANE)


def roots(files: Files | None) -> ir.SecretRef:
    if files is None:
        return ir.SecretRef("ROOTCA", ir.SecretSource.AGENT)
    return ir.SecretRef(f"file-root:{files.ca}", ir.SecretSource.CONTROL_PLANE)


def file_secrets(identity: Identity | None) -> tuple[ir.Secret, ...]:
    """What the control plane says of the secrets that are files of the proxy's host."""
    found: dict[str, ir.Secret] = {}
    for files in (identity.server, identity.client) if identity else ():
        if files is not None:
            pair, bundle = certificate(files).name, roots(files).name
            found[pair] = ir.Secret(pair, certificate_file=files.certificate, key_file=files.key)
            found[bundle] = ir.Secret(bundle, ca_file=files.ca)
    return tuple(found[name] for name in sorted(found))


def takes_mesh_tls(endpoint: Endpoint, port: int, service: Service, peers: Peers) -> bool:
    """Whether an endpoint takes it on that port: a proxy stands beside it, and no policy switches TLS off."""
    if dict(endpoint.labels).get(TLS_MODE) != "istio" or service.external:
        return False
    return peers.security(service.namespace, endpoint.labels).mode_of(port) is not PeerMode.DISABLE


def identities(service: Service, trust_domains: Iterable[str]) -> tuple[str, ...]:
    """Who the instances of a service may be: their accounts under every name of the mesh. Empty is not known."""
    domains = tuple(trust_domains)
    found: set[str] = set()
    for account in service.accounts:
        if account.startswith(_SPIFFE):
            found.add(account)
        else:
            found |= {f"{_SPIFFE}{domain}/ns/{service.namespace}/sa/{account}" for domain in domains}
    return tuple(sorted(found))
