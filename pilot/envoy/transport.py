"""Prints transport sockets: TLS to a cluster and at a listener, the PROXY protocol around whatever is spoken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy_data_plane.envoy.extensions.transport_sockets.proxy_protocol import v3 as proxy_protocol_library
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer import v3 as raw_library
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.sources import AGENT, SECRETS

_UpstreamTlsContext = codec.message(tls_library.UpstreamTlsContext)
_DownstreamTlsContext = codec.message(tls_library.DownstreamTlsContext)
_ProxyProtocol = codec.message(proxy_protocol_library.ProxyProtocolUpstreamTransport)
MESH_TLS = {"tlsMode": "istio"}
"""What the metadata of an endpoint says for `envoy.transport_socket_match`, in Istio's words."""
_RAW = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": codec.pack(codec.message(raw_library.RawBuffer)()),
}


def transport_socket(value: ir.Cluster) -> dict[str, Any]:
    """The field of that name of envoy.config.cluster.v3.Cluster, in a mapping that is empty for plain TCP."""
    socket = _tls(value.tls) if value.tls else None
    plain = None
    if value.proxy_protocol:
        plain = _announced(value.proxy_protocol, _RAW)
        socket = _announced(value.proxy_protocol, socket or _RAW)
    if socket and value.tls_where_taken:
        return {"transport_socket_matches": [_match(MESH_TLS, socket), _match({}, plain or _RAW)]}
    return {"transport_socket": socket} if socket else {}


def _match(wanted: dict[str, str], socket: dict[str, Any]) -> dict[str, Any]:
    """One of the sockets of a cluster, for endpoints whose metadata says `wanted`: the first that fits is used."""
    name = f"tlsMode-{wanted.get('tlsMode', 'disabled')}"
    return {"name": name, "match": wanted, "transport_socket": socket}


def _announced(version: ir.ProxyProtocol, inner: dict[str, Any]) -> dict[str, Any]:
    message = _ProxyProtocol(config={"version": version.value}, transport_socket=inner)
    return {"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": codec.pack(message)}


def _tls(value: ir.Tls) -> dict[str, Any]:
    found: dict[str, Any] = {"alpn_protocols": value.alpn}
    if value.certificate_file:
        files = {"certificate_chain": _file(value.certificate_file), "private_key": _file(value.key_file)}
        found["tls_certificates"] = [files]
    if value.certificate:
        found["tls_certificate_sds_secret_configs"] = [_secret(value.certificate)]
    found |= _validated(value.ca, value.ca_file, _expected(value, value.crl_file))
    message = _UpstreamTlsContext(sni=value.sni, common_tls_context=found)
    return {"name": "envoy.transport_sockets.tls", "typed_config": codec.pack(message)}


def server_transport_socket(value: ir.ServerTls) -> dict[str, Any]:
    """The same of envoy.config.listener.v3.FilterChain."""
    versions = {"tls_minimum_protocol_version": value.min_version, "tls_maximum_protocol_version": value.max_version}
    found: dict[str, Any] = {
        "alpn_protocols": value.alpn,
        "tls_certificate_sds_secret_configs": [_secret(each) for each in value.secrets],
        "tls_params": {
            **{field: version for field, version in versions.items() if version},
            "cipher_suites": value.cipher_suites,
        },
    }
    prints = {"verify_certificate_spki": value.spki, "verify_certificate_hash": value.hashes}
    found |= _validated(value.ca, "", {**_expected(value), **prints})
    message = _DownstreamTlsContext(
        common_tls_context=found, require_client_certificate={"value": value.require_client_certificate}
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": codec.pack(message)}


def _validated(ca: ir.SecretRef | None, ca_file: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """How the peer's certificate is judged, as a field of CommonTlsContext; nothing where no CA is named."""
    if ca:
        secret = {"validation_context_sds_secret_config": _secret(ca)}
        return {"combined_validation_context": {"default_validation_context": expected, **secret}}
    return {"validation_context": {"trusted_ca": _file(ca_file), **expected}} if ca_file else {}


def _secret(value: ir.SecretRef) -> dict[str, Any]:
    return {"name": value.name, "sds_config": SECRETS if value.source is ir.SecretSource.CONTROL_PLANE else AGENT}


def _expected(value: ir.Tls | ir.ServerTls, crl_file: str = "") -> dict[str, Any]:
    names = [{"san_type": each.kind.value, "matcher": {"exact": each.value}} for each in value.alt_names]
    return {"match_typed_subject_alt_names": names, **({"crl": _file(crl_file)} if crl_file else {})}


def _file(path: str) -> dict[str, Any]:
    return {"filename": path}
