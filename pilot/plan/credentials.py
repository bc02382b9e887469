"""Decides by which names proxies ask for certificates and CAs, and what a proxy that may have them is told. Pure.

Names are Istio's: `kubernetes://NAME` and `kubernetes://NAME-cacert` are of the proxy's own namespace, whichever the
Gateway or rule is in; `kubernetes-gateway://NAMESPACE/NAME` stands only where a ReferenceGrant was looked at
(`galley.gateway_api`). A proxy is told what its own configuration refers to and nothing else. Files of its host go by
`file-cert:…` and `file-root:…`, which are no secret: the proxy reads them, and reads them again when they are renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from galley.kinds.gateway import ServerTLSmode, ServerTLSSettings
from pilot import ir
from pilot.model.credential import Credentials
from pilot.model.proxy import OutboundView, ProxyView
from pilot.plan.index import Index

OWN, OF_API = "kubernetes://", "kubernetes-gateway://"
CA = "-cacert"
_PASSES = (ServerTLSmode.PASSTHROUGH, ServerTLSmode.AUTO_PASSTHROUGH)
_ASKS = (ServerTLSmode.MUTUAL, ServerTLSmode.OPTIONAL_MUTUAL)


def pair(name: str) -> ir.SecretRef:
    """A certificate with its key, by the name that configuration has for it."""
    return ir.SecretRef(name if name.startswith(OF_API) else f"{OWN}{name}", ir.SecretSource.CONTROL_PLANE)


def bundle(name: str) -> ir.SecretRef:
    """The CAs that go with a name: of secret NAME-cacert, else of NAME."""
    return pair(f"{name.removesuffix(CA)}{CA}")


def server_pairs(settings: ServerTLSSettings) -> tuple[ir.SecretRef, ...]:
    """What a server shows."""
    return tuple(map(pair, settings.credentials)) or tuple(_ref(each.name) for each in _file_pairs(settings))


def server_cas(settings: ServerTLSSettings) -> ir.SecretRef | None:
    """What clients of a server are held against, in the modes that ask them for a certificate."""
    if settings.mode not in _ASKS:
        return None
    named = settings.ca_cert_credential_name or next(iter(settings.credentials), "")
    return bundle(named) if named else _ref(_file_cas(settings).name)


def server_secrets(index: Index, view: OutboundView, settings: Iterable[ServerTLSSettings]) -> tuple[ir.Secret, ...]:
    """All that servers with these settings need, each once."""
    found: dict[str, ir.Secret] = {}
    for each in settings:
        for file in (*(() if each.credentials else _file_pairs(each)), *_file_bundles(each)):
            found[file.name] = file
        for secret in told(index, view, server_refs(each)):
            found[secret.name] = secret
    return tuple(found.values())


def server_refs(settings: ServerTLSSettings) -> tuple[ir.SecretRef, ...]:
    """What a server with these settings refers to."""
    cas = server_cas(settings)
    return (*server_pairs(settings), *((cas,) if cas else ()))


def cluster_refs(clusters: Iterable[ir.Cluster]) -> Iterator[ir.SecretRef]:
    """What connections to these clusters refer to."""
    for cluster in clusters:
        for ref in (cluster.tls.certificate, cluster.tls.ca) if cluster.tls else ():
            if ref:
                yield ref


def told(index: Index, view: OutboundView, refs: Iterable[ir.SecretRef]) -> tuple[ir.Secret, ...]:
    """Those that are there, for a proxy that may have them."""
    if not view.secrets:
        return ()
    names = dict.fromkeys(ref.name for ref in refs if is_credential(ref.name))
    return tuple(found for name in names if (found := find(index.credentials, view.namespace, name)))


def is_credential(name: str) -> bool:
    return name.startswith((OWN, OF_API))


def place(name: str, namespace: str) -> tuple[str, str]:
    """Namespace and name that the name of a secret stands for, said by a proxy of `namespace`."""
    if name.startswith(OF_API):
        where, _, wanted = name.removeprefix(OF_API).partition("/")
        return where, wanted
    return namespace, name.removeprefix(OWN)


def find(credentials: Credentials, own: str, name: str) -> ir.Secret | None:
    """What a proxy of namespace `own` means by a name; None if there is no such secret, or not this part of it."""
    namespace, wanted = place(name, own)
    found = credentials.get((namespace, wanted))
    if not wanted.endswith(CA):
        return ir.Secret(name, certificate=found.certificate, key=found.key) if found and found.certificate else None
    if found is None or not found.ca:
        found = credentials.get((namespace, wanted.removesuffix(CA)))
    return ir.Secret(name, ca=found.ca, crl=found.crl) if found and found.ca else None


def referred(index: Index, view: ProxyView) -> Iterator[tuple[str, str]]:
    """Names of secrets that the configuration of a proxy refers to, and the object that does; for a reduced view."""
    for gateway in (index.gateways[name] for name in view.gateways):
        for server in gateway.spec.servers:
            if server.tls and server.tls.mode not in _PASSES:
                yield from ((ref.name, str(gateway)) for ref in server_refs(server.tls) if is_credential(ref.name))


def _ref(name: str) -> ir.SecretRef:
    return ir.SecretRef(name, ir.SecretSource.CONTROL_PLANE)


def _file_pairs(settings: ServerTLSSettings) -> tuple[ir.Secret, ...]:
    several = tuple((each.server_certificate, each.private_key) for each in settings.tls_certificates)
    pairs = several or ((settings.server_certificate, settings.private_key),)
    return tuple(ir.Secret(f"file-cert:{one}~{key}", certificate_file=one, key_file=key) for one, key in pairs)


def _file_bundles(settings: ServerTLSSettings) -> tuple[ir.Secret, ...]:
    cas = server_cas(settings)
    return () if cas is None or is_credential(cas.name) else (_file_cas(settings),)


def _file_cas(settings: ServerTLSSettings) -> ir.Secret:
    name = "~".join(filter(None, (f"file-root:{settings.ca_certificates}", settings.ca_crl)))
    return ir.Secret(name, ca_file=settings.ca_certificates, crl_file=settings.ca_crl)
