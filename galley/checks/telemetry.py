"""What a Telemetry must hold beyond its types; whether its providers exist, `galley.telemetry_findings` sees."""

from __future__ import annotations

from collections.abc import Iterator

from galley.checks.log_format import check_log_format
from galley.checks.selector import check_selection
from galley.checks.values import check_percent
from galley.document import Path
from galley.finding import Finding
from galley.kinds.telemetry import AccessLogging, CustomTag, ProviderRef, Telemetry, Tracing

_MORE_THAN_ONE = "spans go to one provider"


def check_telemetry(spec: Telemetry) -> Iterator[Finding]:
    """All findings of one Telemetry, paths starting at `spec`."""
    path: Path = ("spec",)
    yield from check_selection(spec.selector, spec.target_ref, spec.target_refs, path)
    for index, tracing in enumerate(spec.tracing):
        yield from _tracing(tracing, (*path, "tracing", index))
    for index, logging in enumerate(spec.access_logging):
        yield from _logging(logging, (*path, "accessLogging", index))


def _tracing(value: Tracing, path: Path) -> Iterator[Finding]:
    yield from _providers(value.providers, (*path, "providers"))
    if len(value.providers) > 1:
        yield Finding((*path, "providers"), f"names several: {_MORE_THAN_ONE}", "keep one")
    if value.random_sampling_percentage is not None:
        yield from check_percent(value.random_sampling_percentage, (*path, "randomSamplingPercentage"))
    for name, tag in value.custom_tags:
        here = (*path, "customTags", name)
        if not name:
            yield Finding((*path, "customTags"), "has a tag without a name", "name it")
        yield from _tag(tag, here)


def _tag(tag: CustomTag, path: Path) -> Iterator[Finding]:
    if tag == CustomTag():
        yield Finding(path, "says nothing", "add literal, environment, header or formatter")
    if tag.literal is not None and not tag.literal.value:
        yield Finding((*path, "literal", "value"), "is missing", "write the tag's value")
    if tag.environment is not None and not tag.environment.name:
        yield Finding((*path, "environment", "name"), "is missing", "name a variable of the proxy's environment")
    if tag.header is not None and not tag.header.name:
        yield Finding((*path, "header", "name"), "is missing", "name a request header")
    if tag.formatter is not None:
        here = (*path, "formatter", "value")
        if not tag.formatter.value:
            yield Finding(here, "is missing", "write command operators, as in access logs")
        yield from check_log_format(tag.formatter.value, here)


def _logging(value: AccessLogging, path: Path) -> Iterator[Finding]:
    yield from _providers(value.providers, (*path, "providers"))
    if value.filter is not None and not value.filter.expression:
        yield Finding((*path, "filter", "expression"), "is missing", "write a condition in CEL, or leave filter out")


def _providers(references: tuple[ProviderRef, ...], path: Path) -> Iterator[Finding]:
    for index, reference in enumerate(references):
        if not reference.name:
            yield Finding((*path, index, "name"), "is missing", "name a provider of MeshConfig")
