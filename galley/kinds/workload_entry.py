"""WorkloadEntry (networking.istio.io, workload_entry.proto): one instance outside the platforms, by its address.

Stands by itself, as an endpoint of a ServiceEntry and as the template of a WorkloadGroup. Data only: read by planning,
built by `galley.decode` from the annotations.
"""

from __future__ import annotations

import attrs

from galley.schema import UInt32


@attrs.frozen
class WorkloadEntry:
    """`address` is an IP address, a name for DNS, or `unix:///path`. `ports` are by the service's port names."""

    address: str = ""
    ports: tuple[tuple[str, UInt32], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    network: str = ""
    locality: str = ""
    weight: UInt32 = 0
    service_account: str = ""
