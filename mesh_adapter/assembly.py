"""From options to the platforms and sources of a control plane. The one place that knows how each is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from adapters.platform import Platform, platform_class
from galley.document import Source
from galley.ingest.files import FilesSource


class SetupError(Exception):
    """Options that can't be carried out; the text names the option and the mend."""


@attrs.frozen
class ConsulOptions:
    """Options of `--platform consul`, by the names of `ConsulPlatform`."""

    addr: str = "http://127.0.0.1:8500"
    token: str = ""
    token_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    datacenters: tuple[str, ...] | None = None
    warning: str = "exclude"
    empty_hold: float = 300.0


@attrs.frozen
class Options:
    """What `mesh-adapter start` was told about platforms and configuration."""

    platforms: tuple[str, ...] = ()
    static_file: str = ""
    consul: ConsulOptions = ConsulOptions()
    config: tuple[str, ...] = ()


def platforms(options: Options) -> Mapping[str, Platform]:
    """By name, in the configured order: on a disagreement the earlier one is right."""
    names = options.platforms or (("static",) if options.static_file else ())
    if not names:
        raise SetupError("no platform: give --platform NAME (static, consul) or --static-file FILE")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SetupError(f"--platform {twice[0]} is given twice: name each platform once")
    return {name: _platform(name, options) for name in names}


def _platform(name: str, options: Options) -> Platform:
    try:
        cls: Any = platform_class(name)
        return _construct(cls, name, options)
    except (LookupError, ValueError, OSError) as error:
        raise SetupError(f"--platform {name}: {error}") from error


def _construct(cls: Any, name: str, options: Options) -> Platform:
    if name == "static":
        if not options.static_file:
            raise ValueError("say which file or directory with --static-file")
        made: Platform = cls(options.static_file)
    elif name == "consul":
        made = cls(**attrs.asdict(options.consul, recurse=False))
    else:
        made = cls(**({"name": name} if "name" in inspect.signature(cls).parameters else {}))
    return made


def sources(specs: Sequence[str]) -> Mapping[str, Source]:
    """Configuration sources by what the operator called them."""
    found: dict[str, Source] = {}
    for spec in specs:
        scheme, colon, _ = spec.partition(":")
        if colon and "/" not in scheme:
            raise SetupError(f"--config {spec}: source {scheme!r} is not known: give a file or a directory")
        found[spec] = FilesSource(spec)
    return found
