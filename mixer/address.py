"""host:port as parameters of handlers have it. Pure."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\s:/]+)):(?P<port>[0-9]{1,5})")


def host_and_port(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`; raises ValueError with what is wrong."""
    read = _ADDRESS.fullmatch(address)
    if read is None or not 0 < int(read["port"]) < 65536:
        raise ValueError(f"{address!r} is no host:port")
    return read["v6"] or read["host"], int(read["port"])
