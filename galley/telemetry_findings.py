"""What Telemetry objects and MeshConfig have against each other: providers that are not there, or lead nowhere. Pure.

Called by `galley.analyze`; warnings only. Planning copes (`pilot.plan.observers`): nothing is told to such a provider.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from galley.config import Config, ConfigObject, Problem
from galley.document import Path
from galley.finding import path_text
from galley.kinds.selector import references
from galley.kinds.telemetry import ProviderRef, Telemetry
from galley.providers import LOGGING, TRACING, described, members, mesh_config, providers

NOT_FOUND = "IST0101"  # ReferencedResourceNotFound
MULTIPLE = "IST0160"  # MultipleTelemetriesWithoutWorkloadSelectors
CONFLICTING = "IST0159"  # ConflictingTelemetryWorkloadSelectors


def telemetry_findings(config: Config, known_host: Callable[[str], bool]) -> Iterator[Problem]:
    """All findings."""
    for each in config.telemetries:
        yield from _providers(config, each)
    for mesh in config.mesh_configs[:1]:
        for index, provider in enumerate(mesh.spec.extension_providers):
            host = str(getattr(described(provider), "service", "")).rpartition("/")[2]
            if host and not known_host(host):
                (field, _), *_ = members(provider)
                where = path_text(("spec", "extensionProviders", index, field, "service"))
                yield _warning(mesh, f"{where} is host {host!r}, not found", "register the service", NOT_FOUND)
    for mesh in config.mesh_configs[1:]:
        first = config.mesh_configs[0]
        yield _warning(mesh, f"is not read: {first} ({first.origin}) comes first by name", "keep one MeshConfig", "")
    yield from _several(config)


def _providers(config: Config, each: ConfigObject[Telemetry]) -> Iterator[Problem]:
    for index, tracing in enumerate(each.spec.tracing):
        yield from _named(config, each, ("spec", "tracing", index), tracing.providers, TRACING)
    for index, logging in enumerate(each.spec.access_logging):
        yield from _named(config, each, ("spec", "accessLogging", index), logging.providers, LOGGING)


def _named(
    config: Config, each: ConfigObject[Telemetry], path: Path, named: Iterable[ProviderRef], purpose: frozenset[str]
) -> Iterator[Problem]:
    known = providers(mesh_config(config))
    for number, reference in enumerate(named):
        where = path_text((*path, "providers", number, "name"))
        found = known.get(reference.name)
        if found is None:
            mend = f"add it to MeshConfig's extensionProviders, or use one of {', '.join(sorted(known))}"
            yield _warning(each, f"{where} refers to provider {reference.name!r}, not found", mend, NOT_FOUND)
        elif not purpose.intersection(field for field, _ in members(found)):
            mend = f"name a provider of {', '.join(sorted(purpose))}"
            yield _warning(
                each, f"{where} refers to provider {reference.name!r}, which is for something else", mend, ""
            )


def _several(config: Config) -> Iterator[Problem]:
    """Of one namespace and one selector the first by name counts."""
    alike: defaultdict[tuple[object, ...], list[ConfigObject[Telemetry]]] = defaultdict(list)
    for each in config.telemetries:
        labels = each.spec.selector.match_labels if each.spec.selector else ()
        alike[each.namespace, references(each.spec.target_ref, each.spec.target_refs), labels].append(each)
    for (_, *narrow), (first, *others) in alike.items():
        for each in others:
            message = f"is not read: {first} ({first.origin}) is for the same workloads"
            code = CONFLICTING if any(narrow) else MULTIPLE
            yield _warning(each, message, "merge the two, or give them different selectors", code)


def _warning(each: ConfigObject[object], message: str, mend: str, code: str) -> Problem:
    return Problem(each.origin, str(each), message, mend, code, warning=True)
