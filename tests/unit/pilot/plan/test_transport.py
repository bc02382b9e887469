"""How connections are secured."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from galley.kinds import destination_rule as kind
from galley.kinds.destination_rule import ClientTLSSettings, ProxyProtocolVersion, TLSmode
from pilot import ir
from pilot.plan.transport import proxy_protocol, tls

SYSTEM = "/etc/cas.pem"
HTTP, HTTP2, TCP = ir.UpstreamHttp.HTTP1, ir.UpstreamHttp.HTTP2, ir.UpstreamHttp.NONE


def secured(http: ir.UpstreamHttp = HTTP, **settings: Any) -> ir.Tls:
    found = tls(ClientTLSSettings(**{"mode": TLSmode.SIMPLE, **settings}), http, SYSTEM)
    assert found is not None
    return found


def test_plain_text_unless_a_rule_asks_for_more() -> None:
    assert tls(None, HTTP, SYSTEM) is None
    assert tls(ClientTLSSettings(sni="a.example"), HTTP, SYSTEM) is None


def test_the_authorities_of_the_host_have_a_name_of_their_own() -> None:
    assert secured(ca_certificates="system") == secured()
    assert secured(ca_certificates="/ca.pem").ca_file == "/ca.pem"


def test_requests_ask_for_their_host_and_the_certificate_has_to_be_for_it() -> None:
    assert secured() == ir.Tls(ca_file=SYSTEM, auto_sni=True, auto_san=True)
    assert secured(HTTP2) == ir.Tls(ca_file=SYSTEM, auto_sni=True, auto_san=True, alpn=("h2",))


def test_connections_that_are_not_looked_into_ask_for_nothing_by_themselves() -> None:
    assert secured(TCP) == ir.Tls(ca_file=SYSTEM)
    assert secured(TCP, sni="a.example").sni == "a.example"


def test_names_that_a_rule_says_take_the_place_of_the_host() -> None:
    asked = secured(sni="a.example")
    assert (asked.sni, asked.auto_sni, asked.auto_san) == ("a.example", False, False)
    named = secured(subject_alt_names=("a.example",))
    assert (named.auto_sni, named.auto_san) == (True, False)


def test_names_that_the_service_entry_says_hold_where_the_rule_says_none() -> None:
    simple = ClientTLSSettings(mode=TLSmode.SIMPLE)
    found = tls(simple, HTTP, SYSTEM, ("b.example",))
    assert found == ir.Tls(ca_file=SYSTEM, auto_sni=True, alt_names=(ir.AltName(ir.AltNameKind.DNS, "b.example"),))
    named = attrs.evolve(simple, subject_alt_names=("a.example",))
    assert tls(named, HTTP, SYSTEM, ("b.example",)) == tls(named, HTTP, SYSTEM)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.example", ir.AltNameKind.DNS),
        ("spiffe://mesh/ns/a/sa/b", ir.AltNameKind.URI),
        ("ops@a.example", ir.AltNameKind.EMAIL),
        ("10.0.0.1", ir.AltNameKind.IP_ADDRESS),
        ("fd00::1", ir.AltNameKind.IP_ADDRESS),
    ],
)
def test_a_name_is_of_the_type_that_it_looks_like(name: str, found: ir.AltNameKind) -> None:
    assert secured(subject_alt_names=(name,)).alt_names == (ir.AltName(found, name),)


def test_nothing_is_verified_where_a_rule_says_so() -> None:
    found = secured(insecure_skip_verify=True, ca_crl="/crl.pem")
    assert found == ir.Tls(auto_sni=True)


def test_a_client_shows_its_certificate_to_those_who_want_it_only() -> None:
    files: dict[str, Any] = {
        "client_certificate": "/c.pem",
        "private_key": "/c.key",
        "ca_certificates": "/ca.pem",
        "ca_crl": "/crl",
    }
    mutual = secured(mode=TLSmode.MUTUAL, **files)
    assert (mutual.certificate_file, mutual.key_file, mutual.ca_file, mutual.crl_file) == tuple(files.values())
    simple = secured(**files)
    assert (simple.certificate_file, simple.key_file, simple.ca_file) == ("", "", "/ca.pem")


def test_the_proxy_protocol_keeps_its_version() -> None:
    assert proxy_protocol(None) is None
    assert proxy_protocol(kind.ProxyProtocol(ProxyProtocolVersion.V2)) is ir.ProxyProtocol.V2
