"""What destination rules are refused for, in Istio's words, and what is let pass with a warning or without."""

from __future__ import annotations

import pytest

from galley.validate import validate
from tests.unit.galley.documents import destination_rule, document

BALANCER = "trafficPolicy.loadBalancer."


def rule(policy: str, more: str = "") -> str:
    """A document with that traffic policy; `more` are further fields of its spec."""
    return destination_rule(f"host: a\ntrafficPolicy: {policy}\n{more}")


def balancer(settings: str, more: str = "") -> str:
    return rule(f"{{loadBalancer: {settings}{more}}}")


def hashing(settings: str) -> str:
    return balancer(f"{{consistentHash: {settings}}}")


def locality(settings: str) -> str:
    return balancer(f"{{localityLbSetting: {settings}}}", ", outlierDetection: {}")


def distribute(to: str) -> str:
    return locality(f"{{distribute: [{{from: eu, to: {to}}}]}}")


PASSING = [
    hashing("{httpHeaderName: x-user}"),
    hashing("{httpQueryParameterName: user, ringHash: {minimumRingSize: 8388608}}"),
    hashing("{useSourceIp: true, maglev: {tableSize: 65537}}"),
    hashing("{httpCookie: {name: seat, path: /, ttl: 0s, attributes: [{name: SameSite, value: Lax}, {name: Secure}]}}"),
    balancer("{simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 0, aggression: 1}}"),
    balancer("{warmup: {duration: 30s}}"),
    locality("{failover: [{from: eu, to: us}, {from: us, to: eu}]}"),
    locality("{failoverPriority: [rack, 'topology.kubernetes.io/region=eu']}"),
    locality("{failover: [{from: eu, to: us}], failoverPriority: [rack]}"),
    locality("{enabled: false}"),
    distribute("{eu/eu-1/*: 70, eu/eu-2: 20, '*': 10}").replace(", '*': 10", ", us/*: 10"),
    rule("{connectionPool: {http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 5}}}"),
    rule("{connectionPool: {http: {useClientProtocol: true, http2KeepAlive: {interval: 10s, timeout: 1s}}}}"),
    rule("{outlierDetection: {outlierDetectionHttpErrorCodes: [429, 503]}}"),
    rule("{tls: {mode: SIMPLE}}"),
    rule("{tls: {mode: SIMPLE, insecureSkipVerify: true, sni: a.example}}"),
    rule("{tls: {mode: MUTUAL, clientCertificate: /c.pem, privateKey: /c.key, caCertificates: /ca, caCrl: /crl}}"),
    rule("{tunnel: {targetHost: db.internal, targetPort: 5432}}"),
    rule("{tunnel: {protocol: POST, targetHost: 10.0.0.1, targetPort: 1}}"),
    rule("{proxyProtocol: {version: V2}}"),
    rule("{retryBudget: {percent: 100, minRetryConcurrency: 0, budgetInterval: 1s}}"),
    rule("{tls: {}}", "exportTo: ['.', shop]\n"),
    rule("{tls: {}}", "exportTo: ['.']\nworkloadSelector: {matchLabels: {app: shop}}\n"),
]


@pytest.mark.parametrize("text", PASSING)
def test_what_is_right_passes(text: str) -> None:
    assert [str(problem) for problem in validate(document(text)).problems] == []


REFUSED = [
    (hashing("{}"), BALANCER + "consistentHash says nothing to hash"),
    (hashing("{useSourceIp: false}"), "consistentHash says nothing to hash"),
    (hashing("{httpHeaderName: 'x user'}"), "httpHeaderName 'x user' is not a valid header name"),
    (hashing("{httpHeaderName: ''}"), "httpHeaderName '' is not a valid header name"),
    (hashing("{httpQueryParameterName: ''}"), "httpQueryParameterName is empty"),
    (hashing("{httpHeaderName: a, useSourceIp: true}"), "sets httpHeaderName and useSourceIp, of which only one"),
    (hashing("{httpCookie: {ttl: 1s}}"), "httpCookie.name name required for httpCookie"),
    (hashing("{httpCookie: {name: 'a;b'}}"), "httpCookie.name 'a;b' is not a valid cookie name"),
    (hashing("{httpCookie: {name: a, ttl: -1s}}"), "httpCookie.ttl must be at least 0s"),
    (
        hashing("{httpCookie: {name: a, ttl: 1s, attributes: [{name: ''}]}}"),
        "httpCookie.attributes[0].name '' is not a valid attribute name",
    ),
    (
        hashing("{httpCookie: {name: a, ttl: 1s, attributes: [{name: b, value: 'c;d'}]}}"),
        "httpCookie.attributes[0].value 'c;d' is not a valid attribute value",
    ),
    (hashing("{useSourceIp: true, ringHash: {minimumRingSize: 8388609}}"), "ringHash.minimumRingSize must be at most"),
    (hashing("{useSourceIp: true, ringHash: {}, maglev: {tableSize: 7}}"), "sets ringHash and maglev"),
    (hashing("{useSourceIp: true, maglev: {}}"), "maglev.tableSize must be set for maglev"),
    (hashing("{useSourceIp: true, maglev: {tableSize: 65536}}"), "must be a prime number for maglev, 65536 is none"),
    (hashing("{useSourceIp: true, maglev: {tableSize: 1}}"), "must be a prime number for maglev"),
    (hashing("{useSourceIp: true, maglev: {tableSize: 5000011}}"), "must be less than 5000011 for maglev"),
    (balancer("{warmup: {}}"), "warmup.duration duration is required"),
    (balancer("{warmup: {duration: 0s}}"), "warmup.duration must be at least 0.001s"),
    (balancer("{warmup: {duration: 1s, minimumPercent: 101}}"), "warmup.minimumPercent percentage 101"),
    (balancer("{warmup: {duration: 1s, aggression: 0.5}}"), "warmup.aggression must be at least 1, not 0.5"),
    (balancer("{simple: RANDOM, warmup: {duration: 1s}}"), "warmup works with ROUND_ROBIN and LEAST_REQUEST only"),
    (
        balancer("{consistentHash: {useSourceIp: true}, warmup: {duration: 1s}}"),
        "warmup works with ROUND_ROBIN and LEAST_REQUEST only",
    ),
    (
        locality("{distribute: [{from: eu, to: {eu: 100}}], failover: [{from: eu, to: us}]}"),
        "localityLbSetting can not simultaneously specify 'distribute' and 'failover'",
    ),
    (
        locality("{distribute: [{from: eu, to: {eu: 100}}], failoverPriority: [rack]}"),
        "localityLbSetting can not simultaneously specify 'distribute' and 'failoverPriority'",
    ),
    (distribute("{eu: 60, us: 30}"), "distribute[0].to total locality weight 90 != 100"),
    (distribute("{eu: 100, us: 0}"), "distribute[0].to.us locality weight must be in range [1, 100], it is 0"),
    (distribute("{}"), "distribute[0].to total locality weight 0 != 100"),
    (distribute("{eu: 50, eu/eu-1: 50}"), "locality 'eu/eu-1' overlaps with 'eu'"),
    (distribute("{eu/*: 50, eu/eu-1: 50}"), "locality 'eu/eu-1' overlaps with 'eu/*'"),
    (distribute("{'*': 50, us: 50}"), "locality 'us' overlaps with '*'"),
    (distribute("{eu/eu-*/a: 100}"), "wildcard '*' number can not exceed 1 and must be in the end"),
    (distribute("{eu//a: 100}"), "must not contain empty region/zone/subzone info"),
    (
        locality("{distribute: [{from: eu, to: {eu: 100}}, {from: eu/eu-1, to: {eu: 100}}]}"),
        "distribute[1].from locality 'eu/eu-1' overlaps with 'eu'",
    ),
    (locality("{failover: [{from: eu, to: eu}]}"), "failover settings must specify different regions"),
    (locality("{failover: [{from: eu, to: us/us-1}]}"), "locality lb failover only specify region"),
    (locality("{failover: [{from: 'e*', to: us}]}"), "failover[0].from 'e*': locality lb failover region should not"),
    (locality("{failover: [{from: eu}]}"), "failover[0].to is empty"),
    (
        locality("{failover: [{from: eu, to: us}], failoverPriority: [topology.kubernetes.io/zone]}"),
        "can not simultaneously set 'failover' and topology label 'topology.kubernetes.io/zone'",
    ),
    (locality("{failoverPriority: ['=a']}"), "failoverPriority[0] '=a' names no label"),
    (locality(f"{{failoverPriority: [{','.join('abcdefghijklmnopqrstuvwxy')}]}}".replace(",n,", ",nn,")), "25 labels"),
    (rule("{}"), "spec.trafficPolicy traffic policy must have at least one field"),
    (rule("{portLevelSettings: [{port: {number: 1}}]}"), "portLevelSettings[0] port traffic policy must have at least"),
    (
        rule("{connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}}"),
        "useClientProtocol use client protocol must not be true when h2UpgradePolicy is UPGRADE",
    ),
    (rule("{connectionPool: {http: {maxConcurrentStreams: -1}}}"), "maxConcurrentStreams must not be negative"),
    (rule("{connectionPool: {http: {http2KeepAlive: {interval: 1s}}}}"), "http2KeepAlive.timeout is missing"),
    (rule("{connectionPool: {http: {http2KeepAlive: {timeout: 1s}}}}"), "http2KeepAlive.interval is missing"),
    (rule("{connectionPool: {http: {http2KeepAlive: {interval: 0s, timeout: 1s}}}}"), "interval must be at least"),
    (rule("{outlierDetection: {outlierDetectionHttpErrorCodes: [99]}}"), "Codes[0] 99 is not an HTTP status"),
    (rule("{tls: {mode: MUTUAL}}"), "tls.clientCertificate client certificate required for mutual tls"),
    (rule("{tls: {mode: MUTUAL, clientCertificate: /c}}"), "tls.privateKey private key required for mutual tls"),
    (
        rule("{tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /c}}"),
        "cannot specify caCertificates when insecureSkipVerify is set true",
    ),
    (
        rule("{tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}}"),
        "cannot specify subjectAltNames when insecureSkipVerify is set true",
    ),
    (rule("{tls: {mode: SIMPLE, subjectAltNames: ['']}}"), "subjectAltNames[0] is empty"),
    (rule(f"{{tls: {{mode: SIMPLE, sni: {'a' * 256}}}}}"), "tls.sni must be at most 255 characters, it has 256"),
    (rule("{tls: {mode: SIMPLE, credentialName: a/b}}"), "credentialName 'a/b' is not a valid name"),
    (
        rule("{tls: {mode: MUTUAL, credentialName: a, privateKey: /k}}"),
        "privateKey should not be specified along with credentialName",
    ),
    (rule("{tunnel: {protocol: GET, targetHost: a, targetPort: 1}}"), 'tunnel protocol must be "CONNECT" or "POST"'),
    (rule("{tunnel: {targetPort: 1}}"), "tunnel.targetHost is an empty host"),
    (rule("{tunnel: {targetHost: '*.a', targetPort: 1}}"), "tunnel.targetHost '*.a' has a wildcard"),
    (rule("{tunnel: {targetHost: a}}"), "tunnel.targetPort port number 0 must be in the range 1..65535"),
    (
        rule("{tunnel: {targetHost: a, targetPort: 1}, proxyProtocol: {}}"),
        "tunnel and proxyProtocol must not be set together",
    ),
    (rule("{retryBudget: {percent: 101}}"), "retryBudget.percent percentage 101"),
    (rule("{retryBudget: {budgetInterval: 0s}}"), "retryBudget.budgetInterval must be at least 0.001s"),
    (rule("{tls: {}}", "exportTo: ['~']\n"), "exportTo[0] '~' (nobody) is not allowed"),
    (rule("{tls: {}}", "exportTo: ['*', a]\n"), "exportTo has '*' beside other namespaces"),
    (
        rule("{tls: {}}", "exportTo: ['*']\nworkloadSelector: {matchLabels: {a: b}}\n"),
        "exportTo a rule with a workloadSelector is not exported beyond its own namespace",
    ),
    (rule("{tls: {}}", "workloadSelector: {matchLabels: {a: 'b*'}}\n"), "wildcard is not supported in selector"),
    (rule("{tls: {}}", "workloadSelector: {matchLabels: {'': b}}\n"), "matchLabels has an empty label name"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message[-60:] for _, message in REFUSED])
def test_what_is_wrong_is_refused_and_said(text: str, message: str) -> None:
    verdict = validate(document(text))
    assert verdict.object is None
    assert any(message in problem.message for problem in verdict.problems if not problem.warning)
    assert all(problem.mend or "must" in problem.message or "range" in problem.message for problem in verdict.problems)


WARNED = [
    (hashing("{useSourceIp: true, minimumRingSize: 2048}"), "minimumRingSize is deprecated"),
    (
        hashing("{httpCookie: {name: a, attributes: [{name: b}]}}"),
        "httpCookie.attributes has no effect without ttl: the proxy then sets no cookie",
    ),
    (balancer("{warmupDurationSecs: 30s}"), "warmupDurationSecs is deprecated"),
    (
        balancer("{localityLbSetting: {failover: [{from: eu, to: us}]}}"),
        "localityLbSetting outlier detection policy must be provided for failover",
    ),
    (rule("{tls: {mode: DISABLE, sni: a}}"), "tls.sni has no effect with mode DISABLE"),
    (rule("{tls: {mode: SIMPLE, privateKey: /k}}"), "tls.privateKey has no effect with mode SIMPLE"),
    (
        rule("{retryBudget: {}, connectionPool: {http: {maxRetries: 3}}}"),
        "connectionPool.http.maxRetries has no effect beside retryBudget",
    ),
    (rule("{tls: {}}", "workloadSelector: {}\n"), "workloadSelector workload selector specified without labels"),
]


@pytest.mark.parametrize(("text", "message"), WARNED, ids=[message[-60:] for _, message in WARNED])
def test_what_has_no_effect_is_warned_of_and_accepted(text: str, message: str) -> None:
    verdict = validate(document(text))
    assert verdict.object is not None
    (problem,) = verdict.problems
    assert problem.warning
    assert message in problem.message
