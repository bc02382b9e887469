"""ProxyConfig (networking.istio.io, proxy_config.proto): how the proxies of some workloads are started.

All of it acts at the start of a proxy, which is `mesh-adapter sidecar`'s and the operator's, not xDS's. Data only.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.kinds.selector import WorkloadSelector
from galley.schema import Becomes, Int32

_AT_THE_START = Becomes("it acts when a proxy is started, by options of `mesh-adapter sidecar`", refused=True)


@attrs.frozen
class ProxyImage:
    """Which build of the proxy's container image is used: `default`, `debug`, `distroless`."""

    image_type: Annotated[str, _AT_THE_START] = ""


@attrs.frozen
class ProxyConfig:
    """Refused field by field by `galley.checks.proxy_config`, each with the option that does it."""

    selector: Annotated[WorkloadSelector | None, _AT_THE_START] = None
    concurrency: Annotated[Int32 | None, _AT_THE_START] = None
    environment_variables: Annotated[tuple[tuple[str, str], ...], _AT_THE_START] = ()
    image: Annotated[ProxyImage | None, _AT_THE_START] = None
