"""WorkloadGroup and its messages (networking.istio.io, workload_group.proto): what the workloads of a group are like.

The template from which a WorkloadEntry is written when a workload registers itself. Data only.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.workload_entry import WorkloadEntry
from galley.schema import Int32, NotYet, OneOf

_NOBODY_PROBES = "workloads do not register themselves yet, so that nobody would probe them"


@attrs.frozen
class GroupMetadata:
    """Labels and annotations that every WorkloadEntry of the group gets when it is written."""

    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class HealthCheck:
    """One of Istio's four ways to ask a workload whether it is well; not read yet."""


@attrs.frozen
class ReadinessProbe:
    """How whoever runs beside the workload finds out whether it takes traffic."""

    initial_delay_seconds: Int32 = 0
    timeout_seconds: Int32 = 0
    period_seconds: Int32 = 0
    success_threshold: Int32 = 0
    failure_threshold: Int32 = 0
    http_get: Annotated[HealthCheck | None, OneOf("health_check_method")] = None
    tcp_socket: Annotated[HealthCheck | None, OneOf("health_check_method")] = None
    exec: Annotated[HealthCheck | None, OneOf("health_check_method")] = None
    grpc: Annotated[HealthCheck | None, OneOf("health_check_method")] = None


@attrs.frozen
class WorkloadGroup:
    """A template; nothing is served because of it alone."""

    metadata: GroupMetadata | None = None
    template: WorkloadEntry | None = None
    probe: Annotated[ReadinessProbe | None, NotYet(why=_NOBODY_PROBES)] = None
