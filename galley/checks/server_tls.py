"""What the TLS of a server must hold beyond its types, in Istio's rules and so that Envoy takes it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from galley.checks.values import check_dns_name
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway import ServerTLSmode, ServerTLSSettings, TLSProtocol

CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
)
"""Those of Istio's list that Envoy's library still speaks; one that it does not know makes it refuse the listener."""

_VERSIONS = tuple(each for each in TLSProtocol if each is not TLSProtocol.TLS_AUTO)
_SHA256_HEX = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}")
_NOTHING_SAID = ServerTLSSettings()
_ASKS_CLIENTS = (ServerTLSmode.MUTUAL, ServerTLSmode.OPTIONAL_MUTUAL)


def check_server_tls(tls: ServerTLSSettings, path: Path) -> Iterator[Finding]:
    """The settings of a server of protocol HTTPS or TLS."""
    if tls.mode is ServerTLSmode.PASSTHROUGH:
        yield from _without_effect(tls, path, "PASSTHROUGH mode does not end TLS", tuple(_WIRES))
        return
    yield from _credentials(tls, path)
    if not tls.credentials:
        yield from _certificates(tls, path)
    if tls.mode in _ASKS_CLIENTS:
        if not (tls.ca_certificates or tls.ca_cert_credential_name or tls.credentials):
            message = f"{tls.mode.value} TLS requires a client CA bundle"
            yield Finding((*path, "caCertificates"), message, "name the file with the CAs of clients")
        if tls.ca_crl and (tls.ca_cert_credential_name or tls.credentials):
            message = "is not looked at beside CAs of a secret"
            yield Finding((*path, "caCrl"), message, "put the list into that secret, as ca.crl")
        yield from _client_names(tls, path)
    else:
        of_clients = ("ca_certificates", "ca_crl", "ca_cert_credential_name", "subject_alt_names", *_FINGERPRINTS)
        yield from _without_effect(tls, path, "clients show no certificates in mode SIMPLE", of_clients)
    yield from _versions(tls, path)
    yield from _cipher_suites(tls.cipher_suites, (*path, "cipherSuites"))


_FINGERPRINTS = ("verify_certificate_spki", "verify_certificate_hash")
_MOST_CERTIFICATES = 2
"""Envoy shows a client the one that it understands; Istio takes as many."""
_WIRES = {
    "credential_name": "credentialName",
    "credential_names": "credentialNames",
    "ca_cert_credential_name": "caCertCredentialName",
    "server_certificate": "serverCertificate",
    "private_key": "privateKey",
    "ca_certificates": "caCertificates",
    "ca_crl": "caCrl",
    "tls_certificates": "tlsCertificates",
    "subject_alt_names": "subjectAltNames",
    "verify_certificate_spki": "verifyCertificateSpki",
    "verify_certificate_hash": "verifyCertificateHash",
    "min_protocol_version": "minProtocolVersion",
    "max_protocol_version": "maxProtocolVersion",
    "cipher_suites": "cipherSuites",
}


def _without_effect(tls: ServerTLSSettings, path: Path, why: str, names: tuple[str, ...]) -> Iterator[Finding]:
    for name in names:
        if getattr(tls, name) != getattr(_NOTHING_SAID, name):
            message = f"will be ignored: {why}"
            yield Finding((*path, _WIRES[name]), message, "change the mode, or remove it", warning=True)


def _credentials(tls: ServerTLSSettings, path: Path) -> Iterator[Finding]:
    """Secrets by name, in the place of files."""
    if tls.credential_name and tls.credential_names:
        message = "only one of credentialName and credentialNames should be specified"
        yield Finding((*path, "credentialNames"), message, "move all into credentialNames")
    if tls.credentials and tls.tls_certificates:
        message = "only one of credentialNames and tlsCertificates should be specified"
        yield Finding((*path, "tlsCertificates"), message, "remove one of the two")
    if len(set(tls.credential_names)) > _MOST_CERTIFICATES:
        message = f"has more than {_MOST_CERTIFICATES} names"
        yield Finding((*path, "credentialNames"), message, "name one with an RSA key and one with an ECDSA key")
    for index, name in enumerate(tls.credential_names):
        yield from check_dns_name(name, (*path, "credentialNames", index))
    for field in ("credential_name", "ca_cert_credential_name"):
        if getattr(tls, field):
            yield from check_dns_name(getattr(tls, field), (*path, _WIRES[field]))
    if tls.credentials:
        files = ("server_certificate", "private_key", "ca_certificates")
        yield from _without_effect(tls, path, "the secret of credentialName is used", files)


def _certificates(tls: ServerTLSSettings, path: Path) -> Iterator[Finding]:
    """One certificate, or a list of them, not both."""
    if tls.tls_certificates and (tls.server_certificate or tls.private_key):
        message = "only one of serverCertificate and tlsCertificates should be specified"
        yield Finding((*path, "tlsCertificates"), message, "move all into tlsCertificates")
    elif not tls.tls_certificates:
        yield from _pair(tls.server_certificate, tls.private_key, tls.mode, path)
    for index, each in enumerate(tls.tls_certificates):
        yield from _pair(each.server_certificate, each.private_key, tls.mode, (*path, "tlsCertificates", index))


def _pair(certificate: str, key: str, mode: ServerTLSmode, path: Path) -> Iterator[Finding]:
    if not certificate:
        message = f"{mode.value} TLS requires a server certificate"
        yield Finding((*path, "serverCertificate"), message, "name its file")
    if not key:
        yield Finding((*path, "privateKey"), f"{mode.value} TLS requires a private key", "name its file")


def _client_names(tls: ServerTLSSettings, path: Path) -> Iterator[Finding]:
    for index, name in enumerate(tls.subject_alt_names):
        if not name:
            yield Finding((*path, "subjectAltNames", index), "is empty", "remove it")
    for index, text in enumerate(tls.verify_certificate_spki):
        if not _is_base64_sha256(text):
            mend = "write the SHA-256 of the public key in base64, 44 characters"
            yield Finding((*path, "verifyCertificateSpki", index), f"{text!r} is not a SHA-256 in base64", mend)
    for index, text in enumerate(tls.verify_certificate_hash):
        if not _SHA256_HEX.fullmatch(text):
            mend = "write the SHA-256 of the certificate in 64 hexadecimal digits, with or without colons"
            yield Finding((*path, "verifyCertificateHash", index), f"{text!r} is not a SHA-256 in hex", mend)


def _is_base64_sha256(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _versions(tls: ServerTLSSettings, path: Path) -> Iterator[Finding]:
    lowest, highest = tls.min_protocol_version, tls.max_protocol_version
    low = lowest if lowest in _VERSIONS else TLSProtocol.TLSV1_2
    high = highest if highest in _VERSIONS else TLSProtocol.TLSV1_3
    if _VERSIONS.index(low) > _VERSIONS.index(high):
        message = f"allows no version of TLS: the lowest is {low.value}, the highest {high.value}"
        yield Finding((*path, "maxProtocolVersion"), message, "raise it, or lower minProtocolVersion")


def _cipher_suites(names: tuple[str, ...], path: Path) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name not in CIPHER_SUITES:
            yield Finding((*path, index), f"{name!r} is no known cipher suite", f"known are {', '.join(CIPHER_SUITES)}")
        elif name in names[:index]:
            yield Finding((*path, index), f"duplicate cipher suite {name}", "list it once")
