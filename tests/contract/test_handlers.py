"""The adapters that come with us, held to the contract."""

from __future__ import annotations

from typing import ClassVar

import pytest

from mixer.attributes import ValueType
from mixer.handler import handler_type
from tests.contract.handler_suite import HandlerSuite


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
        "spec.params.providerUrl": {"providerUrl": "http://lists/a"},
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
