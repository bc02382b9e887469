"""From options to the platforms and sources of a control plane. Knows no kind of platform: each declares its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from adapters import platforms_file
from adapters.options import Given, OptionError, apart, declared, decode
from adapters.platform import PLATFORMS, PlatformOptions, options_class
from adapters.platforms_file import Entry
from adapters.settings import Arrangement, Network, PlatformSettings
from galley.document import Source
from galley.ingest.files import FilesSource
from galley.ingest.kubernetes import KubernetesSource
from kubeapi.access import Access
from mesh_adapter.platforms import Opened


class SetupError(Exception):
    """Options that can't be carried out; the text names the option and the mend."""


@attrs.frozen
class PlatformSpec:
    """One platform to watch: what it is called, its kind, and all that was said about it."""

    name: str
    kind: str
    options: PlatformOptions
    settings: PlatformSettings
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
    merge_by_name: bool = True
    credentials: tuple[str, ...] = ()
    plaintext_secrets: bool = False


@attrs.frozen
class Assembled:
    """All platforms, and the networks that they are in."""

    specs: tuple[PlatformSpec, ...] = ()
    networks: tuple[Network, ...] = ()

    def arrangement(self, by_name: bool = True) -> Arrangement:
        return Arrangement({spec.name: spec.settings for spec in self.specs}, self.networks, by_name)


def assembled(options: Options) -> Assembled:
    """In the configured order, those of the command line first: on a disagreement the earlier one is right."""
    named = named_specs(options)
    filed = _filed(options.platforms_file) if options.platforms_file else Assembled()
    specs = (*named, *filed.specs)
    if not specs and not options.platforms_file:
        raise SetupError(
            f"no platform: give --platform NAME ({', '.join(PLATFORMS)}), --static-file FILE or --platforms-file FILE"
        )
    seen: dict[str, PlatformSpec] = {}
    for spec in specs:
        if spec.name in seen:
            raise SetupError(f"{spec.where}: the name {spec.name!r} is that of {seen[spec.name].where}: choose another")
        seen[spec.name] = spec
    return Assembled(specs, filed.networks)


def platforms(specs: Sequence[PlatformSpec]) -> Mapping[str, Opened]:
    """The platforms by name, not watching yet."""
    return {spec.name: opened(spec) for spec in specs}


def opened(spec: PlatformSpec) -> Opened:
    """The platform, not watching yet; SetupError if its options can't be carried out."""
    try:
        return Opened(spec.options.platform(spec.name), spec.kind)
    except (ValueError, OSError) as error:
        raise SetupError(f"{spec.where}: {error}") from error


def spec_of(entry: Entry) -> PlatformSpec:
    """One entry of the platforms file; SetupError with its coordinates."""
    try:
        return _decoded(entry.name, entry.kind, entry.given, {}, entry.where)
    except OptionError as error:
        raise SetupError(f"{entry.where_of(error.option)}: platform {entry.name}: {error}") from error
    except (LookupError, ValueError) as error:
        raise SetupError(f"{entry.where}: platform {entry.name}: {error}") from error


def _filed(path: str) -> Assembled:
    """What the file says; a platform that can't be used keeps the control plane from starting."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SetupError(f"--platforms-file {path}: {error.strerror}") from error
    found = platforms_file.parse(content, path)
    if found.problems:
        raise SetupError("; ".join(map(str, found.problems)))
    return Assembled(tuple(spec_of(entry) for entry in found.entries), found.networks)


def named_specs(options: Options) -> tuple[PlatformSpec, ...]:
    """The platforms that the command line names."""
    words = options.platforms or tuple(_implied(options.kinds) if not options.platforms_file else ())
    given = _by_name(options.platform_options)
    specs = tuple(_spec(word, given, options.kinds) for word in words)
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
        return _decoded(name, kind, given.get(name, {}), kinds.get(kind, {}), where)
    except OptionError as error:
        flag = f"--{kind}-{error.option}"
        mend = f" (with {flag}, or --platform-option {name}.{error.option}=…)" if "missing" in str(error) else ""
        raise SetupError(f"{where}: {error}{mend}") from error
    except (LookupError, ValueError) as error:
        raise SetupError(f"{where}: {error}") from error


def _decoded(name: str, kind: str, given: Mapping[str, Given], defaults: Mapping[str, Any], where: str) -> PlatformSpec:
    """What was said, parted into what every kind has and the kind's own."""
    cls = options_class(kind)
    general, own = apart(given, PlatformSettings, cls)
    return PlatformSpec(name, kind, decode(cls, own, defaults), decode(PlatformSettings, general), where)


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


def sources(specs: Sequence[str], kinds: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Source]:
    """Configuration sources by what the operator called them; `kinds` as in Options, for how to reach their servers."""
    return {spec: _source(spec, kinds) for spec in specs}


def _source(spec: str, kinds: Mapping[str, Mapping[str, Any]]) -> Source:
    scheme, colon, rest = spec.partition(":")
    if not colon or "/" in scheme:
        return FilesSource(spec)
    if scheme != "kubernetes":
        mend = "give a file, a directory, or kubernetes:[NAMESPACE,…]"
        raise SetupError(f"--config {spec}: source {scheme!r} is not known: {mend}")
    said = kinds.get("kubernetes", {})
    namespaces = [each.strip() for each in rest.split(",") if each.strip()]
    try:
        return KubernetesSource(Access(said.get("kubeconfig", ""), said.get("context", "")), namespaces)
    except ValueError as error:
        raise SetupError(f"--config {spec}: {error}") from error
