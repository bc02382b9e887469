"""The control plane's own figures, read when they are asked for; Istio's names where the meaning is the same.

Counters with a name of Istio's are of type untyped: as counters they would be exposed with `_total` behind the name.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from mesh_adapter import __version__
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.leadership import Alone, Leadership


class ControlPlaneCollector(Collector):
    """Registered by the composition root; scrapes happen in the event loop, so reading needs no lock."""

    def __init__(self, plane: ControlPlane, registry: CollectorRegistry, leadership: Leadership | None = None) -> None:
        self._plane = plane
        self._leadership = leadership or Alone()
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Nothing to check at registration: all names are known here."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield _gauge("pilot_info", "Version of the control plane.", 1.0, version=__version__)
        yield _gauge("mesh_adapter_leader", "1 while this replica leads.", self._leadership.leads())
        yield from self._model()
        yield from self._platforms()
        yield from self._configuration()
        yield from self._credentials()
        yield from self._mixer()

    def _model(self) -> Iterator[Metric]:
        snapshot = self._plane.discovery.snapshot
        services = snapshot.catalog.services if snapshot else {}
        config = self._plane.config_state().config()
        yield _gauge("pilot_services", "Services known.", len(services))
        yield _gauge("pilot_virt_services", "Virtual services in force.", len(config.virtual_services))
        yield _gauge(
            "pilot_endpoint_not_ready",
            "Endpoints known that take no traffic.",
            sum(each.health.value != "HEALTHY" for service in services.values() for each in service.endpoints),
        )
        yield _gauge("mesh_adapter_views", "Different views of the connected proxies.", self._plane.discovery.views)
        encoded = CounterMetricFamily("mesh_adapter_resources_encoded", "Resources encoded; one for each new content.")
        encoded.add_metric([], self._plane.discovery.encoded)
        yield encoded
        yield _gauge("mesh_adapter_ready", "1 once every platform and source has synced.", self._plane.status().ready)

    def _platforms(self) -> Iterator[Metric]:
        labels = ["platform"]
        synced = GaugeMetricFamily("mesh_adapter_platform_synced", "1 once it has told all it has.", labels=labels)
        stale = GaugeMetricFamily("mesh_adapter_platform_stale", "1 while it is away or not believed.", labels=labels)
        services = GaugeMetricFamily("mesh_adapter_platform_services", "Services it tells of.", labels=labels)
        endpoints = GaugeMetricFamily("mesh_adapter_platform_endpoints", "Endpoints it tells of.", labels=labels)
        problems = GaugeMetricFamily("mesh_adapter_platform_problems", "Objects it could not use.", labels=labels)
        held = GaugeMetricFamily("mesh_adapter_platform_held_endpoints", "Vanished endpoints kept.", labels=labels)
        changes = CounterMetricFamily("mesh_adapter_platform_changes", "Changes of services told.", labels=labels)
        failures = CounterMetricFamily("mesh_adapter_platform_failures", "Watches that broke off.", labels=labels)
        for each in self._plane.platforms():
            held.add_metric([each.name], each.held)
            changes.add_metric([each.name], each.changes)
            failures.add_metric([each.name], each.failures)
            synced.add_metric([each.name], each.synced)
            stale.add_metric([each.name], bool(each.stale))
            services.add_metric([each.name], each.services)
            endpoints.add_metric([each.name], each.endpoints)
            problems.add_metric([each.name], len(each.problems))
        yield from (synced, stale, services, endpoints, problems, held, changes, failures)

    def _configuration(self) -> Iterator[Metric]:
        state = self._plane.config_state()
        passed = UnknownMetricFamily("galley_validation_passed", "Versions of objects accepted.", labels=["kind"])
        failed = UnknownMetricFamily("galley_validation_failed", "Versions of objects refused.", labels=["kind"])
        for kind, count in sorted(state.accepted.items()):
            passed.add_metric([kind], count)
        for kind, count in sorted(state.rejected.items()):
            failed.add_metric([kind], count)
        yield from (passed, failed)
        rejected = UnknownMetricFamily("pilot_total_rejected_configs", "Versions of objects refused, of all kinds.")
        rejected.add_metric([], sum(state.rejected.values()))
        yield rejected

    def _credentials(self) -> Iterator[Metric]:
        labels = ["namespace", "name"]
        ends = GaugeMetricFamily(
            "mesh_adapter_credential_expiry_timestamp_seconds", "When a certificate that is served ends.", labels=labels
        )
        bad = GaugeMetricFamily(
            "mesh_adapter_credential_problem", "1 while the newest version can't be used.", labels=labels
        )
        for each in self._plane.credentials.status():
            if each.not_after:
                ends.add_metric([each.namespace, each.name], each.not_after.timestamp())
            bad.add_metric([each.namespace, each.name], bool(each.problem))
        yield from (ends, bad)

    def _mixer(self) -> Iterator[Metric]:
        service = self._plane.mixer.service
        if service is None:
            return
        yield _gauge("mesh_adapter_mixer_rules", "Mixer's rules in force.", len(service.dispatcher.rules.rules))
        calls = CounterMetricFamily("mesh_adapter_mixer_calls", "Calls of Mixer, by path.", labels=["path"])
        for path, count in sorted(service.calls.items()):
            calls.add_metric([path], count)
        logged = CounterMetricFamily(
            "mesh_adapter_mixer_log_entries", "Access log entries of proxies.", labels=["fate"]
        )
        logged.add_metric(["taken"], service.reports.taken)
        logged.add_metric(["dropped"], service.reports.dropped)
        failures = CounterMetricFamily("mesh_adapter_mixer_handler_failures", "Calls that failed.", labels=["handler"])
        circuits = GaugeMetricFamily("mesh_adapter_mixer_circuit_open", "1 while it is not called.", labels=["handler"])
        for each in service.dispatcher.status():
            failures.add_metric([each.name], each.failures)
            circuits.add_metric([each.name], each.circuit_open)
        yield from (calls, logged, failures, circuits)


def _gauge(name: str, text: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), float(value))
    return family
