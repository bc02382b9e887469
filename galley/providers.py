"""What extension providers are for, and those that are there untold: for checks, analysis and planning. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from galley.config import Config
from galley.decode import wire_name
from galley.kinds.mesh_config import (
    EnvoyFileAccessLogProvider,
    ExtensionProvider,
    MeshConfig,
    PrometheusProvider,
)

TRACING = frozenset({"zipkin", "opentelemetry"})
LOGGING = frozenset({"envoyFileAccessLog", "envoyHttpAls", "envoyTcpAls", "envoyOtelAls"})
METRICS = frozenset({"prometheus"})
STDOUT = "/dev/stdout"
BUILT_IN = (
    ExtensionProvider("envoy", envoy_file_access_log=EnvoyFileAccessLogProvider(STDOUT)),
    ExtensionProvider("prometheus", prometheus=PrometheusProvider()),
)
"""Istio's own; a provider of that name in MeshConfig takes the place."""


def members(provider: ExtensionProvider) -> Iterator[tuple[str, object]]:
    """The fields in YAML's words that say what it is, with what they hold; one if the document is sound."""
    for field in attrs.fields(ExtensionProvider):
        value = getattr(provider, field.name)
        if field.name != "name" and value is not None:
            yield wire_name(field.name, None), value


def described(provider: ExtensionProvider) -> object:
    """What the provider is."""
    return next((value for _, value in members(provider)), None)


def mesh_config(config: Config) -> MeshConfig:
    """The one that counts; the defaults where there is none."""
    return config.mesh_configs[0].spec if config.mesh_configs else MeshConfig()


def providers(mesh: MeshConfig) -> dict[str, ExtensionProvider]:
    """By name."""
    return {each.name: each for each in (*BUILT_IN, *mesh.extension_providers)}
