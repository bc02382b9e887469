"""Numbers of the xDS server, under the names Istio's dashboards and alerts use.

The server calls one method per thing that happened; nothing is read back. The registry is given, so that two servers
in one process, or two tests, do not share counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pilot.xds.resource import ORDER, SHORT_NAMES

_CONVERGENCE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30)
"""Istio's, and finer ones below: a change usually arrives within the first of hers."""


class Tally(Collector):
    """A counter exposed under its very name: the client library's own Counter would append `_total` to Istio's names.

    So it is of type untyped to a scraper, and `rate()` works as ever.
    """

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry, label: str = "") -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._counts: dict[str, int] = {} if label else {"": 0}
        registry.register(self)

    def add(self, value: str = "", count: int = 1) -> None:
        """`value` is that of the label, where there is one."""
        self._counts[value] = self._counts.get(value, 0) + count

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._documentation, "unknown")
        for value, count in tuple(self._counts.items()):
            metric.add_sample(self._name, {self._label: value} if self._label else {}, count)
        yield metric


class XdsMetrics:
    """`pilot_xds…` of one server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connected = Gauge("pilot_xds", "Streams connected to this control plane.", ["version"], registry=registry)
        self._pushes = Tally("pilot_xds_pushes", "Responses sent, and failed sends (…_senderr).", registry, "type")
        self._acks = Tally("pilot_xds_acks", "Responses accepted by proxies.", registry, "type")
        self._rejects = Tally("pilot_total_xds_rejects", "Responses rejected by proxies.", registry, "type")
        self._rejecting = {
            type_url: Gauge(
                f"pilot_xds_{short(type_url)}_reject",
                f"Proxies that rejected the last {SHORT_NAMES[type_url]} sent to them.",
                ["node"],
                registry=registry,
            )
            for type_url in ORDER
        }
        self._marked: set[tuple[str, str]] = set()
        self._expired = Tally("pilot_xds_expired_nonce", "Requests with an overtaken nonce.", registry, "type")
        self._unknown = Tally("pilot_xds_unknown_type", "Requests for types that are not served.", registry)
        self._refused = Tally("pilot_xds_refused_streams", "Streams refused for their first request.", registry)
        self._withheld = Tally("pilot_xds_secrets_withheld", "Secrets asked for by who is not to have them.", registry)
        self._convergence = Histogram(
            "pilot_proxy_convergence_time",
            "Seconds from a change to the moment all of it was sent to a proxy.",
            buckets=_CONVERGENCE_SECONDS,
            registry=registry,
        )

    def connected(self, version: str) -> None:
        self._connected.labels(version or "unknown").inc()

    def disconnected(self, version: str, node_id: str, types: Iterable[str]) -> None:
        self._connected.labels(version or "unknown").dec()
        for type_url in types:
            self.accepts(type_url, node_id)

    def pushed(self, type_url: str) -> None:
        self._pushes.add(short(type_url))

    def send_failed(self, type_url: str) -> None:
        self._pushes.add(f"{short(type_url)}_senderr")

    def acked(self, type_url: str) -> None:
        self._acks.add(short(type_url))

    def accepts(self, type_url: str, node_id: str) -> None:
        """The proxy no longer rejects this type, or is gone."""
        if (type_url, node_id) in self._marked:
            self._marked.remove((type_url, node_id))
            self._rejecting[type_url].remove(node_id)

    def rejected(self, type_url: str, node_id: str) -> None:
        self._rejects.add(short(type_url))
        self._rejecting[type_url].labels(node_id).set(1)
        self._marked.add((type_url, node_id))

    def stale_nonce(self, type_url: str) -> None:
        self._expired.add(short(type_url))

    def unknown_type(self) -> None:
        self._unknown.add()

    def refused_stream(self) -> None:
        self._refused.add()

    def withheld_secret(self) -> None:
        self._withheld.add()

    def converged(self, seconds: float) -> None:
        self._convergence.observe(seconds)


def short(type_url: str) -> str:
    """`cds` for a cluster's type URL, as Istio labels it."""
    return SHORT_NAMES[type_url].lower()
