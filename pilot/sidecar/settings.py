"""What an operator says of one sidecar, checked.

Made by the commands from their options, read by `pilot.sidecar.bootstrap`. Every error names the option and the mend,
since whoever reads it has only the command line before them. Pure.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Sequence

import attrs

from pilot.model.proxy import INBOUND_PORT, OUTBOUND_PORT, Upstream
from pilot.model.service import Labels, Locality, Protocol

UPSTREAM_GRAMMAR = "HOST[:PORT]@BINDPORT, as in db.service.consul:5432@5432"
DEFAULT_UPSTREAM_PORT = 80
ADMIN_PORT = 15000
HEALTH_PORT = 15021
METRICS_PORT = 15090
XDS_PORT = 15010
XDS_TLS_PORT = 15012
TRUST_DOMAIN = "cluster.local"
LOOPBACK = "127.0.0.1"
EVERYWHERE = {4: "0.0.0.0", 6: "::"}
LOWEST_PORT, HIGHEST_PORT = 1, 65535
_UNSPEAKABLE = re.compile(r"[\s~]")


class SettingsError(ValueError):
    """An option that can't be used; `option` is its name as typed on the command line."""

    def __init__(self, option: str, problem: str, mend: str) -> None:
        super().__init__(f"{option}: {problem}: {mend}")
        self.option = option


class XdsMode(enum.Enum):
    """How the proxy asks: for what changed only, or for everything of a type at every change."""

    DELTA = "delta"
    SOTW = "sotw"


@attrs.frozen
class XdsAddress:
    """Where the control plane listens: a host (a name or an IP address) and port, or the path of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = XDS_PORT
    path: str = ""

    @property
    def needs_dns(self) -> bool:
        return not self.path and not _is_ip(self.host)

    @classmethod
    def parse(cls, text: str) -> XdsAddress:
        """From HOST:PORT, [IPV6]:PORT or unix:PATH. Raises SettingsError."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path.startswith("/"):
                raise SettingsError("--xds-addr", f"{text!r} has no absolute path", "give unix:/path/of/the/socket")
            return cls(host="", port=0, path=path)
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        bare = host[1:-1] if bracketed else host
        mend = "give HOST:PORT, as in 127.0.0.1:15010, or unix:/path"
        if not colon or not bare or _UNSPEAKABLE.search(bare) or bracketed != (":" in bare):
            raise SettingsError("--xds-addr", f"{text!r} is not an address", mend)
        return cls(host=bare, port=_port_of("--xds-addr", port, mend))


@attrs.frozen
class Identity:
    """Who proves the proxy's identity: an agent that serves its certificate on the Unix socket `sds_socket`."""

    sds_socket: str
    trust_domain: str = TRUST_DOMAIN

    def __attrs_post_init__(self) -> None:
        if not self.sds_socket.startswith("/"):
            raise SettingsError("--sds-socket", f"{self.sds_socket!r} is no absolute path", "give /path/of/the/socket")

    @property
    def control_plane(self) -> str:
        """The SPIFFE id that the control plane shows."""
        return f"spiffe://{self.trust_domain}/ns/istio-system/sa/mesh-adapter"


@attrs.frozen
class Listening:
    """A port that the proxy listens on, by the option that says so. Port 0 is off where it `may_be_off`."""

    option: str
    address: str
    port: int
    may_be_off: bool = False


@attrs.frozen
class SidecarSettings:
    """One sidecar. Port 0 leaves the health or the metrics listener out, and lets Envoy choose its admin port.

    A `gateway` stands beside no workload, and listens where Gateway objects say instead of inbound and outbound. With
    an `identity` the proxy speaks to the control plane by mutual TLS, as `account` of its namespace.
    `instance` tells apart the proxies of one service on one address; empty means the service's name.
    Raises SettingsError when made with values that can't work.
    """

    service: str
    gateway: bool = False
    namespace: str = "default"
    instance: str = ""
    address: str = "127.0.0.1"
    port: int | None = None
    protocol: Protocol = Protocol.UNSPECIFIED
    inbound_port: int = INBOUND_PORT
    outbound_port: int = OUTBOUND_PORT
    upstreams: tuple[Upstream, ...] = ()
    labels: Labels = ()
    locality: Locality = attrs.field(factory=Locality)
    xds_addr: XdsAddress = attrs.field(factory=XdsAddress)
    xds_mode: XdsMode = XdsMode.DELTA
    admin_port: int = ADMIN_PORT
    health_port: int = HEALTH_PORT
    metrics_port: int = METRICS_PORT
    dns_domain: str = "service.consul"
    identity: Identity | None = None
    account: str = ""
    identity_files: str = ""
    """Folder with the certificate that it shows peers, by the names that `mesh-adapter cert issue` writes."""

    def __attrs_post_init__(self) -> None:
        for check in (_check_names, _check_gateway, _check_identity, _check_address, _check_ports, _check_shared_ports):
            check(self)

    @property
    def name(self) -> str:
        """The proxy's own name in its namespace."""
        return self.instance or self.service

    @property
    def everywhere(self) -> str:
        """All addresses of the family by which peers know this host."""
        return EVERYWHERE[ipaddress.ip_address(self.address).version]

    @property
    def listening(self) -> tuple[Listening, ...]:
        """Whatever the proxy listens on, or might, on its own account or as the control plane will tell it."""
        inbound = (Listening("--inbound-port", self.everywhere, self.inbound_port),) if self.port is not None else ()
        outbound = () if self.gateway else (Listening("--outbound-port", LOOPBACK, self.outbound_port),)
        return (
            *inbound,
            *outbound,
            Listening("--admin-port", LOOPBACK, self.admin_port, may_be_off=True),
            Listening("--health-port", self.everywhere, self.health_port, may_be_off=True),
            Listening("--metrics-port", self.everywhere, self.metrics_port, may_be_off=True),
            *(
                Listening(f"--upstream {each.host}:{each.port}@{each.bind_port}", each.bind_address, each.bind_port)
                for each in self.upstreams
            ),
        )


def parse_upstream(text: str) -> Upstream:
    """From HOST[:PORT]@BINDPORT. Raises SettingsError."""
    where, at, bind = text.rpartition("@")
    host, colon, port = where.partition(":")
    mend = f"give {UPSTREAM_GRAMMAR}"
    if not at or not host or _UNSPEAKABLE.search(host):
        raise SettingsError("--upstream", f"{text!r} names no host and local port", mend)
    return Upstream(
        host=host,
        port=_port_of("--upstream", port, mend) if colon else DEFAULT_UPSTREAM_PORT,
        bind_port=_port_of("--upstream", bind, mend),
    )


def parse_labels(texts: Sequence[str]) -> Labels:
    """From `key=value` each; a key given twice is an error, as only one of the two could be meant."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SettingsError("--label", f"{text!r} is not key=value", "give one as in version=v1")
        if key in found:
            raise SettingsError("--label", f"{key!r} is given twice", "leave one of them out")
        found[key] = value
    return tuple(sorted(found.items()))


def parse_locality(text: str) -> Locality:
    """From region[/zone[/subzone]]."""
    if text.count("/") > 2 or (text and not text.split("/")[0]):
        raise SettingsError(
            "--locality", f"{text!r} is not a locality", "give region/zone/subzone, as in eu/eu-1/rack7"
        )
    return Locality.parse(text)


def _check_names(settings: SidecarSettings) -> None:
    for option, value in (
        ("--service", settings.service),
        ("--namespace", settings.namespace),
        ("--instance", settings.name),
        ("--dns-domain", settings.dns_domain),
    ):
        if not value or _UNSPEAKABLE.search(value):
            raise SettingsError(option, f"{value!r} is no name", "give one without white space and '~'")
    if "." in settings.namespace:
        raise SettingsError("--namespace", f"{settings.namespace!r} has a dot", "give a single word, as in default")


def _check_identity(settings: SidecarSettings) -> None:
    if settings.identity_files and settings.identity:
        raise SettingsError("--identity-files", "is given beside --identity sds", "leave one of the two out")
    if settings.identity_files and not settings.identity_files.startswith("/"):
        said = f"{settings.identity_files!r} is no absolute path"
        raise SettingsError("--identity-files", said, "name the folder from the root, as Envoy will read it")


def _check_gateway(settings: SidecarSettings) -> None:
    """What is for a workload that a gateway does not have."""
    for option, given in (("--port", settings.port is not None), ("--upstream", bool(settings.upstreams))):
        if settings.gateway and given:
            problem = "a gateway stands beside no workload"
            raise SettingsError(option, problem, "leave it out, or --gateway: Gateway objects say what it listens on")


def _check_address(settings: SidecarSettings) -> None:
    if not _is_ip(settings.address):
        mend = "give this host's address as peers see it, as in 10.0.0.1"
        raise SettingsError("--address", f"{settings.address!r} is not an IP address", mend)
    if settings.port is None and settings.protocol is not Protocol.UNSPECIFIED:
        raise SettingsError("--protocol", "there is no --port that it could be of", "give --port, or leave both out")


def _check_ports(settings: SidecarSettings) -> None:
    for each in (*_workload(settings), *settings.listening):
        if not (0 if each.may_be_off else LOWEST_PORT) <= each.port <= HIGHEST_PORT:
            mend = f"give one between {LOWEST_PORT} and {HIGHEST_PORT}{', or 0' if each.may_be_off else ''}"
            raise SettingsError(each.option, f"{each.port} is not a port", mend)


def _check_shared_ports(settings: SidecarSettings) -> None:
    """Envoy would refuse the second listener, and a workload on the inbound port would be sent its own requests."""
    taken: dict[int, str] = {}
    for each in (*_workload(settings), *settings.listening):
        if each.port and each.port in taken:
            problem = f"port {each.port} is taken by {taken[each.port]} already"
            raise SettingsError(each.option, problem, "give each a port of its own")
        taken[each.port] = each.option


def _workload(settings: SidecarSettings) -> tuple[Listening, ...]:
    return () if settings.port is None else (Listening("--port", LOOPBACK, settings.port),)


def _port_of(option: str, text: str, mend: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not LOWEST_PORT <= number <= HIGHEST_PORT:
        raise SettingsError(option, f"{text!r} is not a port between {LOWEST_PORT} and {HIGHEST_PORT}", mend)
    return number


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
