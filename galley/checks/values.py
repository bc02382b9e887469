"""The checks that several kinds share: names, hosts, ports, durations, percentages, visibility."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterator

from galley.document import Path
from galley.finding import Finding
from galley.kinds.virtual_service import PortSelector

MILLISECOND = datetime.timedelta(milliseconds=1)
SECOND = datetime.timedelta(seconds=1)
_NOTHING = datetime.timedelta()

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")  # "_": Consul has such service names
_LABEL_MEND = "use lower case letters, digits and '-', at most 63, a letter or digit at both ends"


def check_dns_label(name: str, path: Path) -> Iterator[Finding]:
    """A name by RFC 1123, as Kubernetes has it."""
    if not name:
        yield Finding(path, "is missing", "give it a name")
    elif not _DNS_LABEL.fullmatch(name):
        yield Finding(path, f"{name!r} is not a valid DNS label", _LABEL_MEND)


def check_dns_name(name: str, path: Path) -> Iterator[Finding]:
    """An object's name by RFC 1123: labels with dots between them."""
    if not all(_DNS_LABEL.fullmatch(part) for part in name.split(".")) or len(name) > 253:
        yield Finding(path, f"{name!r} is not a valid name (RFC 1123)", f"{_LABEL_MEND}; dots may stand between")


def check_host(host: str, path: Path, *, wildcard: bool) -> Iterator[Finding]:
    """A DNS name, a short name or an address; with `wildcard` also `*.example.org`."""
    rest = host.removeprefix("*.") if wildcard else host
    if not host:
        yield Finding(path, "is an empty host", "name a host")
    elif "*" in rest:
        mend = "write '*.' in front of a domain, nowhere else" if wildcard else "name one host, without '*'"
        yield Finding(path, f"{host!r} has a wildcard where none is allowed", mend)
    elif not _is_host(rest):
        yield Finding(path, f"{host!r} is not a valid host", "use a DNS name or an IP address, without port and path")


def _is_host(host: str) -> bool:
    if len(host) <= 253 and all(_HOST_LABEL.fullmatch(part) for part in host.split(".")):
        return True
    return is_ip(host)


def is_ip(text: str) -> bool:
    """Whether it is an IP address, of either version."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_port(number: int, path: Path) -> Iterator[Finding]:
    """A TCP port."""
    if not 1 <= number <= 65535:
        yield Finding(path, f"port number {number} must be in the range 1..65535")


def check_port_selector(port: PortSelector | None, path: Path) -> Iterator[Finding]:
    """A port selector, where there is one."""
    if port is not None:
        yield from check_port(port.number, (*path, "number"))


def check_duration(
    value: datetime.timedelta | None,
    path: Path,
    *,
    least: datetime.timedelta = _NOTHING,
    step: datetime.timedelta = MILLISECOND,
) -> Iterator[Finding]:
    """At least `least`, and a multiple of `step`, which is what Envoy or the kernel can tell apart."""
    if value is None:
        return
    if value < least:
        yield Finding(path, f"must be at least {_seconds(least)}, not {_seconds(value)}")
    elif value % step:
        unit = "milliseconds" if step == MILLISECOND else "seconds"
        yield Finding(path, f"must be in whole {unit}, not {_seconds(value)}", "round it")


def _seconds(value: datetime.timedelta) -> str:
    return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


def check_percent(value: float, path: Path) -> Iterator[Finding]:
    """From 0 to 100."""
    if not 0 <= value <= 100:
        yield Finding(path, f"percentage {value} is not in range 0..100")


def check_not_negative(value: int, path: Path) -> Iterator[Finding]:
    """A count."""
    if value < 0:
        yield Finding(path, f"must not be negative, it is {value}")


def check_export_to(export_to: tuple[str, ...], path: Path, *, nobody: bool = False) -> Iterator[Finding]:
    """Namespaces that see the object: `*` all, `.` its own, else by name; each once, and `*` alone.

    With `nobody`, `~` alone is one more way: an object that is kept and seen by none.
    """
    if nobody and export_to == ("~",):
        return
    for index, name in enumerate(export_to):
        here = (*path, index)
        if name == "~":
            yield Finding(here, "'~' (nobody) is not allowed", "use '.': only its own namespace sees the object")
        elif name not in ("*", "."):
            yield from check_dns_label(name, here)
        if name in export_to[:index]:
            yield Finding(here, f"{name!r} is given twice", "keep one of the two")
    if "*" in export_to and len(export_to) > 1:
        yield Finding(path, "has '*' beside other namespaces", "keep '*' alone, or the others")


def check_gateways(gateways: tuple[str, ...], path: Path) -> Iterator[Finding]:
    """`mesh` for sidecars, else gateways by name: beside the rule, or NAMESPACE/NAME."""
    for index, gateway in enumerate(gateways):
        here = (*path, index)
        namespace, slash, name = gateway.rpartition("/")
        if not gateway or (slash and not (namespace and name)):
            yield Finding(here, "gateway namespace and name cannot be empty", "write NAME or NAMESPACE/NAME")
            continue
        if slash and namespace != ".":
            yield from check_dns_label(namespace, here)
        yield from check_dns_name(name, here)
