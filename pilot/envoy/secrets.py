"""Prints secrets: what the control plane tells proxies of certificates and CAs, as files of theirs or as they are."""

from __future__ import annotations

import posixpath
from typing import Any

from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as library

from pilot import ir
from pilot.envoy import codec

_Secret = codec.message(library.Secret)


def secret(value: ir.Secret) -> Any:
    """envoy.extensions.transport_sockets.tls.v3.Secret. Envoy reads files again when one of their folder is renamed."""
    if value.certificate or value.certificate_file:
        pair = {
            "certificate_chain": _source(value.certificate, value.certificate_file),
            "private_key": _source(value.key, value.key_file),
        }
        return _Secret(name=value.name, tls_certificate={**pair, **_watched(value.certificate_file)})
    found = {"trusted_ca": _source(value.ca, value.ca_file), **_watched(value.ca_file)}
    if value.crl or value.crl_file:
        found["crl"] = _source(value.crl, value.crl_file)
    return _Secret(name=value.name, validation_context=found)


def _source(text: str, path: str) -> dict[str, Any]:
    return {"filename": path} if path else {"inline_bytes": text.encode()}


def _watched(path: str) -> dict[str, Any]:
    return {"watched_directory": {"path": posixpath.dirname(path) or "."}} if path else {}
