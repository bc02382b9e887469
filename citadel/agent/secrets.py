"""Envoy's secrets from what the agent holds, by the names that Envoy asks for. Pure.

`default` and `ROOTCA` are Istio's names, which the control plane's listeners and clusters use; the workload's SPIFFE id
and its trust domain's are SPIRE's, for an Envoy configured for that. Nothing else is anybody's here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import attrs

from citadel import profile
from citadel.agent import holdings
from citadel.agent.holdings import Holdings, Svid
from citadel.protobuf import message_classes

TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
OWN, TRUSTED = "default", "ROOTCA"
_VALIDATOR = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"

_CLASSES = message_classes(
    "mesh_adapter.secret",
    {
        "DataSource": ("bytes inline_bytes = 2",),
        "TlsCertificate": ("DataSource certificate_chain = 1", "DataSource private_key = 2"),
        "Any": ("string type_url = 1", "bytes value = 2"),
        "Extension": ("string name = 1", "Any typed_config = 2"),
        "TrustDomain": ("string name = 1", "DataSource trust_bundle = 2"),
        "SpiffeValidator": ("repeated TrustDomain trust_domains = 1",),
        "ValidationContext": ("DataSource trusted_ca = 1", "Extension custom_validator_config = 12"),
        "Secret": ("string name = 1", "TlsCertificate tls_certificate = 2", "ValidationContext validation_context = 4"),
    },
)


@attrs.frozen
class Secret:
    """`body` is the encoded message, `version` a hash of it."""

    name: str
    version: str
    body: bytes = attrs.field(repr=False)


def secrets(held: Holdings) -> Mapping[str, Secret] | None:
    """All that the workload's Envoy may be told, by name; None before there is a certificate.

    Roots of several trust domains are never put into one heap: Envoy is told which are whose, and then takes of each
    certificate those of its domain.
    """
    if held.svid is None:
        return None
    own, trusted = _tls_certificate(held.svid), _validation_context(held)
    named = {OWN: own, str(held.svid.spiffe): own, TRUSTED: trusted, held.own_domain: trusted}
    return {name: _secret(name, fields) for name, fields in named.items()}


def _tls_certificate(held: Svid) -> dict[str, object]:
    return {
        "tls_certificate": {
            "certificate_chain": {"inline_bytes": profile.pem(*held.chain).encode()},
            "private_key": {"inline_bytes": profile.key_pem(held.key)},
        }
    }


def _validation_context(held: Holdings) -> dict[str, object]:
    if set(held.x509) == {held.own_domain}:
        return {"validation_context": {"trusted_ca": _bundle(held.own_roots)}}
    domains = [
        {"name": domain.removeprefix("spiffe://"), "trust_bundle": _bundle(der)}
        for domain, der in sorted(held.x509.items())
        if der
    ]
    packed = _CLASSES["SpiffeValidator"](trust_domains=domains).SerializeToString()
    config = {"name": "envoy.tls.cert_validator.spiffe", "typed_config": {"type_url": _VALIDATOR, "value": packed}}
    return {"validation_context": {"custom_validator_config": config}}


def _bundle(der: bytes) -> dict[str, bytes]:
    return {"inline_bytes": profile.pem(*holdings.certificates(der)).encode()}


def _secret(name: str, fields: dict[str, object]) -> Secret:
    body = _CLASSES["Secret"](name=name, **fields).SerializeToString()
    return Secret(name, hashlib.blake2b(body, digest_size=8).hexdigest(), body)
