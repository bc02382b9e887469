"""ProxyConfig (networking.istio.io, proxy_config.proto): how the proxies of some workloads are started.

All of it acts at the start of a proxy, which is `mesh-adapter sidecar`'s and the operator's, not xDS's. Data only.
"""

from __future__ import annotations

import attrs

from galley.kinds.selector import WorkloadSelector
from galley.schema import Int32


@attrs.frozen
class ProxyImage:
    """Which build of the proxy's container image is used: `default`, `debug`, `distroless`."""

    image_type: str = ""


@attrs.frozen
class ProxyConfig:
    """Refused field by field by `galley.checks.proxy_config`, each with the option that does it."""

    selector: WorkloadSelector | None = None
    concurrency: Int32 | None = None
    environment_variables: tuple[tuple[str, str], ...] = ()
    image: ProxyImage | None = None
