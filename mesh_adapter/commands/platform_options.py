"""The options of `start` that follow from what each kind of platform declares: `--consul-addr` and its like.

They hold for every platform of the kind that `--platform` names; `--platform-option NAME.OPTION=VALUE` holds for one.
Kinds of other packages have no options of their own here, so that a package that can't be imported breaks no help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from adapters.options import Declared, declared
from adapters.platform import PLATFORMS, options_class

_TYPES: Mapping[type, Any] = {str: str, int: int, float: float}


def by_kind(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of all kinds; their values come as `KIND__FIELD`, for `collected`."""
    for kind in reversed(tuple(PLATFORMS)):
        for each in reversed(declared(options_class(kind))):
            command = _option(kind, each)(command)
    return command


def of_kind(kind: str, fields: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Some options of one kind, for a command that only asks that platform something; values come as `KIND__FIELD`."""
    wanted = [each for each in declared(options_class(kind)) if each.field in fields]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(wanted):
            command = _option(kind, each)(command)
        return command

    return decorate


def collected(values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The values by kind and field; one that has to be said and was not is left out."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        kind, _, field = name.partition("__")
        if value is not None:
            found.setdefault(kind, {})[field] = value
    return found


def _option(kind: str, each: Declared) -> Callable[[Any], Any]:
    flag = each.command_line(kind).removeprefix("--")
    variable = "MESH_ADAPTER_" + flag.replace("-", "_").upper()
    shape: dict[str, Any]
    if each.type is tuple:
        shape = {"multiple": True, "default": each.default}
    elif each.type is bool:
        shape = {"default": each.default, "show_default": True}
    else:
        default = None if each.required else each.default
        kind_of_value = click.Choice(each.choices) if each.choices else _TYPES[each.type]
        shape = {"type": kind_of_value, "default": default, "show_default": default not in (None, "")}
    name = f"--{flag}/--no-{flag}" if each.type is bool else f"--{flag}"
    envvar = [variable, each.env] if each.env else [variable]
    return click.option(name, f"{kind}__{each.field}", help=each.help, envvar=envvar, **shape)
