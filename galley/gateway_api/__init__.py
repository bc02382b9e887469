"""The Gateway API carried out: its objects become Gateways and VirtualServices of Istio's kinds, and statuses. Pure.

Why this way: docs/adr/0012-gateway-api-by-translation.md. Called by `pilot.plan.index` with each snapshot.
"""
