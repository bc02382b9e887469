"""What a MeshConfig must hold beyond its types: providers that Envoy can be told of, and names that lead to one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from galley.checks.log_format import check_json_format, check_log_format
from galley.checks.values import check_dns_label, check_host, check_port
from galley.document import Path
from galley.finding import Finding
from galley.kinds.mesh_config import (
    AccessLogEncoding,
    EnvoyFileAccessLogProvider,
    EnvoyHttpGrpcV3LogProvider,
    EnvoyOpenTelemetryLogProvider,
    EnvoyTcpGrpcV3LogProvider,
    ExtensionProvider,
    LogFormat,
    MeshConfig,
    OpenTelemetryProvider,
    ZipkinProvider,
)
from galley.providers import BUILT_IN, LOGGING, METRICS, TRACING, members

_Served = (
    ZipkinProvider
    | OpenTelemetryProvider
    | EnvoyHttpGrpcV3LogProvider
    | EnvoyTcpGrpcV3LogProvider
    | EnvoyOpenTelemetryLogProvider
)

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")


def check_mesh_config(spec: MeshConfig) -> Iterator[Finding]:
    """All findings of one MeshConfig, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from _trust_domain(spec.trust_domain, (*path, "trustDomain"))
    for index, name in enumerate(spec.trust_domain_aliases):
        yield from _trust_domain(name, (*path, "trustDomainAliases", index))
    yield from check_dns_label(spec.root_namespace, (*path, "rootNamespace"))
    yield from _file(spec.access_log_file, (*path, "accessLogFile"), needed=False)
    yield from _default_format(spec, (*path, "accessLogFormat"))
    seen: set[str] = set()
    for index, provider in enumerate(spec.extension_providers):
        here = (*path, "extensionProviders", index)
        if provider.name in seen:
            yield Finding((*here, "name"), f"{provider.name!r} is given twice", "keep one, or rename the other")
        seen.add(provider.name)
        yield from _provider(provider, here)
    if spec.default_providers is not None:
        defaults, here = spec.default_providers, (*path, "defaultProviders")
        yield from _named(spec, defaults.tracing, TRACING, (*here, "tracing"))
        yield from _named(spec, defaults.access_logging, LOGGING, (*here, "accessLogging"))
        yield from _named(spec, defaults.metrics, METRICS, (*here, "metrics"))
        if len(defaults.tracing) > 1:
            yield Finding((*here, "tracing"), "names several providers: spans go to one", "keep one")


def _file(name: str, path: Path, *, needed: bool) -> Iterator[Finding]:
    if (name and not name.startswith("/")) or (needed and not name):
        yield Finding(path, f"{name!r} is no absolute path", "write /dev/stdout, or the whole path of a file")


def _default_format(spec: MeshConfig, path: Path) -> Iterator[Finding]:
    text = spec.access_log_format
    if not text or spec.access_log_encoding is AccessLogEncoding.TEXT:
        yield from check_log_format(text, path)
        return
    try:
        found = json.loads(text)
    except ValueError as error:
        yield Finding(path, f"is no JSON: {error}", "write a JSON object, or accessLogEncoding: TEXT")
        return
    if isinstance(found, dict):
        yield from check_json_format(found, path)
    else:
        yield Finding(path, "is no JSON object", "write names and formats: {…}")


def _provider(provider: ExtensionProvider, path: Path) -> Iterator[Finding]:
    if not provider.name:
        yield Finding((*path, "name"), "is missing", "give it a name for Telemetry objects to use")
    found = tuple(members(provider))
    if not found:
        yield Finding(path, "describes no provider", "add one of zipkin, opentelemetry, envoyFileAccessLog, …")
    for field, value in found:
        here = (*path, field)
        if isinstance(value, _Served):
            yield from _service(value, here)
        if isinstance(value, EnvoyFileAccessLogProvider):
            yield from _file(value.path, (*here, "path"), needed=True)
            yield from _format(value.log_format, (*here, "logFormat"))
        if isinstance(value, EnvoyOpenTelemetryLogProvider):
            yield from _format(value.log_format, (*here, "logFormat"))
        if isinstance(value, ZipkinProvider) and value.path and not value.path.startswith("/"):
            yield Finding((*here, "path"), "is no absolute path of a URL", "write /api/v2/spans, or leave it out")


def _service(value: _Served, path: Path) -> Iterator[Finding]:
    """`NAMESPACE/HOST`, or a host."""
    namespace, slash, host = value.service.rpartition("/")
    if slash and not namespace:
        yield Finding((*path, "service"), "names no namespace before '/'", "write HOST or NAMESPACE/HOST")
    yield from check_host(host, (*path, "service"), wildcard=False)
    yield from check_port(value.port, (*path, "port"))


def _format(value: LogFormat | None, path: Path) -> Iterator[Finding]:
    if value is None:
        return
    yield from check_log_format(value.text, (*path, "text"))
    if value.labels is not None:
        yield from check_json_format(value.labels.plain(), (*path, "labels"))


def _named(spec: MeshConfig, names: Iterable[str], purpose: frozenset[str], path: Path) -> Iterator[Finding]:
    known = {provider.name: provider for provider in (*spec.extension_providers, *BUILT_IN)}
    for index, name in enumerate(names):
        found = known.get(name)
        if found is None:
            mend = f"there are {', '.join(sorted(known))}"
            yield Finding((*path, index), f"{name!r} is none of the extensionProviders", mend)
        elif not purpose.intersection(field for field, _ in members(found)):
            yield Finding(
                (*path, index), f"{name!r} is for something else", f"name one of {', '.join(sorted(purpose))}"
            )


def _trust_domain(name: str, path: Path) -> Iterator[Finding]:
    if not _TRUST_DOMAIN.fullmatch(name):
        yield Finding(path, f"{name[:80]!r} is no trust domain", "use small letters, digits, '.', '-' and '_'")
