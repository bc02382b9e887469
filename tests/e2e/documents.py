"""Configuration documents that several families of behaviour tests write."""

from __future__ import annotations

from collections.abc import Mapping

_RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {service}}}
spec:
  host: {service}.service.consul
  trafficPolicy: {policy}
"""


def destination_rules(policies: Mapping[str, str]) -> str:
    """A rule for each service by its name; a policy is YAML in flow style, `{retryBudget: {percent: 0}}`."""
    return "---".join(_RULE.format(service=service, policy=policy) for service, policy in policies.items())
