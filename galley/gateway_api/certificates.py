"""Which Secrets a listener of the Gateway API may show: of its own namespace, others by a ReferenceGrant. Pure.

Names are Istio's, `kubernetes-gateway://NAMESPACE/NAME`, and stand for a permission: a router is told any secret
that its configuration names so. A listener of which one reference is not permitted is not served.
"""

from __future__ import annotations

from collections.abc import Iterator

from galley.gateway_api.backends import Grants, granted
from galley.gateway_api.listeners import OurListener
from galley.gateway_api.status import RESOLVED_REFS, Condition
from galley.kinds.gateway_api.references import SecretObjectReference

PREFIX = "kubernetes-gateway://"


def credentials(listener: OurListener) -> tuple[str, ...]:
    """Names of the secrets of a listener that is permitted all of them."""
    own = listener.gateway.namespace
    return tuple(f"{PREFIX}{each.namespace or own}/{each.name}" for each in _references(listener))


def refused(listener: OurListener, grants: Grants) -> Condition | None:
    """Why the listener can't be served; None if it can."""
    gateway = listener.gateway
    for each in _references(listener):
        if each.namespace not in ("", gateway.namespace) and not granted(gateway, each, grants):
            message = f"certificate Secret {each.namespace}/{each.name} is of another namespace"
            mend = f"add a ReferenceGrant in {each.namespace} from Gateway of {gateway.namespace} to Secret"
            return Condition(RESOLVED_REFS, False, "RefNotPermitted", message, mend)
    return None


def _references(listener: OurListener) -> Iterator[SecretObjectReference]:
    if listener.spec.tls:
        yield from listener.spec.tls.certificate_refs
