"""Envoy's secrets, held against Envoy's own messages."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls

from citadel.agent.holdings import Holdings, certificates
from citadel.agent.secrets import secrets
from pilot.envoy import codec
from tests.unit.citadel.agent.holders import held

Secret: Any = codec.message(tls.Secret)
Validator: Any = codec.message(tls.SpiffeCertValidatorConfig)


def read(holdings: Holdings) -> dict[str, Any]:
    found = secrets(holdings)
    assert found is not None
    return {name: Secret.FromString(each.body) for name, each in found.items()}


def test_before_a_certificate_there_is_nothing() -> None:
    assert secrets(Holdings()) is None


def test_the_names_of_istio_and_of_spire_and_no_others() -> None:
    assert set(read(held())) == {
        "default",
        "ROOTCA",
        "spiffe://cluster.local/ns/default/sa/web",
        "spiffe://cluster.local",
    }


def test_the_chain_and_the_key_are_one_pair() -> None:
    holdings = held()
    own = read(holdings)["default"].tls_certificate
    leaf = x509.load_pem_x509_certificate(own.certificate_chain.inline_bytes)
    assert holdings.svid is not None
    assert leaf == holdings.svid.chain[0]
    assert own.private_key.inline_bytes.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_one_trust_domain_is_plain_roots() -> None:
    context = read(held())["ROOTCA"].validation_context
    assert x509.load_pem_x509_certificates(context.trusted_ca.inline_bytes)
    assert not context.HasField("custom_validator_config")


def test_bundles_of_several_trust_domains_are_not_merged() -> None:
    holdings = held("other.org")
    context = read(holdings)["ROOTCA"].validation_context
    assert not context.HasField("trusted_ca")
    assert context.custom_validator_config.name == "envoy.tls.cert_validator.spiffe"
    config = Validator.FromString(context.custom_validator_config.typed_config.value)
    pems = {each.name: each.trust_bundle.inline_bytes for each in config.trust_domains}
    trusted = {name: tuple(x509.load_pem_x509_certificates(each)) for name, each in pems.items()}
    assert trusted == {name.removeprefix("spiffe://"): certificates(der) for name, der in holdings.x509.items()}


def test_the_version_is_of_the_content() -> None:
    first, second = held(), held()
    once, again, other = ((secrets(each) or {})["default"].version for each in (first, first, second))
    assert once == again != other
