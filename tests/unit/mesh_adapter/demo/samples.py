"""Requests for tests, made from what is said of them."""

from __future__ import annotations

from mesh_adapter.demo.sample import Hop, Sample


def hop(service: str = "reviews", version: str = "v1", instance: str = "", ms: float = 1.0, ok: bool = True) -> Hop:
    return Hop(service, version, instance or f"{service}-{version}", ms, ok)


def sample(*hops: Hop, sent: float = 0.0, error: str = "") -> Sample:
    return Sample(sent, hops, error)
