"""What an operator may say about a platform, declared once by the platform and understood wherever it is said. Pure.

A kind of platform declares an attrs class of its options, each a field made by `option`. From it follow the options of
the command line, their environment variables, and the keys of the platforms file (`mesh_adapter` and
`adapters.platforms_file` read them from here), so that a platform of another package needs no change in this one.
Types that a field may have: str, int, float, bool, Literal of texts, tuple[str, ...].
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

import attrs

T = TypeVar("T")
Given = str | tuple[str, ...]
"""What was written: a text, or a list of texts."""

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class OptionError(ValueError):
    """An option that is unknown, missing, or has a value that can't be; the text names it and the mend."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


def option(default: Any = attrs.NOTHING, *, help: str, flag: str = "", env: str = "", secret: bool = False) -> Any:  # noqa: A002 - click's word for it
    """A field of an options class; without a default the operator has to say it.

    `flag` names it on the command line where that differs from the field's name (a list is one flag, repeated); one
    that begins with `--` is the whole of it, else it stands behind the kind.
    `env` is a variable of the platform's own tools that counts where ours is not set. A `secret` is never shown.
    """
    metadata = {"help": help, "flag": flag, "env": env, "secret": secret}
    return attrs.field(default=default, metadata=metadata, repr=not secret, kw_only=True)


@attrs.frozen
class Declared:
    """One option of a kind, as `option` declared it. `choices` are the texts that it may be; empty if any."""

    field: str
    type: type
    default: Any
    help: str
    flag: str
    env: str
    secret: bool
    choices: tuple[str, ...]

    @property
    def required(self) -> bool:
        return self.default is attrs.NOTHING

    def command_line(self, kind: str) -> str:
        """The option of `mesh-adapter start`: `--consul-addr`."""
        return self.flag if self.flag.startswith("--") else f"--{kind}-{self.flag}"

    @property
    def key(self) -> str:
        """In the platforms file: `tokenFile`."""
        head, *rest = self.field.split("_")
        return head + "".join(word.capitalize() for word in rest)


def declared(options: type) -> tuple[Declared, ...]:
    """The options of a kind in the order of their declaration. TypeError for a field of a type that can't be said."""
    hints = typing.get_type_hints(options)
    return tuple(_declared(field, hints[field.name]) for field in attrs.fields(options))


def decode(options: type[T], given: Mapping[str, Given], defaults: Mapping[str, Any] | None = None) -> T:
    """The options that were written. Keys may be spelled `tokenFile`, `token-file` or `token_file`.

    `defaults` are values, by field, that count where nothing was written. Raises OptionError, and whatever ValueError
    the class itself raises.
    """
    known = {_folded(each.field): each for each in declared(options)}
    values = dict(defaults or {})
    for name, written in given.items():
        found = known.get(_folded(name))
        if found is None:
            raise OptionError(
                f"unknown option {name!r}: known are {', '.join(each.key for each in known.values())}", name
            )
        values[found.field] = _value(found, written)
    for each in known.values():
        if each.required and each.field not in values:
            raise OptionError(f"{each.key} is missing: {each.help}", each.key)
    return options(**values)


def apart(given: Mapping[str, Given], general: type, own: type) -> tuple[Mapping[str, Given], Mapping[str, Given]]:
    """What was written, parted into options of `general` and the rest; OptionError lists both for one of neither."""
    names = {_folded(each.field) for each in declared(general)}
    known = names | {_folded(each.field) for each in declared(own)}
    for name in given:
        if _folded(name) not in known:
            keys = ", ".join(each.key for each in (*declared(own), *declared(general)))
            raise OptionError(f"unknown option {name!r}: known are {keys}", name)
    return (
        {name: value for name, value in given.items() if _folded(name) in names},
        {name: value for name, value in given.items() if _folded(name) not in names},
    )


def _declared(field: attrs.Attribute[Any], hint: Any) -> Declared:
    meta = field.metadata
    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    kind = str if choices else tuple if typing.get_origin(hint) is tuple else hint
    if kind not in (str, int, float, bool, tuple) or not {"help", "flag"} <= meta.keys():
        raise TypeError(
            f"option {field.name} is no field made by adapters.options.option, or of a type not known there"
        )
    flag = meta["flag"] or field.name.replace("_", "-")
    return Declared(field.name, kind, field.default, meta["help"], flag, meta["env"], meta["secret"], choices)


def _folded(name: str) -> str:
    return re.sub(r"[-_]", "", name).lower()


def _value(option: Declared, written: Given) -> Any:
    if option.type is tuple:
        parts: Sequence[str] = written.split(",") if isinstance(written, str) else written
        return tuple(part.strip() for part in parts if part.strip())
    if not isinstance(written, str):
        raise OptionError(f"{option.key} is a list: write one value", option.key)
    if option.choices and written not in option.choices:
        raise OptionError(f"{option.key} is {written!r}: write {' or '.join(option.choices)}", option.key)
    if option.type is bool:
        if written.lower() not in _WORDS:
            raise OptionError(f"{option.key} is {written!r}: write true or false", option.key)
        return _WORDS[written.lower()]
    try:
        return option.type(written)
    except ValueError:
        raise OptionError(f"{option.key} is {written!r}: write a number", option.key) from None
