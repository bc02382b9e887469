"""Prints transport sockets: TLS to a cluster and at a listener, the PROXY protocol around whatever is spoken."""

from __future__ import annotations

from typing import Any

from envoy_data_plane.envoy.extensions.transport_sockets.proxy_protocol import v3 as proxy_protocol_library
from envoy_data_plane.envoy.extensions.transport_sockets.raw_buffer import v3 as raw_library
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls_library

from pilot import ir
from pilot.envoy import codec

_UpstreamTlsContext = codec.message(tls_library.UpstreamTlsContext)
_DownstreamTlsContext = codec.message(tls_library.DownstreamTlsContext)
_ProxyProtocol = codec.message(proxy_protocol_library.ProxyProtocolUpstreamTransport)
_RAW = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": codec.pack(codec.message(raw_library.RawBuffer)()),
}


def transport_socket(value: ir.Cluster) -> dict[str, Any]:
    """The field of that name of envoy.config.cluster.v3.Cluster, in a mapping that is empty for plain TCP."""
    socket = _tls(value.tls) if value.tls else None
    if value.proxy_protocol:
        socket = _announced(value.proxy_protocol, socket or _RAW)
    return {"transport_socket": socket} if socket else {}


def _announced(version: ir.ProxyProtocol, inner: dict[str, Any]) -> dict[str, Any]:
    message = _ProxyProtocol(config={"version": version.value}, transport_socket=inner)
    return {"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": codec.pack(message)}


def _tls(value: ir.Tls) -> dict[str, Any]:
    found: dict[str, Any] = {"alpn_protocols": value.alpn}
    if value.certificate_file:
        files = {"certificate_chain": _file(value.certificate_file), "private_key": _file(value.key_file)}
        found["tls_certificates"] = [files]
    if value.ca_file:
        found["validation_context"] = _validation(value)
    message = _UpstreamTlsContext(sni=value.sni, common_tls_context=found)
    return {"name": "envoy.transport_sockets.tls", "typed_config": codec.pack(message)}


def server_transport_socket(value: ir.ServerTls) -> dict[str, Any]:
    """The same of envoy.config.listener.v3.FilterChain."""
    pairs = ({"certificate_chain": _file(chain), "private_key": _file(key)} for chain, key in value.certificates)
    versions = {"tls_minimum_protocol_version": value.min_version, "tls_maximum_protocol_version": value.max_version}
    found: dict[str, Any] = {
        "alpn_protocols": value.alpn,
        "tls_certificates": list(pairs),
        "tls_params": {
            **{field: version for field, version in versions.items() if version},
            "cipher_suites": value.cipher_suites,
        },
    }
    if value.ca_file:
        prints = {"verify_certificate_spki": value.spki, "verify_certificate_hash": value.hashes}
        found["validation_context"] = {**_validation(value), **prints}
    message = _DownstreamTlsContext(
        common_tls_context=found, require_client_certificate={"value": value.require_client_certificate}
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": codec.pack(message)}


def _validation(value: ir.Tls | ir.ServerTls) -> dict[str, Any]:
    names = [{"san_type": each.kind.value, "matcher": {"exact": each.value}} for each in value.alt_names]
    return {
        "trusted_ca": _file(value.ca_file),
        "match_typed_subject_alt_names": names,
        **({"crl": _file(value.crl_file)} if value.crl_file else {}),
    }


def _file(path: str) -> dict[str, Any]:
    return {"filename": path}
