"""Which gateways a virtual service, or one match of it, is for. Pure.

Sidecars are the gateway `mesh`, which is meant where a virtual service names none. A gateway is named alone, beside the
rule, or with its namespace; `./NAME` and Istio 1.1's `NAME.NAMESPACE.svc.cluster.local` are read too.
"""

from __future__ import annotations

from collections.abc import Iterable

from galley.config import ConfigObject
from galley.kinds.virtual_service import VirtualService

MESH = "mesh"


def applies_to(rule: ConfigObject[VirtualService], gateway: str) -> bool:
    """Whether the rule is for the gateway: `mesh`, or NAMESPACE/NAME."""
    if not rule.spec.gateways:
        return gateway == MESH
    return among(rule.spec.gateways, rule.namespace, gateway)


def match_applies_to(gateways: tuple[str, ...], namespace: str, gateway: str) -> bool:
    """The same for a match of a rule of `namespace`: one that names no gateway is for all of the rule's."""
    return not gateways or among(gateways, namespace, gateway)


def among(gateways: Iterable[str], namespace: str, gateway: str) -> bool:
    """Whether one of the names, said in `namespace`, means the gateway."""
    return any(full_name(name, namespace) == gateway for name in gateways)


def full_name(name: str, namespace: str) -> str:
    """NAMESPACE/NAME, or `mesh`."""
    if name == MESH:
        return name
    if "/" in name:
        return f"{namespace}/{name[2:]}" if name.startswith("./") else name
    parts = name.split(".")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else f"{namespace}/{name}"
