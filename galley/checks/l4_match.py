"""What the conditions of TCP and TLS routes must hold."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from galley.checks.values import check_dns_label, check_gateways, check_host, check_port
from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import L4MatchAttributes, TLSMatchAttributes


def check_l4_match(match: L4MatchAttributes | TLSMatchAttributes, path: Path) -> Iterator[Finding]:
    """What both kinds of match have."""
    for index, subnet in enumerate(match.destination_subnets):
        yield from _subnet(subnet, (*path, "destinationSubnets", index))
    if match.port:
        yield from check_port(match.port, (*path, "port"))
    if match.source_namespace:
        yield from check_dns_label(match.source_namespace, (*path, "sourceNamespace"))
    yield from check_gateways(match.gateways, (*path, "gateways"))


def check_tls_match(match: TLSMatchAttributes, hosts: tuple[str, ...], path: Path) -> Iterator[Finding]:
    """All findings; each SNI must lie within one of the virtual service's `hosts`, as Istio has it."""
    if not match.sni_hosts:
        yield Finding(
            (*path, "sniHosts"), "TLS match must have at least one SNI host", "list the names clients ask for"
        )
    for index, sni in enumerate(match.sni_hosts):
        here = (*path, "sniHosts", index)
        if sni != "*":
            yield from check_host(sni, here, wildcard=True)
        if not any(_within(sni.lower(), host.lower()) for host in hosts):
            message = f"SNI host {sni!r} is not a compatible subset of any of the virtual service domains"
            yield Finding(here, message, f"name one of {', '.join(hosts)}, or what lies below a wildcard of them")
    yield from check_l4_match(match, path)


def _within(name: str, host: str) -> bool:
    """Whether all that `name` stands for, `host` stands for too."""
    if host == "*" or name == host:
        return True
    return host.startswith("*.") and name.removeprefix("*").endswith(host[1:]) and name != "*"


def _subnet(text: str, path: Path) -> Iterator[Finding]:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        yield Finding(path, f"{text!r} is not an IP address or subnet", "write it like 10.1.0.0/16 or 10.1.2.3")
