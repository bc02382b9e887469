"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

http_address = click.option(
    "--http-addr",
    default="127.0.0.1:15014",
    show_default=True,
    help="HTTP address of the control plane.",
)


def output(*choices: str) -> Callable[[Any], Any]:
    """`-o`, with the first choice as the default."""
    return click.option("-o", "--output", type=click.Choice(choices), default=choices[0], show_default=True)
