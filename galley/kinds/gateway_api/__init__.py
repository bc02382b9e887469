"""The kinds of the Kubernetes Gateway API (gateway.networking.k8s.io), field by field. Data only."""

GATEWAY_API = "gateway.networking.k8s.io"
CORE = ""
"""The group of Kubernetes' own kinds, Service and Secret among them."""
