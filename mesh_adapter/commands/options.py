"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mesh_adapter.assembly import SetupError

http_address = click.option(
    "--http-addr",
    default="127.0.0.1:15014",
    show_default=True,
    help="HTTP address of the control plane.",
)


def output(*choices: str) -> Callable[[Any], Any]:
    """`-o`, with the first choice as the default."""
    return click.option("-o", "--output", type=click.Choice(choices), default=choices[0], show_default=True)


def host_and_port(address: str, option: str) -> tuple[str, int]:
    """Both of HOST:PORT, an IPv6 address without its brackets; SetupError that names the option."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SetupError(f"{option} {address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
