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


class SecretSource(enum.Enum):
    """Who hands the proxy a secret: what runs beside it (SDS on a local socket), or the control plane by ADS."""

    AGENT = "AGENT"
    CONTROL_PLANE = "CONTROL_PLANE"


@attrs.frozen(cache_hash=True)
class SecretRef:
    """A certificate with its key, or a bundle of CAs, by name."""

    name: str
    source: SecretSource


@attrs.frozen(cache_hash=True)
class Secret:
    """What the control plane says of a name: a pair or a bundle, as files of the proxy's host or as PEM texts.

    Files are read again when one of their folder is renamed.
    """

    name: str
    certificate_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    crl_file: str = ""
    certificate: str = ""
    key: str = attrs.field(default="", repr=False)
    ca: str = ""
    crl: str = ""


@attrs.frozen(cache_hash=True)
class Tls:
    """TLS of the connections to a cluster, files as the proxy's host has them. Without a CA nothing is verified.

    `certificate` and `ca` are secrets in the place of files.

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
    certificate: SecretRef | None = None
    ca: SecretRef | None = None


@attrs.frozen(cache_hash=True)
class ServerTls:
    """TLS of the connections to a listener.

    `secrets` are pairs of a chain and its key, by name. Clients that show a certificate are verified where there is a
    `ca`; `alt_names`, `spki` and `hashes` narrow down which are let in. Versions are Envoy's names of them.
    """

    secrets: tuple[SecretRef, ...] = ()
    ca: SecretRef | None = None
    require_client_certificate: bool = False
    alt_names: tuple[AltName, ...] = ()
    spki: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    min_version: str = ""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
