"""What an operator may say of a Nomad. Read by `adapters.options`; docs/reference/nomad.md has the meaning."""

from __future__ import annotations

import attrs

from adapters.options import option
from adapters.platform import Platform


@attrs.frozen
class NomadOptions:
    """As the command line has them, `--nomad-…`; the help texts are the meaning.

    Variables are those of Nomad's own command, but for NOMAD_NAMESPACE: Nomad sets it in every task, so that a control
    plane that runs as a job would see its own namespace only.
    """

    addr: str = option("http://127.0.0.1:4646", help="Nomad agent.", env="NOMAD_ADDR")
    token: str = option("", help="ACL token for Nomad.", env="NOMAD_TOKEN", secret=True)
    token_file: str = option("", help="File with the ACL token, read again when it changes.")
    ca_file: str = option("", help="CA certificate that Nomad's must be signed by.", env="NOMAD_CACERT")
    cert_file: str = option("", help="Client certificate for Nomad.", env="NOMAD_CLIENT_CERT")
    key_file: str = option("", help="Key of the client certificate.", env="NOMAD_CLIENT_KEY")
    tls_server_name: str = option(
        "", help="Name in Nomad's certificate, if it is not the address.", env="NOMAD_TLS_SERVER_NAME"
    )
    namespaces: tuple[str, ...] = option(
        ("*",), help="Namespace to read; repeatable; '*' for all that the token may see.", flag="namespace"
    )
    regions: tuple[str, ...] = option(
        (), help="Region to read; repeatable; '*' for all. Default: the agent's own.", flag="region", env="NOMAD_REGION"
    )
    check_interval: float = option(2.0, help="Seconds between two looks at the checks of an allocation.")
    check_rate: float = option(10.0, help="Looks at checks a second, at most; beyond it the interval grows.")
    silence: float = option(75.0, help="Seconds without a heartbeat after which the event stream is opened again.")
    empty_hold: float = option(
        300.0, help="Seconds that services are kept when Nomad suddenly tells of none; 0 believes it at once."
    )

    def platform(self, name: str) -> Platform:
        """The platform, not watching yet. ValueError or OSError for an option that can't be."""
        from adapters.nomad.watch import NomadPlatform

        return NomadPlatform(self, name)
