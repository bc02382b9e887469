"""How Envoy is told to drain, and how it is seen that nothing is open any more.

Paths of Envoy's admin interface and the reading of its answers; who asks is `pilot.sidecar.admin`. Pure.
"""

from __future__ import annotations

import re

from pilot.sidecar.bootstrap import HEALTH, METRICS

STEPS = ("/healthcheck/fail", "/drain_listeners?graceful")
"""In order, POST: say "not ready" and close kept-alive HTTP connections; then close listeners within the drain time."""

ACTIVE_STATS = r"/stats?usedonly&filter=^(http|listener)\..*\.downstream_(cx|rq)_active$"
_OURS = frozenset({"admin", HEALTH, METRICS})
_OF_A_THREAD = re.compile(r"\.(main_thread|worker_\d+)$")
_STATISTIC = re.compile(r"(?P<kind>http|listener)\.(?P<of>.+)\.downstream_(?P<what>cx|rq)_active: (?P<count>\d+)")


def active(stats: str) -> int:
    """Open requests and TCP connections in Envoy's answer to ACTIVE_STATS.

    A listener counts connections of both kinds and does not say which; those that the HTTP managers count are taken
    off, as an HTTP connection that carries no request is idle and may be closed. Our own probes do not count.
    """
    requests = connections = 0
    for found in map(_STATISTIC.fullmatch, stats.splitlines()):
        if found is None or found["of"] in _OURS or _OF_A_THREAD.search(found["of"]):
            continue
        count = int(found["count"])
        if found["what"] == "rq":
            requests += count
        else:
            connections += count if found["kind"] == "listener" else -count
    return requests + max(connections, 0)
