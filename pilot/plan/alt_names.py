"""Names that certificates carry, by what they look like. Pure."""

from __future__ import annotations

import ipaddress

from pilot import ir


def alt_name(name: str) -> ir.AltName:
    """Of the type that the name looks like: Envoy compares names of one type only."""
    if "://" in name:
        return ir.AltName(ir.AltNameKind.URI, name)
    if "@" in name:
        return ir.AltName(ir.AltNameKind.EMAIL, name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return ir.AltName(ir.AltNameKind.DNS, name)
    return ir.AltName(ir.AltNameKind.IP_ADDRESS, name)
