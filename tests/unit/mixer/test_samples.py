"""Istio's public samples of Mixer, written out as facts: they load without a word, and do what its tasks say they do.

Addresses of far ends are the only thing that is changed: to where the test listens.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from galley.config import Config
from galley.document import Loaded
from galley.ingest.yaml_documents import read_documents
from galley.validate import validate
from mixer.dispatch import Dispatcher
from mixer.result import QuotaArgs, Verdict
from mixer.rules import compile_rules
from mixer.status import http_status
from tests.unit.mixer.handlers.far_ends import fluentd, until

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "tests/samples/mixer"
TELEMETRY = ROOT / "deploy/mixer/telemetry.yaml"
BAG: dict[str, Any] = {
    "context.protocol": "http",
    "context.reporter.kind": "inbound",
    "destination.namespace": "default",
    "destination.labels": {"app": "ratings", "version": "v1"},
    "destination.workload.name": "ratings",
    "destination.service.host": "ratings.default.svc",
    "source.labels": {"app": "reviews", "version": "v3"},
    "source.workload.name": "reviews-v3",
    "source.ip": b"\x0a\x39\0\x01",
    "request.headers": {"x-forwarded-for": "10.28.11.20"},
    "request.time": datetime.datetime(2019, 4, 1, tzinfo=datetime.UTC),
    "response.code": 200,
    "response.size": 123,
    "response.duration": datetime.timedelta(milliseconds=20),
}


@asynccontextmanager
async def _loaded(
    path: Path, changed: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Dispatcher, CollectorRegistry]]:
    text = path.read_text()
    for old, new in (changed or {}).items():
        assert old in text
        text = text.replace(old, new)
    objects = []
    loaded = read_documents(path.name, text.encode())
    assert isinstance(loaded, Loaded), loaded
    for document in loaded.documents:
        verdict = validate(document)
        assert not verdict.problems, [str(each) for each in verdict.problems]
        assert verdict.object is not None
        objects.append(verdict.object)
    rules = compile_rules(Config.of(objects))
    assert not [each for each in rules.problems if not each.warning], [str(each) for each in rules.problems]
    registry = CollectorRegistry()
    dispatcher = Dispatcher({"registry": registry})
    dispatcher.install(rules)
    try:
        yield dispatcher, registry
    finally:
        await dispatcher.close()


async def _checked(sample: str, quotas: Mapping[str, QuotaArgs] | None = None, **more: Any) -> Verdict:
    async with _loaded(SAMPLES / f"{sample}.yaml") as (dispatcher, _):
        return await dispatcher.check(
            {**BAG, **{name.replace("__", "."): value for name, value in more.items()}}, quotas
        )


def _labels(app: str, version: str) -> dict[str, str]:
    return {"app": app, "version": version}


async def test_denial_refuses_version_3_only() -> None:
    refused = (await _checked("denial")).status
    assert (http_status(refused.code), refused.message) == (403, "denyreviewsv3handler.istio-system:Not allowed")
    assert (await _checked("denial", source__labels=_labels("reviews", "v2"))).status.ok


@pytest.mark.parametrize(("version", "said"), [("v1", ""), ("v3", "whitelist.istio-system:v3 is not whitelisted")])
async def test_whitelist_lets_its_versions_in(version: str, said: str) -> None:
    status = (await _checked("whitelist", source__labels=_labels("reviews", version))).status
    assert (status.ok, status.message) == (not said, said)


async def test_whitelist_by_address_lets_its_network_in() -> None:
    gateway = {"istio": "ingressgateway"}
    assert (await _checked("whitelist-ip", source__labels=gateway)).status.ok
    status = (await _checked("whitelist-ip", source__labels=gateway, source__ip=b"\x0a\0\0\x01")).status
    assert status.message == "whitelistip.istio-system:10.0.0.1 is not whitelisted"


async def test_the_rate_limit_holds_for_each_destination() -> None:
    one = {"requestcountquota": QuotaArgs(1)}
    async with _loaded(SAMPLES / "ratelimit-memquota.yaml") as (dispatcher, _):
        granted = {}
        for app in ("reviews", "productpage", "ratings"):
            bag = {**BAG, "destination.labels": _labels(app, "v1")}
            verdicts = [await dispatcher.check(bag, one) for _ in range(4)]
            granted[app] = sum(each.quotas["requestcountquota"].granted for each in verdicts)
    assert granted == {"reviews": 1, "productpage": 2, "ratings": 4}


async def test_metrics_count_twice() -> None:
    async with _loaded(SAMPLES / "metrics.yaml") as (dispatcher, registry):
        assert not await dispatcher.report([BAG, BAG])
        labels = {"reporter": "server", "source": "reviews-v3", "destination": "ratings", "message": "twice the fun!"}
        assert registry.get_sample_value("istio_double_request_count", labels) == 4


async def test_logs_are_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    async with _loaded(SAMPLES / "logs.yaml") as (dispatcher, _):
        await dispatcher.report([BAG])
    line = json.loads(capsys.readouterr().out)
    assert line["level"] == "warning"
    assert {name: line[name] for name in ("source", "destination", "responseCode", "latency")} == {
        "source": "reviews",
        "destination": "ratings",
        "responseCode": 200,
        "latency": "0.02s",
    }


async def test_fluentd_is_told() -> None:
    async with fluentd() as far:
        changed = {"fluentd-es.logging:24224": f"127.0.0.1:{far.port}"}
        async with _loaded(SAMPLES / "fluentd.yaml", changed) as (dispatcher, _):
            await dispatcher.report([BAG])
        await until(lambda: far.entries)
        tag, _, record = far.entries[0]
        assert (tag, record["source"], record["severity"]) == ("newlog", "reviews", "info")


async def test_headers_are_changed_where_the_rule_holds() -> None:
    directive = (await _checked("headers", destination__labels={"app": "httpbin"})).directive
    assert [(each.name, each.value, each.operation.value) for each in directive.request_headers] == [
        ("x-source", "reviews-v3", "REPLACE"),
        ("x-internal", "", "REMOVE"),
    ]
    assert [(each.name, each.value) for each in directive.response_headers] == [("x-seen-by", "mixer")]
    assert not (await _checked("headers")).directive.request_headers


async def test_the_redis_sample_loads_and_fails_closed_where_there_is_no_redis() -> None:
    changed = {"redis-release-master:6379": "127.0.0.1:1"}
    async with _loaded(SAMPLES / "ratelimit-redisquota.yaml", changed) as (dispatcher, _):
        verdict = await dispatcher.check(BAG, {"requestcountquota": QuotaArgs(1)})
        assert verdict.quotas["requestcountquota"].granted == 0


async def test_the_standard_metrics_have_istios_names_and_labels() -> None:
    tcp = {**BAG, "context.protocol": "tcp", "connection.sent.bytes": 10, "connection.event": "open"}
    common = {
        "reporter": "destination",
        "source_workload": "reviews-v3",
        "source_workload_namespace": "unknown",
        "source_principal": "unknown",
        "source_app": "reviews",
        "source_version": "v3",
        "destination_workload": "ratings",
        "destination_workload_namespace": "unknown",
        "destination_principal": "unknown",
        "destination_app": "ratings",
        "destination_version": "v1",
        "destination_service": "ratings.default.svc",
        "destination_service_name": "unknown",
        "destination_service_namespace": "unknown",
        "response_flags": "-",
        "connection_security_policy": "none",
    }
    http = {**common, "request_protocol": "http", "response_code": "200"}
    async with _loaded(TELEMETRY) as (dispatcher, registry):
        assert not await dispatcher.report([BAG, tcp, {**tcp, "connection.event": "close"}])
        told = {
            (name, tuple(labels.items())): registry.get_sample_value(name, labels)
            for name, labels in (
                ("istio_requests_total", http),
                ("istio_request_duration_seconds_bucket", {**http, "le": "0.025"}),
                ("istio_response_bytes_sum", http),
                ("istio_request_bytes_count", http),
                ("istio_tcp_sent_bytes_total", common),
                ("istio_tcp_received_bytes_total", common),
                ("istio_tcp_connections_opened_total", common),
                ("istio_tcp_connections_closed_total", common),
            )
        }
    assert list(told.values()) == [1, 1, 123, 1, 20, 0, 1, 1]


async def test_a_probe_is_not_counted() -> None:
    async with _loaded(TELEMETRY) as (dispatcher, registry):
        await dispatcher.report([{**BAG, "request.useragent": "kube-probe/1.12"}])
        assert "istio_requests_total{" not in generate_latest(registry).decode()
