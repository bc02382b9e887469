"""What a Gateway and a GatewayClass of the Gateway API must hold beyond their types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from galley.checks.gateway_api.references import check_hostname, check_kind, check_named
from galley.checks.values import check_dns_name
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway_api import CORE
from galley.kinds.gateway_api.gateway import (
    FromNamespaces,
    Gateway,
    LabelSelector,
    Listener,
    ListenerTLS,
    RouteNamespaces,
    SelectorOperator,
    TLSMode,
)
from galley.kinds.gateway_api.gateway_class import GatewayClass

CERTIFICATE = "mesh-adapter/server-certificate"
PRIVATE_KEY = "mesh-adapter/private-key"
CLIENT_CAS = "mesh-adapter/ca-certificates"
TERMINATE_MODE = "gateway.istio.io/tls-terminate-mode"
SIMPLE, MUTUAL, OPTIONAL_MUTUAL = "SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"
OPTIONS = (CERTIFICATE, PRIVATE_KEY, CLIENT_CAS, TERMINATE_MODE)
MOST_CERTIFICATES = 2
"""Envoy shows a client the one that it understands."""
PROTOCOLS = ("HTTP", "HTTPS", "TLS")
_CONTROLLER = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")


def check_gateway_class(spec: GatewayClass) -> Iterator[Finding]:
    """All findings of one GatewayClass."""
    path: Path = ("spec", "controllerName")
    if not _CONTROLLER.fullmatch(spec.controller_name):
        told = f"{spec.controller_name!r} is not a controller's name" if spec.controller_name else "is missing"
        yield Finding(path, told, "write DOMAIN/PATH, as in istio.io/gateway-controller")
    if len(spec.description) > 64:
        yield Finding(("spec", "description"), "is longer than 64 characters", "shorten it")


def check_gateway(spec: Gateway) -> Iterator[Finding]:
    """All findings of one Gateway."""
    if not spec.gateway_class_name:
        yield Finding(("spec", "gatewayClassName"), "is missing", "name the class, as in istio")
    path: Path = ("spec", "listeners")
    if not spec.listeners:
        yield Finding(path, "gateway must have at least one listener", "add one with name, port and protocol")
    for index, listener in enumerate(spec.listeners):
        yield from _listener(listener, (*path, index))
    yield from _beside_each_other(spec.listeners, path)


def _listener(listener: Listener, path: Path) -> Iterator[Finding]:
    if listener.name:
        yield from check_dns_name(listener.name, (*path, "name"))
    else:
        yield Finding((*path, "name"), "is missing", "name the listener, as in http")
    if not listener.port:
        yield Finding((*path, "port"), "is missing", "name the port to listen on")
    if listener.protocol not in PROTOCOLS:
        told = f"{listener.protocol!r} can't be served" if listener.protocol else "is missing"
        yield Finding(
            (*path, "protocol"), told, f"use one of {', '.join(PROTOCOLS)}; TCPRoute and UDPRoute are not read"
        )
    if listener.hostname:
        yield from check_hostname(listener.hostname, (*path, "hostname"))
    yield from _tls(listener, (*path, "tls"))
    yield from _namespaces(listener.allowed_routes.namespaces, (*path, "allowedRoutes", "namespaces"))
    for index, kind in enumerate(listener.allowed_routes.kinds):
        yield from check_kind(kind.group, kind.kind, (*path, "allowedRoutes", "kinds", index))


def _tls(listener: Listener, path: Path) -> Iterator[Finding]:
    tls = listener.tls
    if listener.protocol == "HTTP":
        if tls is not None:
            yield Finding(path, "tls must not be specified for protocol HTTP", "use protocol HTTPS, or remove it")
    elif tls is None:
        yield Finding(path, f"is missing, and needed for protocol {listener.protocol}", "say at least the mode")
    elif tls.mode is TLSMode.Terminate:
        yield from _terminating(tls, path)
    else:
        if listener.protocol == "HTTPS":
            yield Finding((*path, "mode"), "must be Terminate for protocol HTTPS", "use protocol TLS to pass TLS on")
        if tls.certificate_refs:
            yield Finding((*path, "certificateRefs"), "have no effect where TLS is passed on", "remove them")
        if tls.options:
            yield Finding((*path, "options"), "have no effect where TLS is passed on", "remove them")


def _terminating(tls: ListenerTLS, above: Path) -> Iterator[Finding]:
    options, path = dict(tls.options), (*above, "options")
    for key in options:
        if key not in OPTIONS:
            yield Finding((*path, key), "is not a known option", f"known are {', '.join(OPTIONS)}")
    for key in (CERTIFICATE, PRIVATE_KEY):
        if not options.get(key) and not tls.certificate_refs:
            mend = "name a file of the router's host, or a Secret by certificateRefs"
            yield Finding((*path, key), "is missing: TLS can't be ended without it", mend)
        elif options.get(key) and tls.certificate_refs:
            yield Finding((*path, key), "can't be given beside certificateRefs", "remove one of the two")
    yield from _secrets(tls, (*above, "certificateRefs"))
    yield from _mode(options, path, by_secret=bool(tls.certificate_refs))


def _secrets(tls: ListenerTLS, path: Path) -> Iterator[Finding]:
    if len(tls.certificate_refs) > MOST_CERTIFICATES:
        mend = "name one with an RSA key and one with an ECDSA key"
        yield Finding(path, f"has more than {MOST_CERTIFICATES} references", mend)
    for index, each in enumerate(tls.certificate_refs):
        here = (*path, index)
        yield from check_named(each.name, each.namespace, here)
        if each.name:
            yield from check_dns_name(each.name, (*here, "name"))
        if (each.group, each.kind) != (CORE, "Secret"):
            message = f"{each.group}/{each.kind} holds no certificate"
            yield Finding((*here, "kind"), message, 'known is Secret, with group: ""')


def _mode(options: Mapping[str, str], path: Path, *, by_secret: bool) -> Iterator[Finding]:
    mode = options.get(TERMINATE_MODE, MUTUAL if CLIENT_CAS in options else SIMPLE)
    if mode == "ISTIO_MUTUAL":
        message = (
            "ISTIO_MUTUAL is not supported by this version of mesh-adapter: proxies have no certificates of the mesh"
        )
        yield Finding((*path, TERMINATE_MODE), message, f"use {MUTUAL} with {CLIENT_CAS}")
    elif mode not in (SIMPLE, MUTUAL, OPTIONAL_MUTUAL):
        mend = f"use {SIMPLE}, {MUTUAL} or {OPTIONAL_MUTUAL}"
        yield Finding((*path, TERMINATE_MODE), f"{mode!r} is not a known mode", mend)
    elif by_secret and options.get(CLIENT_CAS):
        mend = f"put the CAs into that Secret, as ca.crt, and write {TERMINATE_MODE}: {MUTUAL}"
        yield Finding((*path, CLIENT_CAS), "can't be given beside certificateRefs", mend)
    elif not by_secret and (mode == SIMPLE) == bool(options.get(CLIENT_CAS)):
        message = "is not used by mode SIMPLE" if mode == SIMPLE else f"is missing, and needed for mode {mode}"
        yield Finding((*path, CLIENT_CAS), message, "name the file with the CAs of clients for the mutual modes only")


def _namespaces(namespaces: RouteNamespaces, path: Path) -> Iterator[Finding]:
    if namespaces.from_ is FromNamespaces.Selector:
        if namespaces.selector is None:
            yield Finding(
                (*path, "selector"), "is missing, and needed for from: Selector", "select namespaces by labels"
            )
        else:
            yield from _selector(namespaces.selector, (*path, "selector"))
    elif namespaces.selector is not None:
        message = f"has no effect with from: {namespaces.from_.value}"
        yield Finding((*path, "selector"), message, "write from: Selector, or remove it", warning=True)


def _selector(selector: LabelSelector, path: Path) -> Iterator[Finding]:
    takes_values = (SelectorOperator.In, SelectorOperator.NotIn)
    for index, each in enumerate(selector.match_expressions):
        here = (*path, "matchExpressions", index)
        if not each.key:
            yield Finding((*here, "key"), "is missing", "name the label")
        if each.operator is None:
            yield Finding((*here, "operator"), "is missing", "use In, NotIn, Exists or DoesNotExist")
        elif (each.operator in takes_values) != bool(each.values):
            told = "are missing, and needed for" if not each.values else "have no meaning for"
            yield Finding((*here, "values"), f"{told} operator {each.operator.value}", "correct one of the two")


def _beside_each_other(listeners: tuple[Listener, ...], path: Path) -> Iterator[Finding]:
    names: set[str] = set()
    places: dict[tuple[int, str, str], str] = {}
    secured: dict[int, tuple[bool, str]] = {}
    for index, listener in enumerate(listeners):
        if listener.name in names:
            message = f"listener names must be unique: duplicate name {listener.name}"
            yield Finding((*path, index, "name"), message, "give each listener a name of its own")
        names.add(listener.name)
        other = places.setdefault((listener.port, listener.protocol, listener.hostname), listener.name)
        if other != listener.name:
            message = f"port, protocol and hostname are those of listener {other}"
            yield Finding((*path, index), message, "merge the two, or change one")
        tls, first = secured.setdefault(listener.port, (listener.protocol != "HTTP", listener.name))
        if tls != (listener.protocol != "HTTP"):
            message = f"port {listener.port} is of listener {first}, which has another protocol"
            yield Finding((*path, index, "port"), message, "HTTP and TLS can't share a port: use another")
