"""Decides which Telemetry objects hold for a proxy, and what they come to for one side of its calls. Pure.

Istio's rules: one object of the root namespace without a selector, then one of the proxy's namespace, then one that
selects the workload; each is wider than the next, and of several the first by name counts. What a narrower one says of
tracing overrides the wider one field by field; providers of logs that it names take the place of the wider one's.
Only where no object says anything of logs does MeshConfig's `accessLogFile` count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from galley.config import ConfigObject
from galley.kinds import telemetry as kind
from galley.kinds.mesh_config import (
    AccessLogEncoding,
    DefaultProviders,
    EnvoyFileAccessLogProvider,
    LogFormat,
    MeshConfig,
)
from galley.kinds.selector import references
from galley.providers import described, mesh_config, providers
from galley.schema import Struct
from pilot import ir
from pilot.model.proxy import OutboundView, ProxyView
from pilot.plan.index import Index
from pilot.plan.observers import access_log, tracing
from pilot.plan.targets import aims_at

Telemetry = ConfigObject[kind.Telemetry]
CLIENT, SERVER = kind.WorkloadMode.CLIENT, kind.WorkloadMode.SERVER


def telemetry_for(index: Index, view: ProxyView) -> tuple[str, ...]:
    """Names of the objects for a view whose labels are all there and whose `gateways` are known, wider ones first."""
    if not index.config.telemetries or view.proxyless:
        return ()
    own = [each for each in index.config.telemetries if each.namespace == view.outbound.namespace]
    root = [each for each in index.config.telemetries if each.namespace == index.peers.root_namespace]
    wider = (next((each for each in found if not _selective(each.spec)), None) for found in (root, own))
    narrow = next((each for each in own if _selective(each.spec) and _selects(each, view)), None)
    found = dict.fromkeys(_name(each) for each in (*wider, narrow) if each is not None)
    return tuple(found)


def _name(each: Telemetry) -> str:
    return f"{each.namespace}/{each.name}"


def _selective(spec: kind.Telemetry) -> bool:
    return bool(references(spec.target_ref, spec.target_refs) or (spec.selector and spec.selector.match_labels))


def _selects(each: Telemetry, view: ProxyView) -> bool:
    spec = each.spec
    targets = references(spec.target_ref, spec.target_refs)
    return aims_at(spec.selector, targets, each.namespace, view.outbound.labels, view.gateways)


def observed(
    index: Index, view: OutboundView, listeners: Iterable[ir.Listener], mode: kind.WorkloadMode
) -> tuple[ir.Listener, ...]:
    """The listeners with what is to be told of their traffic; `mode` is the side that the workload is on there."""
    objects = _objects(index, view)
    logs = tuple(_access_logs(index, view, objects, mode))
    spans = _tracing(index, view, objects, mode)
    if not logs and spans is None:
        return tuple(listeners)
    return tuple(_with(each, logs, spans) for each in listeners)


def _objects(index: Index, view: OutboundView) -> tuple[kind.Telemetry, ...]:
    by_name = {_name(each): each.spec for each in index.config.telemetries} if view.telemetry else {}
    return tuple(by_name[name] for name in view.telemetry if name in by_name)


def _with(listener: ir.Listener, logs: tuple[ir.AccessLog, ...], spans: ir.Tracing | None) -> ir.Listener:
    def told(
        found: ir.HttpConnectionManager | ir.TcpProxy,
    ) -> ir.HttpConnectionManager | ir.TcpProxy:
        if isinstance(found, ir.TcpProxy):
            return attrs.evolve(found, access_logs=tuple(each for each in logs if each.kind is not _OF_REQUESTS))
        of_requests = tuple(each for each in logs if each.kind is not _OF_CONNECTIONS)
        return attrs.evolve(found, access_logs=of_requests, tracing=spans)

    chains = tuple(attrs.evolve(chain, filter=told(chain.filter)) for chain in listener.chains)
    return attrs.evolve(listener, chains=chains)


_OF_REQUESTS, _OF_CONNECTIONS = ir.LogKind.GRPC_HTTP, ir.LogKind.GRPC_TCP


def _counts(match: kind.ModeSelector | None, mode: kind.WorkloadMode) -> bool:
    return match is None or match.mode in (kind.WorkloadMode.CLIENT_AND_SERVER, mode)


def _access_logs(
    index: Index, view: OutboundView, objects: tuple[kind.Telemetry, ...], mode: kind.WorkloadMode
) -> Iterator[ir.AccessLog]:
    mesh = mesh_config(index.config)
    known = providers(mesh)
    conditions = _conditions(mesh, objects, mode)
    if conditions is None:
        default = _default_log(mesh)
        found = access_log(index, view, default, "") if default else None
        yield from [found] if found else []
        return
    for name, condition in conditions.items():
        found = access_log(index, view, described(known[name]) if name in known else None, condition)
        if found is not None:
            yield found


def _conditions(
    mesh: MeshConfig, objects: tuple[kind.Telemetry, ...], mode: kind.WorkloadMode
) -> dict[str, str] | None:
    """Providers in force with the condition of each; None where neither objects nor default providers say any."""
    inherited = (mesh.default_providers or DefaultProviders()).access_logging
    said = [logging for each in objects for logging in each.access_logging]
    if not said:
        return dict.fromkeys(inherited, "") if inherited else None
    found: dict[str, str] = dict.fromkeys(inherited, "")
    for each in (each for each in objects if each.access_logging):
        named = [reference.name for logging in each.access_logging for reference in logging.providers]
        if named:
            found = {name: condition for name, condition in found.items() if name in named}
        for logging in each.access_logging:
            names = tuple(reference.name for reference in logging.providers) or inherited
            if _counts(logging.match, mode):
                _apply(found, names, logging)
        inherited = tuple(dict.fromkeys(named)) or inherited
    return found


def _apply(found: dict[str, str], names: Iterable[str], logging: kind.AccessLogging) -> None:
    for name in names:
        if logging.disabled:
            found.pop(name, None)
        else:
            found[name] = logging.filter.expression if logging.filter else ""


def _default_log(mesh: MeshConfig) -> EnvoyFileAccessLogProvider | None:
    if not mesh.access_log_file:
        return None
    if mesh.access_log_encoding is AccessLogEncoding.JSON:
        form = LogFormat(labels=Struct(mesh.access_log_format or "{}"))
    else:
        form = LogFormat(mesh.access_log_format)
    return EnvoyFileAccessLogProvider(mesh.access_log_file, form)


def _tracing(
    index: Index, view: OutboundView, objects: tuple[kind.Telemetry, ...], mode: kind.WorkloadMode
) -> ir.Tracing | None:
    mesh = mesh_config(index.config)
    defaults = mesh.default_providers or DefaultProviders()
    spec = kind.Tracing(providers=tuple(map(kind.ProviderRef, defaults.tracing)))
    for each in (each for found in objects for each in found.tracing if _counts(each.match, mode)):
        said = {field.name: getattr(each, field.name) for field in attrs.fields(kind.Tracing)}
        spec = attrs.evolve(spec, **{name: value for name, value in said.items() if value not in (None, ())})
    if spec.disable_span_reporting or not spec.providers:
        return None
    provider = providers(mesh).get(spec.providers[0].name)
    return tracing(index, view, described(provider), spec) if provider else None
