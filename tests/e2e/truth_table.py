"""Sets of policies and requests whose verdicts follow from Istio's documentation: the rows of a truth table.

Each set is tried with every request. `EXPECTED` names, for some rows, what the documentation says outright; the others
are what two independent readings of it, our evaluator's and Envoy's, have to agree on.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from galley.config import ConfigObject
from galley.document import Document
from galley.kinds.authorization_policy import AuthorizationPolicy
from galley.validate import validate
from pilot.verdict import Request

TRUST_DOMAINS = ("cluster.local", "old.example")
PRINCIPALS: Mapping[str, str] = {
    "nobody": "",
    "web": "cluster.local/ns/default/sa/web",
    "admin": "cluster.local/ns/ops/sa/admin",
    "moved": "old.example/ns/default/sa/web",
    "foreign": "far.example/ns/default/sa/web",
}

SETS: Mapping[str, str] = {
    "none": "",
    "allow-nothing": "{}",
    "allow-all": "{rules: [{}]}",
    "deny-all": "{action: DENY, rules: [{}]}",
    "principal": "{rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]}]}",
    "principal-any": "{rules: [{from: [{source: {principals: ['*']}}]}]}",
    "principal-prefix": "{rules: [{from: [{source: {principals: ['cluster.local/ns/ops/*']}}]}]}",
    "principal-suffix": "{rules: [{from: [{source: {principals: ['*/sa/web']}}]}]}",
    "principal-foreign": "{rules: [{from: [{source: {principals: [far.example/ns/default/sa/web]}}]}]}",
    "deny-strangers": "{action: DENY, rules: [{from: [{source: {notPrincipals: ['*']}}]}]}",
    "deny-suffix": "{action: DENY, rules: [{from: [{source: {principals: ['*/sa/admin']}}]}]}",
    "not-principal": "{rules: [{from: [{source: {notPrincipals: ['*/sa/web']}}]}]}",
    "namespace": "{rules: [{from: [{source: {namespaces: [ops]}}]}]}",
    "namespace-glob": "{action: DENY, rules: [{from: [{source: {namespaces: ['def*']}}]}]}",
    "not-namespace": "{action: DENY, rules: [{from: [{source: {notNamespaces: [ops]}}]}]}",
    "account": "{rules: [{from: [{source: {serviceAccounts: [web, ops/admin]}}]}]}",
    "trust-domain": "{rules: [{from: [{source: {trustDomains: [far.example]}}]}]}",
    "not-trust-domain": "{rules: [{from: [{source: {notTrustDomains: [far.example], principals: ['*']}}]}]}",
    "ip": "{rules: [{from: [{source: {ipBlocks: [127.0.0.0/8], notIpBlocks: [127.0.0.2]}}]}]}",
    "not-ip": "{action: DENY, rules: [{from: [{source: {notIpBlocks: [127.0.0.1]}}]}]}",
    "remote-ip": "{rules: [{from: [{source: {remoteIpBlocks: [192.0.2.0/24]}}]}]}",
    "not-remote-ip": "{action: DENY, rules: [{from: [{source: {notRemoteIpBlocks: [192.0.2.7]}}]}]}",
    "sources": "{rules: [{from: [{source: {namespaces: [ops], ipBlocks: [10.0.0.0/8]}},"
    " {source: {principals: ['*/sa/web']}}]}]}",
    "method": "{rules: [{to: [{operation: {methods: [GET, 'P*']}}]}]}",
    "not-method": "{action: DENY, rules: [{to: [{operation: {notMethods: [GET]}}]}]}",
    "path": "{rules: [{to: [{operation: {paths: [/admin, '/api/*', '*.html']}}]}]}",
    "not-path": "{rules: [{to: [{operation: {notPaths: ['/admin*']}}]}]}",
    "deny-path": "{action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}",
    "template": "{rules: [{to: [{operation: {paths: ['/api/{*}/items', '/files/{**}']}}]}]}",
    "host": "{rules: [{to: [{operation: {hosts: [web.example, '*.org']}}]}]}",
    "deny-host": "{action: DENY, rules: [{to: [{operation: {hosts: [web.example]}}]}]}",
    "not-host": "{rules: [{to: [{operation: {notHosts: [web.example]}}]}]}",
    "deny-not-host": "{action: DENY, rules: [{to: [{operation: {notHosts: [web.example]}}]}]}",
    "port": "{rules: [{to: [{operation: {ports: ['8080']}}]}]}",
    "other-port": "{rules: [{to: [{operation: {ports: ['9090']}}]}]}",
    "not-port": "{action: DENY, rules: [{to: [{operation: {notPorts: ['9090'], methods: [POST]}}]}]}",
    "header": "{rules: [{when: [{key: 'request.headers[X-Tenant]', values: [a, 'b*']}]}]}",
    "header-present": "{rules: [{when: [{key: 'request.headers[x-tenant]', values: ['*']}]}]}",
    "not-header": "{action: DENY, rules: [{when: [{key: 'request.headers[x-tenant]', notValues: [a]}]}]}",
    "when-namespace": "{rules: [{when: [{key: source.namespace, values: [default], notValues: [ops]}]}]}",
    "when-principal": "{rules: [{when: [{key: source.principal, values: ['*/sa/admin']}]}]}",
    "when-ip": "{rules: [{when: [{key: source.ip, values: [127.0.0.1]}, {key: remote.ip, notValues: [192.0.2.7]}]}]}",
    "when-destination": "{rules: [{when: [{key: destination.port, values: ['8080']},"
    " {key: destination.ip, values: [127.0.0.0/8]}]}]}",
    "when-sni": "{rules: [{when: [{key: connection.sni, values: ['*.sni.example']}]}]}",
    "token": "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}",
    "deny-no-token": "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}],"
    " to: [{operation: {methods: [POST]}}]}]}",
    "claim": "{rules: [{when: [{key: 'request.auth.claims[group]', values: [a]}]}]}",
    "unknown-allow": "{rules: [{when: [{key: experimental.envoy.filters.x, values: [a]}]}]}",
    "unknown-deny": "{action: DENY, rules: [{to: [{operation: {methods: [POST]}}],"
    " when: [{key: experimental.x, values: [a]}]}]}",
    "all-of": "{rules: [{from: [{source: {principals: ['*']}}],"
    " to: [{operation: {methods: [GET], paths: ['/api/*']}}],"
    " when: [{key: 'request.headers[x-tenant]', values: ['*']}]}]}",
    "audit": "{action: AUDIT, rules: [{}]}",
    "custom": "{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}",
    "several": "{action: DENY, rules: [{from: [{source: {namespaces: [ops]}}],"
    " to: [{operation: {methods: [POST]}}]}]}\n---\n"
    "{rules: [{from: [{source: {principals: ['*']}}]}]}\n---\n{rules: [{to: [{operation: {paths: [/healthz]}}]}]}",
    "trial": "{dry-run}{action: DENY, rules: [{}]}\n---\n{rules: [{to: [{operation: {methods: [GET]}}]}]}",
    "trial-alone": "{dry-run}{}",
}


def policies(text: str) -> tuple[ConfigObject[AuthorizationPolicy], ...]:
    """The objects of a set, all of namespace default."""
    found = []
    for number, each in enumerate(text.split("\n---\n") if text else ()):
        trial = each.startswith("{dry-run}")
        metadata = {"name": f"p{number}", "annotations": {"istio.io/dry-run": "true"} if trial else {}}
        body = {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": metadata,
            "spec": yaml.safe_load(each.removeprefix("{dry-run}")),
        }
        checked = validate(Document("table.yaml", body, {}))
        assert checked.object is not None, [str(problem) for problem in checked.problems]
        found.append(checked.object)
    return tuple(found)


REQUESTS: tuple[Request, ...] = (
    Request(),
    Request(path="/admin", host="web.example"),
    Request(path="/admin/x", host="WEB.example:8080", headers={"x-tenant": "a"}),
    Request(path="/api/a/items", host="shop.org", headers={"x-tenant": "bee"}),
    Request(path="/files/a/b", host="web.example.", method="PUT"),
    Request(path="/healthz", method="POST", host="sub.web.example"),
    Request(path="/page.html", method="DELETE", remote_ip="192.0.2.7", headers={"X-TENANT": "c"}),
    Request(path="/Admin", method="POST", remote_ip="192.0.2.9", host="web.example.evil.com"),
    Request(path="/page.html", host="web.example,shop.org"),
    Request(path="/healthz", host="user@web.example"),
    Request(path="/healthz", host="[::1]:80"),
    Request(path="/healthz", host="Web.Example:"),
)
"""Each is asked by everybody of PRINCIPALS."""
