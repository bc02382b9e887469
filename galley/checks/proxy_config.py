"""What becomes of a ProxyConfig: a proxy is started by `mesh-adapter sidecar` or an operator, before xDS says anything.

So no field can be carried out by the control plane; each is refused with the place where the same is said, rather than
accepted and forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator

from galley.document import Path
from galley.finding import Finding
from galley.kinds.proxy_config import ProxyConfig

_WHERE = "acts when a proxy is started, which a control plane does not do here"


def check_proxy_config(spec: ProxyConfig) -> Iterator[Finding]:
    """All findings of one ProxyConfig, paths starting at `spec`; one that says nothing passes."""
    path: Path = ("spec",)
    if spec.selector is not None:
        yield Finding((*path, "selector"), f"selects proxies for settings of which each {_WHERE}", "remove it")
    if spec.concurrency is not None:
        here = (*path, "concurrency")
        if spec.concurrency < 0:
            yield Finding(here, "must be 0 for all cores, or more", "write the number of worker threads")
        else:
            mend = f"start the proxy with `mesh-adapter sidecar --concurrency {spec.concurrency or 'CORES'}`"
            yield Finding(here, _WHERE, mend)
    if spec.environment_variables:
        yield Finding(
            (*path, "environmentVariables"), _WHERE, "set them for `mesh-adapter sidecar`, which hands them on"
        )
    if spec.image is not None:
        yield Finding((*path, "image"), _WHERE, "name the Envoy with `mesh-adapter sidecar --envoy`, or in the job")
