"""What a Sidecar must hold beyond its types: Istio's rules, and what no proxy without captured traffic can do."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.connection_pool import check_connection_pool
from galley.checks.protocol import is_http, refuse_protocol, spoken
from galley.checks.service_entry import check_selector
from galley.checks.values import check_dns_label, check_host, check_port, check_port_selector, is_ip
from galley.document import Path
from galley.finding import Finding
from galley.kinds.sidecar import IstioEgressListener, IstioIngressListener, OutboundMode, Sidecar, SidecarPort

UNIX = "unix://"
LOOPBACKS = ("127.0.0.1", "::1")
_EVERY_ADDRESS = ("0.0.0.0", "::")
OWN_PORTS = (15001, 15006)


def check_sidecar(spec: Sidecar) -> Iterator[Finding]:
    """All findings of one Sidecar, paths starting at `spec`."""
    path: Path = ("spec",)
    if spec == Sidecar(workload_selector=spec.workload_selector):
        mend = "say what it is to change: ingress, egress, inboundConnectionPool or outboundTrafficPolicy"
        yield Finding(path, "is empty", mend)
    if spec.workload_selector is not None:
        yield from check_selector(spec.workload_selector.labels, (*path, "workloadSelector"))
    yield from _ingress(spec.ingress, (*path, "ingress"))
    yield from _egress(spec.egress, (*path, "egress"))
    yield from check_connection_pool(spec.inbound_connection_pool, (*path, "inboundConnectionPool"))
    yield from _policy(spec, (*path, "outboundTrafficPolicy"))


def _ingress(listeners: tuple[IstioIngressListener, ...], path: Path) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, listener in enumerate(listeners):
        here = (*path, index)
        yield from _own_port(listener.port, seen, here)
        yield from _bind(listener.bind, (*here, "bind"))
        yield from _default_endpoint(listener, (*here, "defaultEndpoint"))
        yield from check_connection_pool(listener.connection_pool, (*here, "connectionPool"))


def _own_port(port: SidecarPort | None, seen: set[int], path: Path) -> Iterator[Finding]:
    """A port that is listened on: there, and once only."""
    here = (*path, "port")
    if port is None:
        yield Finding(here, "is missing", "say which port to listen on")
        return
    yield from check_port(port.number, (*here, "number"))
    yield from refuse_protocol(port.protocol, (*here, "protocol"))
    if port.name:
        yield from check_dns_label(port.name, (*here, "name"))
    if port.number in seen:
        yield Finding((*here, "number"), f"ports on listeners must be unique, {port.number} is not", "change one")
    seen.add(port.number)


def _bind(bind: str, path: Path) -> Iterator[Finding]:
    if bind.startswith(UNIX):
        yield Finding(path, "is a Unix domain socket, which is not listened on", "bind to an IP address")
    elif bind and not is_ip(bind):
        yield Finding(path, f"{bind!r} is not an IP address", "bind to an address of the proxy's host")


def _default_endpoint(listener: IstioIngressListener, path: Path) -> Iterator[Finding]:
    endpoint = listener.default_endpoint
    form = "write 127.0.0.1:PORT, [::1]:PORT or unix:///path"
    if not endpoint:
        yield Finding(path, "is missing: without captured traffic nothing else says where it goes", form)
    elif endpoint.startswith(UNIX):
        if not endpoint.removeprefix(UNIX).startswith("/"):
            yield Finding(path, f"{endpoint!r} is not an absolute path", form)
    else:
        yield from _local_endpoint(listener, endpoint, form, path)


def _local_endpoint(listener: IstioIngressListener, endpoint: str, form: str, path: Path) -> Iterator[Finding]:
    address, port = split_endpoint(endpoint)
    if address in _EVERY_ADDRESS:
        message = f"{address} stands for the workload's own address, which may differ from proxy to proxy"
        yield Finding(path, f"{endpoint!r}: {message}", "have the workload listen on 127.0.0.1, and name that")
    elif address not in LOOPBACKS or not 1 <= port <= 65535:
        yield Finding(path, f"{endpoint!r} is no endpoint beside the proxy", form)
    elif listener.port is not None and port == listener.port.number and listener.bind in ("", address, *_EVERY_ADDRESS):
        yield Finding(path, f"{endpoint!r} is what the listener itself listens on", "change the port or the bind")


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """`127.0.0.1:80` and `[::1]:80` in two; port 0 where there is none."""
    address, _, port = endpoint.rpartition(":")
    return address.removeprefix("[").removesuffix("]"), int(port) if port.isdecimal() and len(port) <= 5 else 0


def _egress(listeners: tuple[IstioEgressListener, ...], path: Path) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, listener in enumerate(listeners):
        here = (*path, index)
        yield from _hosts(listener, here)
        if listener.port is None:
            if index != len(listeners) - 1:
                yield Finding(here, "has no port, which only the last listener may leave out", "move it to the end")
            if listener.bind:
                yield Finding((*here, "bind"), "can't be given without a port", "add a port, or remove it")
            continue
        yield from _own_port(listener.port, seen, here)
        yield from _bind(listener.bind, (*here, "bind"))
        if listener.port.number in OWN_PORTS:
            yield Finding((*here, "port", "number"), "is a port that every proxy listens on", "choose another")


def _hosts(listener: IstioEgressListener, path: Path) -> Iterator[Finding]:
    here = (*path, "hosts")
    if not listener.hosts:
        yield Finding(here, "is missing", "name hosts as in ./*, default/web.example.com or */*")
    for index, text in enumerate(listener.hosts):
        yield from _pattern(text, (*here, index))
    protocol = spoken(listener.port.protocol, listener.port.name) if listener.port else ""
    if not is_http(protocol):
        hosts = [text.partition("/")[2] for text in listener.hosts]
        if len(hosts) != 1 or "*" in hosts[0]:
            message = f"must name one host for protocol {protocol}: only HTTP says which of many is meant"
            yield Finding(here, message, "write one host in full, and a listener for each")


def _pattern(text: str, path: Path) -> Iterator[Finding]:
    namespace, slash, host = text.partition("/")
    if not slash:
        yield Finding(path, f"{text!r} is not of the form namespace/host", "write ./HOST for the own namespace")
        return
    if namespace not in ("*", ".", "~"):
        yield from check_dns_label(namespace, path)
    if host != "*":
        yield from check_host(host, path, wildcard=True)


def _policy(spec: Sidecar, path: Path) -> Iterator[Finding]:
    policy = spec.outbound_traffic_policy
    if policy is None or policy.egress_proxy is None:
        return
    here = (*path, "egressProxy")
    if policy.mode is not OutboundMode.ALLOW_ANY:
        yield Finding(here, "has an effect with mode ALLOW_ANY only", "set the mode, or remove it")
    yield from check_host(policy.egress_proxy.host, (*here, "host"), wildcard=False)
    if policy.egress_proxy.port is None:
        yield Finding((*here, "port"), "is missing", "say which port of the host takes the traffic")
    yield from check_port_selector(policy.egress_proxy.port, (*here, "port"))
