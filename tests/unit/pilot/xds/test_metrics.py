"""The numbers, under the very names Istio's dashboards ask for."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from pilot.xds.metrics import XdsMetrics
from pilot.xds.resource import CDS, EDS, ORDER


def exposed(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_counters_keep_istios_names_without_a_suffix() -> None:
    registry = CollectorRegistry()
    metrics = XdsMetrics(registry)
    metrics.pushed(CDS)
    metrics.pushed(CDS)
    metrics.send_failed(EDS)
    metrics.rejected(EDS, "proxy-1")
    metrics.stale_nonce(EDS)
    metrics.unknown_type()
    lines = exposed(registry)
    assert 'pilot_xds_pushes{type="cds"} 2.0' in lines
    assert 'pilot_xds_pushes{type="eds_senderr"} 1.0' in lines
    assert 'pilot_total_xds_rejects{type="eds"} 1.0' in lines
    assert 'pilot_xds_eds_reject{node="proxy-1"} 1.0' in lines
    assert 'pilot_xds_expired_nonce{type="eds"} 1.0' in lines
    assert "pilot_xds_unknown_type 1.0" in lines


def test_a_proxy_rejects_until_it_accepts_or_leaves() -> None:
    registry = CollectorRegistry()
    metrics = XdsMetrics(registry)
    metrics.connected("1.40.0")
    for proxy in ("proxy-1", "proxy-2"):
        metrics.rejected(CDS, proxy)
    metrics.accepts(CDS, "proxy-1")
    metrics.accepts(CDS, "never rejected")
    assert [each for each in exposed(registry) if each.startswith("pilot_xds_cds_reject")] == [
        'pilot_xds_cds_reject{node="proxy-2"} 1.0'
    ]
    metrics.disconnected("1.40.0", "proxy-2", ORDER)
    assert not [each for each in exposed(registry) if each.startswith("pilot_xds_cds_reject")]
    assert 'pilot_xds{version="1.40.0"} 0.0' in exposed(registry)


def test_convergence_is_a_histogram_of_seconds() -> None:
    registry = CollectorRegistry()
    XdsMetrics(registry).converged(0.3)
    assert registry.get_sample_value("pilot_proxy_convergence_time_bucket", {"le": "0.1"}) == 0
    assert registry.get_sample_value("pilot_proxy_convergence_time_bucket", {"le": "0.5"}) == 1


def test_two_servers_do_not_share_counts() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    XdsMetrics(first).pushed(CDS)
    XdsMetrics(second)
    assert second.get_sample_value("pilot_xds_pushes", {"type": "cds"}) is None
