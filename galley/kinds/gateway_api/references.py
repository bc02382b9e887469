"""How objects of the Gateway API name others: the parents of a route, and where it leads. Data only.

An empty namespace is that of the object which refers.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.gateway_api import CORE, GATEWAY_API
from galley.schema import Becomes, Between

PortNumber = Annotated[int, Between(1, 65535)]
"""0 where none is given."""


@attrs.frozen
class ParentReference:
    """What a route belongs to: a Gateway, or one of its listeners (`sectionName`), or a Service of the mesh."""

    group: str = GATEWAY_API
    kind: str = "Gateway"
    namespace: str = ""
    name: Annotated[str, Becomes("the listener, or the service's virtual host, that has the routes")] = ""
    section_name: Annotated[str, Becomes("the virtual hosts of that listener alone")] = ""
    port: Annotated[PortNumber, Becomes("the virtual hosts of that port alone")] = 0


@attrs.frozen
class SecretObjectReference:
    """A Secret, by its name in `--credentials`."""

    group: str = CORE
    kind: str = "Secret"
    name: Annotated[
        str, Becomes("`tls_certificate_sds_secret_configs`: `kubernetes-gateway://NAMESPACE/NAME`, by ADS")
    ] = ""
    namespace: str = ""


@attrs.frozen
class BackendObjectReference:
    """Where traffic goes: a Service by its name, or a host (`kind: Hostname`, `group: networking.istio.io`)."""

    group: str = CORE
    kind: str = "Service"
    name: Annotated[
        str, Becomes("`cluster` of the service; `outbound|PORT||not-resolved.gateway-api.invalid` where there is none")
    ] = ""
    namespace: str = ""
    port: Annotated[PortNumber, Becomes("the port in the name of the cluster")] = 0


@attrs.frozen
class BackendReference(BackendObjectReference):
    """One of several, and its share beside the others'; 0 gets nothing."""

    weight: Annotated[int, Between(0, 1_000_000), Becomes("`weighted_clusters.clusters.weight`; 0 is left out")] = 1
