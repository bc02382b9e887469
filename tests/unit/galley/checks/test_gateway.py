"""Gateway: what passes, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.galley.objects import accepted, refusals, warnings

HTTP = {"number": 80, "name": "http", "protocol": "HTTP"}
HTTPS = {"number": 443, "name": "https", "protocol": "HTTPS"}
FILES = {"serverCertificate": "/certs/a.pem", "privateKey": "/certs/a.key"}
SIMPLE = {"mode": "SIMPLE", **FILES}
MUTUAL = {"mode": "MUTUAL", **FILES, "caCertificates": "/certs/ca.pem"}
SHA = "df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a"
SPKI = "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="


def gateway(**server: Any) -> dict[str, Any]:
    return {"selector": {"istio": "ingressgateway"}, "servers": [{"port": HTTP, "hosts": ["*"], **server}]}


def tls(**settings: Any) -> dict[str, Any]:
    return gateway(port=HTTPS, tls=settings)


@pytest.mark.parametrize(
    "spec",
    [
        gateway(),
        gateway(name="main", bind="10.0.0.1", hosts=["*.example.com", "./a.example", "shop/*", "*/b.example"]),
        gateway(tls={}),
        gateway(tls={"httpsRedirect": True}),
        gateway(port={"number": 27017, "name": "mongo", "protocol": "MONGO"}),
        gateway(port={"number": 80, "name": "g", "protocol": "grpc-web"}),
        tls(),
        tls(mode="PASSTHROUGH"),
        tls(**SIMPLE),
        tls(**SIMPLE, minProtocolVersion="TLSV1_0", maxProtocolVersion="TLSV1_1", cipherSuites=["AES128-SHA"]),
        tls(mode="SIMPLE", tlsCertificates=[FILES, FILES]),
        tls(**MUTUAL),
        tls(**MUTUAL, caCrl="/certs/crl.pem", subjectAltNames=["a"], verifyCertificateSpki=[SPKI]),
        tls(**MUTUAL, verifyCertificateHash=[SHA, ":".join(SHA[i : i + 2] for i in range(0, 64, 2))]),
        tls(**{**MUTUAL, "mode": "OPTIONAL_MUTUAL"}),
    ],
)
def test_what_can_be_carried_out_passes(spec: dict[str, Any]) -> None:
    accepted("Gateway", spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"selector": {"a": "b"}}, "spec.servers gateway must have at least one server"),
        (gateway(hosts=[]), "spec.servers[0].hosts server config must contain at least one host"),
        (gateway(hosts=["a", "a"]), "spec.servers[0].hosts[1] duplicate host 'a' in server"),
        (gateway(hosts=["Shop/a"]), "spec.servers[0].hosts[0] 'Shop' is not a valid DNS label"),
        (gateway(hosts=["a.*"]), "spec.servers[0].hosts[0] 'a.*' has a wildcard where none is allowed"),
        (gateway(port=None), "spec.servers[0].port port is required"),
        (
            gateway(port={**HTTP, "number": 0}),
            "spec.servers[0].port.number port number 0 must be in the range 1..65535",
        ),
        (gateway(port={"number": 80, "protocol": "HTTP"}), "spec.servers[0].port.name port name must be set"),
        (gateway(port={**HTTP, "name": "a b"}), "spec.servers[0].port.name 'a b' has white space"),
        (gateway(port={**HTTP, "protocol": "SMTP"}), "spec.servers[0].port.protocol 'SMTP' is not a known protocol"),
        (gateway(port={"number": 80, "name": "a"}), "spec.servers[0].port.protocol '' is not a known protocol"),
        (
            gateway(bind="unix:///run/a.sock"),
            "spec.servers[0].bind is a Unix domain socket, which is not listened on",
        ),
        (gateway(bind="here"), "spec.servers[0].bind 'here' is not an IP address"),
        (
            gateway(defaultEndpoint="127.0.0.1:80"),
            "spec.servers[0].defaultEndpoint is not supported by this version of mesh-adapter: "
            "say where traffic goes by a VirtualService for the gateway",
        ),
        (gateway(port=HTTPS), "spec.servers[0].tls server must have TLS settings for HTTPS/TLS protocols"),
        (
            gateway(tls=SIMPLE),
            "spec.servers[0].tls server cannot have TLS settings for plain text HTTP ports, except httpsRedirect",
        ),
        (
            gateway(port={"number": 1, "name": "t", "protocol": "TCP"}, tls=SIMPLE),
            "spec.servers[0].tls server cannot have TLS settings for non HTTPS/TLS ports",
        ),
        (
            {"selector": {"a": "b"}, "servers": gateway()["servers"] * 2},
            "spec.servers[1].port.name port names in servers must be unique: duplicate name http",
        ),
    ],
)
def test_what_is_refused(spec: dict[str, Any], message: str) -> None:
    assert refusals("Gateway", spec) == [message]


LATER = "is not supported by this version of mesh-adapter: "


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "SIMPLE", "privateKey": "k"}, "serverCertificate SIMPLE TLS requires a server certificate"),
        ({"mode": "SIMPLE", "serverCertificate": "c"}, "privateKey SIMPLE TLS requires a private key"),
        ({"mode": "MUTUAL", **FILES}, "caCertificates MUTUAL TLS requires a client CA bundle"),
        ({"mode": "OPTIONAL_MUTUAL", **FILES}, "caCertificates OPTIONAL_MUTUAL TLS requires a client CA bundle"),
        (
            {**SIMPLE, "tlsCertificates": [FILES]},
            "tlsCertificates only one of serverCertificate and tlsCertificates should be specified",
        ),
        (
            {"mode": "SIMPLE", "tlsCertificates": [{"serverCertificate": "c"}]},
            "tlsCertificates[0].privateKey SIMPLE TLS requires a private key",
        ),
        (
            {"mode": "SIMPLE", "tlsCertificates": [{**FILES, "caCertificates": "ca"}]},
            f"tlsCertificates[0].caCertificates {LATER}clients are verified alike whichever certificate they are "
            "shown; use that of the server",
        ),
        ({**MUTUAL, "subjectAltNames": [""]}, "subjectAltNames[0] is empty"),
        ({**MUTUAL, "verifyCertificateSpki": ["abc"]}, "verifyCertificateSpki[0] 'abc' is not a SHA-256 in base64"),
        ({**MUTUAL, "verifyCertificateHash": ["abc"]}, "verifyCertificateHash[0] 'abc' is not a SHA-256 in hex"),
        (
            {**SIMPLE, "minProtocolVersion": "TLSV1_3", "maxProtocolVersion": "TLSV1_2"},
            "maxProtocolVersion allows no version of TLS: the lowest is TLSV1_3, the highest TLSV1_2",
        ),
        (
            {**SIMPLE, "maxProtocolVersion": "TLSV1_1"},
            "maxProtocolVersion allows no version of TLS: the lowest is TLSV1_2, the highest TLSV1_1",
        ),
        ({**SIMPLE, "cipherSuites": ["NONE"]}, "cipherSuites[0] 'NONE' is no known cipher suite"),
        ({**SIMPLE, "cipherSuites": ["AES128-SHA"] * 2}, "cipherSuites[1] duplicate cipher suite AES128-SHA"),
        (
            {"mode": "SIMPLE", "credentialName": "kubernetes-gateway://other/web"},
            "credentialName 'kubernetes-gateway://other/web' is not a valid name (RFC 1123)",
        ),
        (
            {"mode": "SIMPLE", "credentialName": "web", "credentialNames": ["web"]},
            "credentialNames only one of credentialName and credentialNames should be specified",
        ),
        (
            {"mode": "SIMPLE", "credentialNames": ["a", "b", "c"]},
            "credentialNames has more than 2 names",
        ),
        (
            {
                "mode": "SIMPLE",
                "credentialName": "web",
                "tlsCertificates": [{"serverCertificate": "a", "privateKey": "b"}],
            },
            "tlsCertificates only one of credentialNames and tlsCertificates should be specified",
        ),
        (
            {"mode": "MUTUAL", "credentialName": "web", "caCrl": "/crl.pem"},
            "caCrl is not looked at beside CAs of a secret",
        ),
        ({**MUTUAL, "caCertCredentialName": "../x"}, "caCertCredentialName '../x' is not a valid name (RFC 1123)"),
        (
            {**MUTUAL, "insecureSkipVerify": True},
            f"insecureSkipVerify {LATER}clients that show a certificate are always verified; use mode SIMPLE to ask "
            "for none",
        ),
    ],
)
def test_tls_that_is_refused(settings: dict[str, Any], message: str) -> None:
    assert f"spec.servers[0].tls.{message}" in refusals("Gateway", tls(**settings))


@pytest.mark.parametrize("mode", ["ISTIO_MUTUAL", "AUTO_PASSTHROUGH"])
def test_modes_that_need_identities_are_refused_with_the_reason(mode: str) -> None:
    (message,) = refusals("Gateway", tls(mode=mode))
    assert f"'{mode}'" in message or mode in message
    assert "proxies have no certificates of the mesh's own yet" in message


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"servers": gateway()["servers"]}, "spec has no selector: every gateway proxy takes it"),
        (
            gateway(port={**HTTP, "targetPort": 8080}),
            "spec.servers[0].port.targetPort has no impact on gateways, which listen on the number",
        ),
        (
            tls(mode="PASSTHROUGH", serverCertificate="c"),
            "spec.servers[0].tls.serverCertificate will be ignored: PASSTHROUGH mode does not end TLS",
        ),
        (
            tls(**SIMPLE, caCertificates="ca"),
            "spec.servers[0].tls.caCertificates will be ignored: clients show no certificates in mode SIMPLE",
        ),
        (
            tls(**SIMPLE, httpsRedirect=True),
            "spec.servers[0].tls.httpsRedirect should only be used with http servers: who comes here has come by TLS",
        ),
    ],
)
def test_what_has_no_effect_is_told(spec: dict[str, Any], message: str) -> None:
    assert warnings("Gateway", spec) == [message]


def test_names_of_servers_are_unique() -> None:
    servers = [
        {"port": HTTP, "hosts": ["*"], "name": "a"},
        {"port": {**HTTP, "name": "b"}, "hosts": ["*"], "name": "a"},
    ]
    found = refusals("Gateway", {"selector": {"a": "b"}, "servers": servers})
    assert found == ["spec.servers[1].name names of servers must be unique: duplicate name a"]


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "SIMPLE", "credentialName": "web"},
        {"mode": "MUTUAL", "credentialName": "web"},
        {"mode": "OPTIONAL_MUTUAL", "credentialNames": ["web-rsa", "web-ec"], "caCertCredentialName": "clients"},
    ],
)
def test_secrets_by_name_stand_in_the_place_of_files(settings: dict[str, Any]) -> None:
    assert refusals("Gateway", tls(**settings)) == []
