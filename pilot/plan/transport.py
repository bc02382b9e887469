"""Decides how connections to a cluster are secured and announced: TLS origination, the PROXY protocol. Pure.

Istio's rules: TLS verifies by the secret or CA file that is named, else by the CAs of the proxy's host, unless a rule
says that nothing is to be verified. Without a name to ask for, requests ask for the host that they are for, and the
certificate has to be for that host unless the rule names others.
"""

from __future__ import annotations

from galley.kinds import destination_rule as kind
from pilot import ir
from pilot.plan.alt_names import alt_name
from pilot.plan.credentials import bundle, pair

HTTP2_ALPN = ("h2",)
SYSTEM = "system"


def tls(
    settings: kind.ClientTLSSettings | None, http: ir.UpstreamHttp, system_ca: str, known_names: tuple[str, ...] = ()
) -> ir.Tls | None:
    """TLS to a cluster that is spoken to in `http`; None for plain text.

    `known_names` are those that the service's ServiceEntry says of its certificates, for a rule that says none.
    """
    if settings is None or settings.mode is kind.TLSmode.DISABLE:
        return None
    mutual = settings.mode is kind.TLSmode.MUTUAL
    verified = not settings.insecure_skip_verify
    by_name = settings.credential_name
    expected = settings.subject_alt_names or known_names
    by_request = http is not ir.UpstreamHttp.NONE and not settings.sni
    return ir.Tls(
        ca_file=_ca_file(settings, system_ca) if verified and not by_name else "",
        crl_file=settings.ca_crl if verified else "",
        certificate_file=settings.client_certificate if mutual and not by_name else "",
        key_file=settings.private_key if mutual and not by_name else "",
        alt_names=tuple(map(alt_name, expected)) if verified else (),
        sni=settings.sni,
        auto_sni=by_request,
        auto_san=by_request and verified and not expected,
        alpn=HTTP2_ALPN if http is ir.UpstreamHttp.HTTP2 else (),
        certificate=pair(by_name) if mutual and by_name else None,
        ca=bundle(by_name) if verified and by_name else None,
    )


def _ca_file(settings: kind.ClientTLSSettings, system_ca: str) -> str:
    """`system` is Istio's word for what holds where nothing is said."""
    return system_ca if settings.ca_certificates in ("", SYSTEM) else settings.ca_certificates


def proxy_protocol(settings: kind.ProxyProtocol | None) -> ir.ProxyProtocol | None:
    return ir.ProxyProtocol(settings.version.value) if settings else None
