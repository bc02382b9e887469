"""What an operator may say of a Consul. Read by `adapters.options`; docs/reference/consul.md has the meaning."""

from __future__ import annotations

from typing import Literal

import attrs

from adapters.options import option
from adapters.platform import Platform


@attrs.frozen
class ConsulOptions:
    """As the command line has them, `--consul-…`; the help texts are the meaning."""

    addr: str = option("http://127.0.0.1:8500", help="Consul agent.", env="CONSUL_HTTP_ADDR")
    token: str = option("", help="ACL token for Consul.", env="CONSUL_HTTP_TOKEN", secret=True)
    token_file: str = option("", help="File with the ACL token, read again when it changes.")
    ca_file: str = option("", help="CA certificate that Consul's must be signed by.")
    cert_file: str = option("", help="Client certificate for Consul.")
    key_file: str = option("", help="Key of the client certificate.")
    datacenters: tuple[str, ...] = option(
        (), help="Datacenter to read; repeatable; '*' for all. Default: the agent's own.", flag="datacenter"
    )
    failover: tuple[str, ...] = option(
        (), help="Datacenter whose instances are called when those before it fail; repeatable, in order."
    )
    peers: tuple[str, ...] = option(
        (),
        help="Peered cluster whose exported services are called when all datacenters fail; repeatable, in order.",
        flag="peer",
    )
    namespace: str = option(
        "meta:namespace",
        help="What names an instance's namespace: meta:KEY, tag:KEY, name:SEPARATOR (what precedes it in the name), "
        "or kv:PREFIX (the key PREFIX/SERVICE).",
    )
    connect_native: Literal["include", "exclude"] = option(
        "include", help="Whether instances that speak Connect themselves are in the mesh."
    )
    sidecar_proxies: Literal["include", "exclude"] = option(
        "exclude", help="Whether Connect's sidecar proxies are in the mesh, under the names they are registered by."
    )
    register: str = option(
        "",
        help="Name by which this control plane registers itself, with a check of its readiness. Default: none.",
    )
    warning: Literal["include", "exclude"] = option(
        "exclude", help="Whether an instance whose check warns takes traffic."
    )
    wait: float = option(60.0, help="Seconds of a long poll, at most 600.")
    empty_hold: float = option(
        300.0, help="Seconds that services are kept when Consul suddenly tells of none; 0 believes it at once."
    )

    def platform(self, name: str) -> Platform:
        """The platform, not watching yet. ValueError or OSError for an option that can't be."""
        from adapters.consul.watch import ConsulPlatform

        return ConsulPlatform(self, name)
