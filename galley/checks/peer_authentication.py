"""What a PeerAuthentication must hold beyond its types, in Istio's rules."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.selector import check_selector
from galley.checks.values import check_port
from galley.document import Path
from galley.finding import Finding
from galley.kinds.peer_authentication import PeerAuthentication


def check_peer_authentication(spec: PeerAuthentication) -> Iterator[Finding]:
    """All findings of one PeerAuthentication, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from check_selector(spec.selector, (*path, "selector"))
    here = (*path, "portLevelMtls")
    if spec.port_level_mtls and not (spec.selector and spec.selector.match_labels):
        mend = "select the workloads that have the port by selector.matchLabels"
        yield Finding(here, "is for the ports of workloads, but none are selected", mend)
    for number, _ in spec.port_level_mtls:
        yield from check_port(number, (*here, str(number)))
