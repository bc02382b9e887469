"""What a Gateway must hold beyond its types, in Istio's rules; its TLS is `galley.checks.server_tls`."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.protocol import is_http, refuse_protocol
from galley.checks.server_tls import check_server_tls
from galley.checks.values import check_dns_label, check_host, check_port, is_ip
from galley.document import Path
from galley.finding import Finding
from galley.kinds.gateway import Gateway, Server, ServerPort, ServerTLSSettings

_TLS = ("https", "tls")
_OWN_NAMESPACE, _ANY = ".", "*"


def check_gateway(spec: Gateway) -> Iterator[Finding]:
    """All findings of one Gateway, paths starting at `spec`."""
    path: Path = ("spec",)
    if not spec.servers:
        yield Finding((*path, "servers"), "gateway must have at least one server", "add one with a port and hosts")
    if not spec.selector:
        yield Finding(path, "has no selector: every gateway proxy takes it", "select by labels", warning=True)
    for key, _ in spec.selector:
        if not key:
            yield Finding((*path, "selector"), "has an empty label name", "name the label")
    for index, server in enumerate(spec.servers):
        yield from _server(server, (*path, "servers", index))
    yield from _unique(spec.servers, (*path, "servers"))


def _server(server: Server, path: Path) -> Iterator[Finding]:
    if not server.hosts:
        yield Finding((*path, "hosts"), "server config must contain at least one host", "name hosts, or '*' for any")
    for index, host in enumerate(server.hosts):
        yield from _host(host, (*path, "hosts", index))
        if host in server.hosts[:index]:
            yield Finding((*path, "hosts", index), f"duplicate host {host!r} in server", "list it once")
    yield from _bind(server.bind, (*path, "bind"))
    if server.port is None:
        yield Finding((*path, "port"), "port is required", "say number, protocol and name")
        return
    yield from _port(server.port, (*path, "port"))
    yield from _tls(server.port.protocol.lower(), server.tls, (*path, "tls"))


def _host(text: str, path: Path) -> Iterator[Finding]:
    """HOST, or NAMESPACE/HOST for virtual services of that namespace only."""
    namespace, slash, host = text.rpartition("/")
    if slash and namespace not in (_OWN_NAMESPACE, _ANY):
        yield from check_dns_label(namespace, path)
    if host != _ANY:
        yield from check_host(host, path, wildcard=True)


def _bind(bind: str, path: Path) -> Iterator[Finding]:
    if bind.startswith(("unix:", "/", "@")):
        yield Finding(path, "is a Unix domain socket, which is not listened on", "bind to an IP address")
        return
    if bind and not is_ip(bind):
        yield Finding(path, f"{bind!r} is not an IP address", "bind to an address of the gateway's host")


def _port(port: ServerPort, path: Path) -> Iterator[Finding]:
    yield from check_port(port.number, (*path, "number"))
    yield from refuse_protocol(port.protocol, (*path, "protocol"), required=True)
    if not port.name:
        yield Finding((*path, "name"), "port name must be set", "name it, as in http")
    elif any(each.isspace() for each in port.name):
        yield Finding((*path, "name"), f"{port.name!r} has white space", "use letters, digits and '-'")
    if port.target_port:
        message = "has no impact on gateways, which listen on the number"
        yield Finding((*path, "targetPort"), message, "remove it", warning=True)


def _tls(protocol: str, tls: ServerTLSSettings | None, path: Path) -> Iterator[Finding]:
    """Of HTTP only whether clients are to come back by HTTPS; TLS needs its settings; others have none."""
    if protocol in _TLS:
        if tls is None:
            yield Finding(path, "server must have TLS settings for HTTPS/TLS protocols", "say at least the mode")
            return
        if tls.https_redirect:
            message = "should only be used with http servers: who comes here has come by TLS"
            yield Finding((*path, "httpsRedirect"), message, "move it to a server of protocol HTTP", warning=True)
        yield from check_server_tls(tls, path)
    elif tls is None:
        return
    elif not is_http(protocol):
        message = "server cannot have TLS settings for non HTTPS/TLS ports"
        yield Finding(path, message, "use protocol TLS, or remove it")
    elif tls not in (ServerTLSSettings(), ServerTLSSettings(https_redirect=True)):
        message = "server cannot have TLS settings for plain text HTTP ports, except httpsRedirect"
        yield Finding(path, message, "use protocol HTTPS, or leave httpsRedirect alone")


def _unique(servers: tuple[Server, ...], path: Path) -> Iterator[Finding]:
    ports: set[str] = set()
    names: set[str] = set()
    for index, server in enumerate(servers):
        port = server.port.name if server.port else ""
        if port and port in ports:
            message = f"port names in servers must be unique: duplicate name {port}"
            yield Finding((*path, index, "port", "name"), message, "give each server's port a name of its own")
        if server.name and server.name in names:
            message = f"names of servers must be unique: duplicate name {server.name}"
            yield Finding((*path, index, "name"), message, "give each server a name of its own")
        ports.add(port)
        names.add(server.name)
