"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from galley.duration import parse_duration

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
    from mesh_adapter.assembly import SetupError  # which loads all platforms: a sidecar has no use for them

    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SetupError(f"{option} {address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


class Duration(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`10s`, `1h30m`, `24h`: more than nothing."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = parse_duration(str(value))
        if found is None or found <= timedelta():
            self.fail(f"{value!r} is not a duration above zero: write it as in 10s, 1h30m or 24h", param, ctx)
        return found
