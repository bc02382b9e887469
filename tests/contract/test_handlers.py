"""The adapters that come with us, held to the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from mixer.attributes import ValueType
from mixer.handler import handler_type
from tests.contract.handler_suite import HandlerSuite
from tests.unit.mixer.handlers.far_ends import http_peer


class TestNoop(HandlerSuite):
    name = "noop"


class TestDenier(HandlerSuite):
    name = "denier"
    params: ClassVar = {"status": {"code": 7, "message": "Not allowed"}, "validDuration": "5s"}
    bad: ClassVar = {
        "spec.params.status.code": {"status": {"code": 0}},
        "spec.params.validDuration": {"validDuration": "-1s"},
        'spec.params.status.details[0]["@type"]': {"status": {"code": 7, "details": [{}]}},
    }
    fields: ClassVar = {"listentry": {"value": "a"}}


class TestListchecker(HandlerSuite):
    name = "listchecker"
    params: ClassVar = {"overrides": ["a", "b"], "cachingInterval": "10s"}
    bad: ClassVar = {
        "spec.params.providerUrl": {"providerUrl": "ftp://lists/a"},
        "spec.params.ttl": {"ttl": "1s"},
        "spec.params.overrides[1]": {"overrides": ["a", "("], "entryType": "REGEX"},
        "spec.params.overrides[0]": {"overrides": ["300.0.0.1"], "entryType": "IP_ADDRESSES"},
        "spec.params.entryType": {"entryType": "WORDS"},
    }
    fields: ClassVar = {"listentry": {"value": "a"}}


class TestMemquota(HandlerSuite):
    name = "memquota"
    params: ClassVar = {"quotas": [{"name": "one", "maxAmount": 2, "validDuration": "1s"}]}
    bad: ClassVar = {
        "spec.params.quotas[0].maxAmount": {"quotas": [{"name": "one", "maxAmount": -1}]},
        "spec.params.quotas[0].validDuration": {"quotas": [{"name": "one", "validDuration": "-1s"}]},
        "spec.params.quotas[1].name": {"quotas": [{"name": "one"}, {"name": "one"}]},
        "spec.params.minDeduplicationDuration": {"minDeduplicationDuration": "0s"},
    }
    fields: ClassVar = {"quota": {"dimensions": {"source": "a"}}}


class TestRedisquota(HandlerSuite):
    """Without a Redis; with one, tests/integration has it."""

    name = "redisquota"
    params: ClassVar = {
        "redisServerUrl": "127.0.0.1:1",
        "quotas": [{"name": "one", "maxAmount": 2, "validDuration": "1s", "whenAway": "LOCAL"}],
    }
    bad: ClassVar = {
        "spec.params.redisServerUrl": {"redisServerUrl": "http://redis"},
        "spec.params.connectionPoolSize": {"connectionPoolSize": 0},
        "spec.params.quotas[0].validDuration": {"quotas": [{"name": "one", "maxAmount": 2}]},
        "spec.params.quotas[0].maxAmount": {"quotas": [{"name": "one", "maxAmount": 2**54, "validDuration": "1s"}]},
        "spec.params.quotas[0].prefetch": {"quotas": [{"name": "one", "prefetch": 5, "validDuration": "1s"}]},
        "spec.params.quotas[0].bucketDuration": {
            "quotas": [{"name": "one", "maxAmount": 2, "validDuration": "1s", "bucketDuration": "2s"}]
        },
    }
    fields: ClassVar = {"quota": {"dimensions": {"source": "a"}}}


class TestStatsd(HandlerSuite):
    name = "statsd"
    params: ClassVar = {"address": "127.0.0.1:8125", "metrics": {"one": {"type": "COUNTER"}}}
    bad: ClassVar = {
        "spec.params.address": {"address": "nowhere"},
        "spec.params.samplingRate": {"samplingRate": 2},
        "spec.params.flushBytes": {"flushBytes": 0},
        "spec.params.metrics.one.type": {"metrics": {"one": {}}},
    }
    fields: ClassVar = {"metric": {"value": 1, "dimensions": {}}}


class TestFluentd(HandlerSuite):
    name = "fluentd"
    params: ClassVar = {"address": "127.0.0.1:1", "pushIntervalDuration": "1s"}
    bad: ClassVar = {
        "spec.params.address": {"address": "a:99999"},
        "spec.params.pushIntervalDuration": {"pushIntervalDuration": "0s"},
        "spec.params.instanceBufferSize": {"instanceBufferSize": 0},
    }


class TestOpenTelemetry(HandlerSuite):
    name = "opentelemetry"
    params: ClassVar = {"endpoint": "grpc://127.0.0.1:1", "metrics": {"one": {"kind": "COUNTER"}}}
    bad: ClassVar = {
        "spec.params.endpoint": {"endpoint": "collector:4317"},
        "spec.params.interval": {"interval": "0s"},
        "spec.params.batchSize": {"batchSize": 0},
        "spec.params.metrics.one.kind": {"metrics": {"one": {}}},
        "spec.params.metrics.one.bounds": {"metrics": {"one": {"kind": "DISTRIBUTION", "bounds": [1, 1]}}},
    }
    fields: ClassVar = {"metric": {"value": 1, "dimensions": {}}}


class TestZipkin(HandlerSuite):
    name = "zipkin"
    params: ClassVar = {"url": "http://127.0.0.1:1/api/v2/spans", "sampleProbability": 0.5}
    bad: ClassVar = {
        "spec.params.url": {"url": "zipkin:9411"},
        "spec.params.sampleProbability": {"sampleProbability": 2},
    }


class TestOpa(HandlerSuite):
    """Nobody listens: what failClose says is the answer."""

    name = "opa"
    params: ClassVar = {"serverUrl": "http://127.0.0.1:1", "checkMethod": "data.authz.allow", "failClose": True}
    bad: ClassVar = {
        "spec.params.serverUrl": {"serverUrl": "opa"},
        "spec.params.checkMethod": {"checkMethod": "allow"},
        "spec.params.policy": {"policy": ["package mixerauthz"]},
        "spec.params.cachingInterval": {"cachingInterval": "-1s"},
    }


class TestPolicy(HandlerSuite):
    name = "policy"
    params: ClassVar = {"policies": [{"name": "readers", "when": 'action.method == "GET"'}]}
    bad: ClassVar = {
        "spec.params.policies[0].when": {"policies": [{"name": "a", "when": "nothing"}]},
        "spec.params.policies[0].name": {"policies": [{"when": "true"}]},
        "spec.params.policies[1].name": {"policies": [{"name": "a"}, {"name": "a"}]},
    }
    fields: ClassVar = {"authorization": {"subject": {"user": "ada"}, "action": {"method": "GET"}}}


class TestWebhook(HandlerSuite):
    name = "webhook"
    params: ClassVar = {"url": "http://127.0.0.1:1/hook", "batchSize": 10}
    bad: ClassVar = {
        "spec.params.url": {"url": "ftp://a"},
        "spec.params.batchSize": {"batchSize": 0},
        "spec.params.pushInterval": {"pushInterval": "0s"},
    }
    fields: ClassVar = {"listentry": {"value": "a"}}

    def given(self) -> Mapping[str, Any]:
        return {**self.params, **self._here}

    _here: Mapping[str, Any] = {}

    async def test_it_answers_for_each_of_its_templates_with_what_is_asked_for(self) -> None:
        async with http_peer() as far:
            self._here = {"url": far.url}
            await super().test_it_answers_for_each_of_its_templates_with_what_is_asked_for()


class TestKubernetesenv(HandlerSuite):
    name = "kubernetesenv"
    fields: ClassVar = {"kubernetes": {"sourceIp": b"\x0a\0\0\1"}}


class TestConsulenv(TestKubernetesenv):
    name = "consulenv"


class TestNomadenv(TestKubernetesenv):
    name = "nomadenv"


class TestPrometheus(HandlerSuite):
    name = "prometheus"
    params: ClassVar = {
        "metrics": [{"name": "requests_total", "instanceName": "one.metric.default", "kind": "COUNTER"}],
    }
    bad: ClassVar = {
        "spec.params.metrics[0].name": {"metrics": [{"name": "a b", "instanceName": "one", "kind": "GAUGE"}]},
        "spec.params.metrics[0].kind": {"metrics": [{"name": "a", "instanceName": "one"}]},
        "spec.params.metrics[0].buckets": {
            "metrics": [
                {
                    "name": "a",
                    "instanceName": "one",
                    "kind": "DISTRIBUTION",
                    "buckets": {"explicitBuckets": {"bounds": [2, 1]}},
                }
            ]
        },
    }
    fields: ClassVar = {"metric": {"value": 1, "dimensions": {}}}
    types: ClassVar = {"metric": {"value": ValueType.INT64}}


class TestStdio(HandlerSuite):
    name = "stdio"
    params: ClassVar = {"outputAsJson": True, "severityLevels": {"warning": "WARNING"}}
    bad: ClassVar = {
        "spec.params.outputPath": {"logStream": "FILE"},
        "spec.params.maxRotatedFiles": {"maxRotatedFiles": -1},
    }
    fields: ClassVar = {"logentry": {"variables": {"a": 1}, "severity": "warning"}, "metric": {"value": 1}}


def test_an_unknown_adapter_is_told_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"unknown adapter 'nobody': known are .*denier, .*listchecker"):
        handler_type("nobody")
