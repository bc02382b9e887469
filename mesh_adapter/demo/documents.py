"""What the demo writes for the control plane to read: a file of services and a file of rules. Pure.

The rules are meant to be read and edited by people who see such a file for the first time, hence the comments in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mesh_adapter.demo.topology import CALLS, LOOPBACK, NAMESPACE, SERVICE_PORT, SPLIT, Topology, host

_RULES = """\
# Istio's own kinds. The control plane watches this file: save it, and every Envoy follows within moments.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {service}
  namespace: {namespace}
spec:
  hosts: [{host}]
  http:
  - route:
{routes}
    # A request that meets a broken instance is tried again on another one.
    retries:
      attempts: 3
      perTryTimeout: 2s
      retryOn: connect-failure,refused-stream,reset,gateway-error
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {service}
  namespace: {namespace}
spec:
  host: {host}
  trafficPolicy:
    # An instance that fails twice in a row gets no traffic for a while.
    outlierDetection:
      consecutiveGatewayErrors: 2
      interval: 1s
      baseEjectionTime: 30s
      maxEjectionPercent: 100
  subsets:
{subsets}
"""


def rules(weights: Mapping[str, int]) -> str:
    """A VirtualService and a DestinationRule for the service that is split, with a weight for each version."""
    return _RULES.format(
        service=SPLIT,
        host=host(SPLIT),
        namespace=NAMESPACE,
        routes="\n".join(_route(version, weight) for version, weight in weights.items()),
        subsets="\n".join(f"  - name: {version}\n    labels: {{version: {version}}}" for version in weights),
    )


def _route(version: str, weight: int) -> str:
    return f"    - destination: {{host: {host(SPLIT)}, subset: {version}}}\n      weight: {weight}"


def services(mesh: Topology) -> str:
    """Every instance at its Envoy's inbound port: peers never reach the service but through it."""
    return "# Where the services live: what Consul or Nomad would tell.\n" + "\n".join(_services(mesh)) + "\n"


def _services(mesh: Topology) -> Iterator[str]:
    yield "services:"
    for service in CALLS:
        yield f"- name: {host(service)}"
        yield f"  namespace: {NAMESPACE}"
        yield "  ports:"
        yield f"  - {{name: http, port: {SERVICE_PORT}, protocol: HTTP}}"
        yield "  endpoints:"
        for each in mesh.of(service):
            yield f"  - {{address: {LOOPBACK}, port: {each.inbound_port}, labels: {{version: {each.version}}}}}"
