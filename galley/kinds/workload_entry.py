"""WorkloadEntry (networking.istio.io, workload_entry.proto): one instance outside the platforms, by its address.

Stands by itself, as an endpoint of a ServiceEntry and as the template of a WorkloadGroup. Data only: read by planning,
built by `galley.decode` from the annotations.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.schema import Becomes, UInt32


@attrs.frozen
class WorkloadEntry:
    """`address` is an IP address, a name for DNS, or `unix:///path`. `ports` are by the service's port names."""

    address: Annotated[str, Becomes("`Endpoint.address`")] = ""
    ports: Annotated[tuple[tuple[str, UInt32], ...], Becomes("`Endpoint.address.port_value`")] = ()
    labels: Annotated[
        tuple[tuple[str, str], ...],
        Becomes("its subsets; `security.istio.io/tlsMode: istio` says that it takes mutual TLS"),
    ] = ()
    network: Annotated[str, Becomes("how near it is by `failoverPriority`")] = ""
    locality: Annotated[str, Becomes("`LocalityLbEndpoints.locality`")] = ""
    weight: Annotated[UInt32, Becomes("`LbEndpoint.load_balancing_weight`")] = 0
    service_account: Annotated[str, Becomes("`match_typed_subject_alt_names` of clusters that begin mutual TLS")] = ""
