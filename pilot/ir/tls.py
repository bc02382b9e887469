"""TLS of connections to clusters and to listeners, files as the proxy's host has them."""

from __future__ import annotations

import enum

import attrs


class AltNameKind(enum.Enum):
    """Types of subject alternative names, by Envoy's names."""

    DNS = "DNS"
    URI = "URI"
    EMAIL = "EMAIL"
    IP_ADDRESS = "IP_ADDRESS"


@attrs.frozen(cache_hash=True)
class AltName:
    kind: AltNameKind
    value: str


@attrs.frozen(cache_hash=True)
class Tls:
    """TLS of the connections to a cluster, files as the proxy's host has them. Without `ca_file` nothing is verified.

    Without `sni` an HTTP cluster says the host of the request (`auto_sni`), and holds the certificate's names against
    it (`auto_san`); others say none.
    """

    ca_file: str = ""
    crl_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    alt_names: tuple[AltName, ...] = ()
    sni: str = ""
    auto_sni: bool = False
    auto_san: bool = False
    alpn: tuple[str, ...] = ()


@attrs.frozen(cache_hash=True)
class ServerTls:
    """TLS of the connections to a listener, files as the proxy's host has them.

    `certificates` are pairs of a chain and its key. Clients that show a certificate are verified where there is a
    `ca_file`; `alt_names`, `spki` and `hashes` narrow down which are let in. Versions are Envoy's names of them.
    """

    certificates: tuple[tuple[str, str], ...]
    ca_file: str = ""
    crl_file: str = ""
    require_client_certificate: bool = False
    alt_names: tuple[AltName, ...] = ()
    spki: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    min_version: str = ""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
