"""Gateway and its messages (networking.istio.io, gateway.proto): what proxies at the edge of the mesh listen on.

Data only: read by planning, built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.schema import Becomes, Derived, NotYet, UInt32


class ServerTLSmode(enum.Enum):
    """Who ends TLS, and whether clients show certificates. Istio's default is to pass connections on as they are."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TLSProtocol(enum.Enum):
    """A version of TLS; AUTO leaves the end of the range to Envoy: 1.2 is its lowest, 1.3 its highest."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


_NO_IDENTITY = NotYet(
    (ServerTLSmode.ISTIO_MUTUAL, ServerTLSmode.AUTO_PASSTHROUGH),
    "proxies have no certificates of the mesh's own yet, by which peers and networks would know each other",
)


@attrs.frozen
class ServerPort:
    """A port that a gateway listens on."""

    number: Annotated[UInt32, Becomes("`Listener.address.port_value`")] = 0
    protocol: Annotated[str, Becomes("an `HttpConnectionManager` or a `TcpProxy`, with or without TLS")] = ""
    name: Annotated[str, Becomes("in the name of the routes of HTTPS")] = ""
    target_port: Annotated[UInt32, Becomes("nothing: a gateway listens on its number")] = 0


@attrs.frozen
class TLSCertificate:
    """One of several certificates of a server, as files of the gateway's host."""

    server_certificate: Annotated[str, Becomes("secret `file-cert:CERTIFICATE~KEY`: `certificate_chain`")] = ""
    private_key: Annotated[str, Becomes("of that secret: `private_key`")] = ""
    ca_certificates: Annotated[
        str, NotYet(why="clients are verified alike whichever certificate they are shown; use that of the server")
    ] = ""


@attrs.frozen
class ServerTLSSettings:
    """TLS of a server. Files are those of the gateway's host."""

    https_redirect: Annotated[bool, Becomes("`virtual_hosts.require_tls: ALL`")] = False
    mode: Annotated[
        ServerTLSmode, _NO_IDENTITY, Becomes("`transport_socket`: `DownstreamTlsContext`; none for PASSTHROUGH")
    ] = ServerTLSmode.PASSTHROUGH
    server_certificate: Annotated[str, Becomes("secret `file-cert:CERTIFICATE~KEY`: `certificate_chain`")] = ""
    private_key: Annotated[str, Becomes("of that secret: `private_key`")] = ""
    ca_certificates: Annotated[str, Becomes("secret `file-root:CAS`: `validation_context.trusted_ca`")] = ""
    ca_crl: Annotated[str, Becomes("of that secret: `crl`")] = ""
    credential_name: Annotated[str, Becomes("`tls_certificate_sds_secret_configs`: `kubernetes://NAME`, by ADS")] = ""
    credential_names: Annotated[tuple[str, ...], Becomes("the same, several")] = ()
    ca_cert_credential_name: Annotated[
        str, Becomes("`validation_context_sds_secret_config`: `kubernetes://NAME-cacert`; default by credentialName")
    ] = ""
    tls_certificates: tuple[TLSCertificate, ...] = ()
    subject_alt_names: Annotated[tuple[str, ...], Becomes("`match_typed_subject_alt_names`")] = ()
    verify_certificate_spki: Annotated[tuple[str, ...], Becomes("`verify_certificate_spki`")] = ()
    verify_certificate_hash: Annotated[tuple[str, ...], Becomes("`verify_certificate_hash`")] = ()
    min_protocol_version: Annotated[TLSProtocol, Becomes("`tls_params.tls_minimum_protocol_version`")] = (
        TLSProtocol.TLS_AUTO
    )
    max_protocol_version: Annotated[TLSProtocol, Becomes("`tls_params.tls_maximum_protocol_version`")] = (
        TLSProtocol.TLS_AUTO
    )
    cipher_suites: Annotated[tuple[str, ...], Becomes("`tls_params.cipher_suites`")] = ()
    insecure_skip_verify: Annotated[
        bool | None, NotYet(why="clients that show a certificate are always verified; use mode SIMPLE to ask for none")
    ] = None

    @property
    def credentials(self) -> tuple[str, ...]:
        """Names of the secrets that the server shows."""
        return self.credential_names or ((self.credential_name,) if self.credential_name else ())


@attrs.frozen
class Server:
    """A port, the hosts that it is for, and how connections to it are secured."""

    port: ServerPort | None = None
    bind: Annotated[str, Becomes("`Listener.address.address`")] = ""
    hosts: Annotated[tuple[str, ...], Becomes("`virtual_hosts.domains`, `filter_chain_match.server_names`")] = ()
    tls: ServerTLSSettings | None = None
    default_endpoint: Annotated[str, NotYet(why="say where traffic goes by a VirtualService for the gateway")] = ""
    name: Annotated[str, Becomes("nothing: for people")] = ""


@attrs.frozen
class Gateway:
    """What the proxies that carry all labels of `selector` listen on; all gateway proxies where it has none.

    `of_api` is of a listener of the Gateway API: for proxies of its own namespace only, and its hosts are no services.
    """

    servers: tuple[Server, ...] = ()
    selector: Annotated[tuple[tuple[str, str], ...], Becomes("listeners of routers with these labels")] = ()
    of_api: Annotated[bool, Derived()] = False
