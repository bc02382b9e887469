"""Istio's public samples load as they are: no error, no warning; tests/e2e/test_samples.py shows what they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from galley.analyze import analyze
from galley.load import load_files
from pilot import ir
from pilot.model.catalog import Catalog
from pilot.model.proxy import OutboundView
from pilot.model.service import Port, Protocol, Service, ServiceKey
from pilot.model.snapshot import Snapshot
from pilot.plan.index import Index
from pilot.plan.proxy import plan_outbound

SAMPLES = Path(__file__).parent.parent / "samples"
SUBSETS = SAMPLES / "bookinfo" / "destination-rule-all.yaml"
HOSTS = tuple(f"{name}.service.consul" for name in ("productpage", "details", "reviews", "ratings", "httpbin"))


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*/*.yaml")), ids=lambda each: f"{each.parent.name}/{each.stem}")
def test_a_sample_loads_unchanged(sample: Path) -> None:
    config, problems = load_files([sample])
    assert problems == ()
    documents = [part for part in sample.read_text().split("---\n") if part.strip()]
    assert len(config.objects()) == len(documents)


def test_the_short_names_of_the_bookinfo_samples_mean_the_services_of_consul() -> None:
    config, problems = load_files([SUBSETS, SAMPLES / "bookinfo" / "virtual-service-all-v1.yaml"])
    assert problems == analyze(config, HOSTS) == ()


def test_the_google_apis_are_called_by_tls_that_the_proxy_begins() -> None:
    config, _ = load_files([SAMPLES / "bookinfo" / "egress-rule-google-apis.yaml"])
    key = ServiceKey("default", "details.service.consul")
    catalog = Catalog({key: Service(key, (Port("http", 9080, Protocol.HTTP),))})
    plan = plan_outbound(Index.of(Snapshot(catalog, config)), OutboundView())
    (host,) = (each for each in plan.routes[0].virtual_hosts if "www.googleapis.com" in each.domains)
    (route,) = host.routes
    assert isinstance(route.action, ir.Forward)
    assert [each.cluster for each in route.action.clusters] == ["outbound|443||www.googleapis.com"]
    clusters = {each.name: each for each in plan.clusters}
    secured, plain = (clusters[f"outbound|{port}||www.googleapis.com"] for port in (443, 80))
    assert plain.tls is None
    assert secured.tls is not None
    assert (secured.tls.auto_sni, secured.tls.auto_san) == (True, True)
    assert secured.discovery is ir.Discovery.STRICT_DNS
