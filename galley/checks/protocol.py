"""The protocols of a port as Istio names them (pkg/config/protocol), and which of them can be served."""

from __future__ import annotations

from collections.abc import Iterator

from galley.document import Path
from galley.finding import Finding

_HTTP = ("http", "http2", "grpc", "grpc-web")
_OTHER = ("https", "tls", "tcp", "mongo", "mysql", "redis")
_MEND = f"known are {', '.join(_HTTP + _OTHER)}; leave it out to have it detected"


def is_known(protocol: str) -> bool:
    """Whether it names a protocol; an empty one does not."""
    return protocol.lower() in _HTTP + _OTHER


def is_http(protocol: str) -> bool:
    """Whether requests may be spoken on the port: HTTP in any form, or nothing said."""
    return not protocol or protocol.lower() in _HTTP


def spoken(protocol: str, port_name: str) -> str:
    """The protocol of a port: as it is said, else the part before the first dash of its name where that is one."""
    first = port_name.split("-", 1)[0]
    return protocol or (first if is_known(first) else "")


def refuse_protocol(protocol: str, path: Path, *, required: bool = False) -> Iterator[Finding]:
    """What can't be served: UDP, and words that name no protocol."""
    if protocol.lower() == "udp":
        yield Finding(path, "UDP can't be served: no listener of the mesh takes datagrams", "remove the port")
    elif (protocol or required) and not is_known(protocol):
        yield Finding(path, f"{protocol!r} is not a known protocol", _MEND)
