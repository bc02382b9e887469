"""What the TLS of connections to a host must hold beyond its types, in Istio's rules."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.values import check_dns_name
from galley.document import Path
from galley.finding import Finding
from galley.kinds.destination_rule import ClientTLSSettings, TLSmode

LONGEST_SNI = 255
_REMOVE = "remove it, or verify: insecureSkipVerify: false"


def check_client_tls(settings: ClientTLSSettings | None, path: Path) -> Iterator[Finding]:
    """TLS settings, where there are some."""
    if settings is None:
        return
    if settings.credential_name:
        yield from _by_name(settings, path)
    elif settings.mode is TLSmode.MUTUAL:
        if not settings.client_certificate:
            yield Finding((*path, "clientCertificate"), "client certificate required for mutual tls", "name its file")
        if not settings.private_key:
            yield Finding((*path, "privateKey"), "private key required for mutual tls", "name its file")
    if settings.mode is TLSmode.ISTIO_MUTUAL:
        yield from _beside_identity(settings, path)
    elif settings.insecure_skip_verify:
        yield from _unverified(settings, path)
    for index, name in enumerate(settings.subject_alt_names):
        if not name:
            yield Finding((*path, "subjectAltNames", index), "is empty", "remove it")
    if len(settings.sni) > LONGEST_SNI:
        yield Finding((*path, "sni"), f"must be at most {LONGEST_SNI} characters, it has {len(settings.sni)}")
    yield from _without_effect(settings, path)


def _by_name(settings: ClientTLSSettings, path: Path) -> Iterator[Finding]:
    """Files beside a secret would say the same twice."""
    yield from check_dns_name(settings.credential_name, (*path, "credentialName"))
    for field, value in (
        ("clientCertificate", settings.client_certificate),
        ("privateKey", settings.private_key),
        ("caCertificates", settings.ca_certificates),
    ):
        if value:
            message = "should not be specified along with credentialName, which has all three"
            yield Finding((*path, field), message, "remove one of the two")


def _beside_identity(settings: ClientTLSSettings, path: Path) -> Iterator[Finding]:
    for field, value in (
        ("clientCertificate", settings.client_certificate),
        ("privateKey", settings.private_key),
        ("caCertificates", settings.ca_certificates),
        ("caCrl", settings.ca_crl),
        ("insecureSkipVerify", settings.insecure_skip_verify),
    ):
        if value:
            message = "can't be given with mode ISTIO_MUTUAL, which uses the mesh's own certificates"
            yield Finding((*path, field), message, "remove it, or use MUTUAL")


def _unverified(settings: ClientTLSSettings, path: Path) -> Iterator[Finding]:
    for field, value in (
        ("caCertificates", settings.ca_certificates),
        ("subjectAltNames", settings.subject_alt_names),
        ("caCrl", settings.ca_crl),
    ):
        if value:
            yield Finding((*path, field), f"cannot specify {field} when insecureSkipVerify is set true", _REMOVE)


def _without_effect(settings: ClientTLSSettings, path: Path) -> Iterator[Finding]:
    own = (("clientCertificate", settings.client_certificate), ("privateKey", settings.private_key))
    rest = (
        ("caCertificates", settings.ca_certificates),
        ("subjectAltNames", settings.subject_alt_names),
        ("sni", settings.sni),
        ("caCrl", settings.ca_crl),
        ("insecureSkipVerify", settings.insecure_skip_verify),
    )
    ignored = {TLSmode.DISABLE: (*own, ("credentialName", settings.credential_name), *rest), TLSmode.SIMPLE: own}.get(
        settings.mode, ()
    )
    for field, value in ignored:
        if value:
            message = f"has no effect with mode {settings.mode.value}"
            yield Finding((*path, field), message, "change the mode, or remove it", warning=True)
