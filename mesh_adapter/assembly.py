"""From options to the platforms and sources of a control plane. Knows no kind of platform: each declares its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from adapters import platforms_file
from adapters.options import OptionError, declared, decode
from adapters.platform import PLATFORMS, Platform, PlatformOptions, options_class
from adapters.platforms_file import Entry
from galley.document import Source
from galley.ingest.files import FilesSource


class SetupError(Exception):
    """Options that can't be carried out; the text names the option and the mend."""


@attrs.frozen
class PlatformSpec:
    """One platform to watch: what it is called, its kind, and all that was said about it."""

    name: str
    kind: str
    options: PlatformOptions
    where: str
    """Where it was said: `--platform consul=east`, or coordinates in the platforms file."""


@attrs.frozen
class Options:
    """What `mesh-adapter start` was told about platforms and configuration.

    `platforms`: KIND or KIND=NAME. `platform_options`: NAME.OPTION=VALUE. `kinds`: values by kind and field, for all
    platforms of the kind that `platforms` names.
    """

    platforms: tuple[str, ...] = ()
    platform_options: tuple[str, ...] = ()
    platforms_file: str = ""
    kinds: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    config: tuple[str, ...] = ()


def platform_specs(options: Options) -> tuple[PlatformSpec, ...]:
    """In the configured order, those of the command line first: on a disagreement the earlier one is right."""
    specs = list(_named(options))
    if options.platforms_file:
        specs += _filed(options.platforms_file)
    if not specs and not options.platforms_file:
        raise SetupError(
            f"no platform: give --platform NAME ({', '.join(PLATFORMS)}), --static-file FILE or --platforms-file FILE"
        )
    seen: dict[str, PlatformSpec] = {}
    for spec in specs:
        if spec.name in seen:
            raise SetupError(f"{spec.where}: the name {spec.name!r} is that of {seen[spec.name].where}: choose another")
        seen[spec.name] = spec
    return tuple(specs)


def platforms(specs: Sequence[PlatformSpec]) -> Mapping[str, Platform]:
    """The platforms by name, not watching yet."""
    return {spec.name: opened(spec) for spec in specs}


def opened(spec: PlatformSpec) -> Platform:
    """The platform, not watching yet; SetupError if its options can't be carried out."""
    try:
        return spec.options.platform(spec.name)
    except (ValueError, OSError) as error:
        raise SetupError(f"{spec.where}: {error}") from error


def spec_of(entry: Entry) -> PlatformSpec:
    """One entry of the platforms file; SetupError with its coordinates."""
    try:
        return PlatformSpec(entry.name, entry.kind, decode(options_class(entry.kind), entry.given), entry.where)
    except OptionError as error:
        raise SetupError(f"{entry.where_of(error.option)}: platform {entry.name}: {error}") from error
    except (LookupError, ValueError) as error:
        raise SetupError(f"{entry.where}: platform {entry.name}: {error}") from error


def _filed(path: str) -> list[PlatformSpec]:
    """All platforms of the file; one that can't be used keeps the control plane from starting."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SetupError(f"--platforms-file {path}: {error.strerror}") from error
    found = platforms_file.parse(content, path)
    if found.problems:
        raise SetupError("; ".join(map(str, found.problems)))
    return [spec_of(entry) for entry in found.entries]


def _named(options: Options) -> Sequence[PlatformSpec]:
    words = options.platforms or tuple(_implied(options.kinds) if not options.platforms_file else ())
    given = _by_name(options.platform_options)
    specs = [_spec(word, given, options.kinds) for word in words]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise SetupError(f"--platform {name} is given twice: name each platform once, as in KIND=NAME")
    unknown = sorted(given.keys() - set(names))
    if unknown:
        raise SetupError(f"--platform-option {unknown[0]}.…: no --platform has that name: {', '.join(names) or 'none'}")
    return specs


def _implied(kinds: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """Without --platform, a kind that can't be without some option is meant by that option: --static-file."""
    return [
        kind
        for kind, values in kinds.items()
        if any(each.required and values.get(each.field) for each in declared(options_class(kind)))
    ]


def _spec(word: str, given: Mapping[str, Mapping[str, str]], kinds: Mapping[str, Mapping[str, Any]]) -> PlatformSpec:
    kind, _, name = word.partition("=")
    name = name or kind
    where = f"--platform {word}"
    if not platforms_file.NAME.fullmatch(name):
        raise SetupError(f"{where}: {name!r} is no name: write letters, digits, dashes, dots; at most 63")
    try:
        found = decode(options_class(kind), given.get(name, {}), kinds.get(kind))
    except OptionError as error:
        flag = f"--{kind}-{error.option}"
        mend = f" (with {flag}, or --platform-option {name}.{error.option}=…)" if "missing" in str(error) else ""
        raise SetupError(f"{where}: {error}{mend}") from error
    except (LookupError, ValueError) as error:
        raise SetupError(f"{where}: {error}") from error
    return PlatformSpec(name, kind, found, where)


def _by_name(options: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """NAME.OPTION=VALUE, by name and option; the last of two counts, as everywhere on a command line."""
    found: dict[str, dict[str, str]] = {}
    for each in options:
        left, equals, value = each.partition("=")
        name, dot, option = left.rpartition(".")
        if not (equals and dot and name and option):
            raise SetupError(f"--platform-option {each!r} is not NAME.OPTION=VALUE, as in east.addr=10.0.0.1:8500")
        found.setdefault(name, {})[option] = value
    return found


def sources(specs: Sequence[str]) -> Mapping[str, Source]:
    """Configuration sources by what the operator called them."""
    found: dict[str, Source] = {}
    for spec in specs:
        scheme, colon, _ = spec.partition(":")
        if colon and "/" not in scheme:
            raise SetupError(f"--config {spec}: source {scheme!r} is not known: give a file or a directory")
        found[spec] = FilesSource(spec)
    return found
