"""Writes docs/reference/traffic.md: every field of every configuration kind, from the registry and the golden cases.

`make docs` writes the page; `tests/unit/test_traffic_reference.py` holds that it is what this would write. A row names
a field's type, its default, whether it works, what Envoy is told of it (the `Becomes` beside the field), and the
golden cases (tests/golden/CASE) that show it: each holds the input, the IR and Envoy's configuration, which a real
Envoy accepted.
"""

from __future__ import annotations

import datetime
import enum
import sys
import types
import typing
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml

from galley.decode import is_derived, wire_name
from galley.kind import KINDS, MIXER, Kind, find_kind
from galley.schema import Becomes, Deprecated, NotYet, OneOf, Struct

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "traffic.md"
GOLDEN = ROOT / "tests" / "golden"
MOST_CASES = 4
_SCALARS = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    bytes: "bytes",
    datetime.timedelta: "duration",
    Struct: "JSON",
}

_OPAQUE = {"EnvoyFilter": frozenset({"value", "filterConfig"})}
"""By kind, JSON that is Envoy's, whose fields are not the kind's."""

Uses = Mapping[tuple[str, str], list[str]]
"""Golden cases by kind and path without list positions and map keys: `("VirtualService", "http.route.weight")`."""


@attrs.frozen
class Row:
    path: str
    type: str
    default: str
    state: str
    becomes: str
    cases: str

    def __str__(self) -> str:
        return f"| `{self.path}` | {self.type} | {self.default} | {self.state} | {self.becomes} | {self.cases} |\n"


def page() -> str:
    """The whole page."""
    uses = _uses()
    parts = [_HEAD]
    for kind in sorted((each for each in KINDS if each.group != MIXER), key=lambda each: (each.name, each.title)):
        parts.append(f"\n## {kind.title}\n\n`{'`, `'.join(kind.api_versions)}`\n")
        parts.append("\n| field | type | default | state | in Envoy | golden cases |\n|---|---|---|---|---|---|\n")
        parts += map(str, rows(kind, uses))
    return "".join(parts)


_HEAD = """# Configuration kinds, field by field

Written by `make docs` from the kind registry; do not edit. A field *works*, or a document that uses it is *refused*
with the reason: nothing is silently ignored. *Read and checked* is what no case of its own shows: it works as the
same field does elsewhere, or a check refuses it with the reason. *In Envoy* says what Envoy is told of a field, by the
names of its API; fields that hold others say it of these. The cases are folders below `tests/golden/`, each with
the input, the plan and the Envoy configuration that it becomes; a real Envoy accepts every one of them. Behaviour on
the wire is shown by `tests/e2e/test_routes.py`, `test_policies.py`, `test_tcp.py` and `test_traffic_*.py`. How objects
of the Gateway API work together is told in [gateway-api.md](gateway-api.md).
"""


def rows(kind: Kind[Any], uses: Uses) -> Iterator[Row]:
    """Rows of one kind, in the order of the classes; a message is walked through where it stands first."""
    yield from _message_rows(kind, kind.spec, "", uses, {})


def _message_rows(
    kind: Kind[Any], message: type[Any], prefix: str, uses: Uses, known: dict[type[Any], str]
) -> Iterator[Row]:
    hints = typing.get_type_hints(message, include_extras=True)
    for attribute in attrs.fields(message):
        annotation = hints[attribute.name]
        if is_derived(annotation):
            continue
        marks = {type(mark): mark for mark in getattr(annotation, "__metadata__", ())}
        path = f"{prefix}{wire_name(attribute.name, annotation)}"
        inner, shown = _type(annotation)
        refused = NotYet in marks and not marks[NotYet].values
        first = known.setdefault(inner, path) if inner is not None and not refused else path
        cases = uses.get((kind.title, path), [])
        state = _state(marks, worked=bool(cases))
        if first != path:
            state += f"; as `{first}`"
        yield Row(path, shown, _default(attribute.default), state, "" if refused else _becomes(marks), _listed(cases))
        if inner is not None and not refused and first == path:
            yield from _message_rows(kind, inner, f"{path}.", uses, known)


def _state(marks: Mapping[type[Any], Any], *, worked: bool) -> str:
    refused: NotYet | None = marks.get(NotYet)
    if refused is not None and not refused.values:
        return "refused" + refused.reason
    if Becomes in marks and marks[Becomes].refused:
        return f"refused: {marks[Becomes].words}"
    parts = ["works" if worked else "read and checked"]
    if Deprecated in marks:
        parts.append(f"deprecated, use {marks[Deprecated].instead}")
    if OneOf in marks:
        parts.append(f"one of `{marks[OneOf].group}`")
    if refused is not None:
        values = ", ".join(value.name for value in refused.values)
        parts.append(f"refused: {values}{refused.reason}")
    return "; ".join(parts)


def _becomes(marks: Mapping[type[Any], Any]) -> str:
    """A field that another replaced becomes what that one does."""
    if Becomes in marks:
        return "" if marks[Becomes].refused else str(marks[Becomes].words)
    if Deprecated not in marks:
        return ""
    instead = str(marks[Deprecated].instead)
    return instead if instead.startswith("nothing") else f"as `{instead}`"


def _listed(cases: list[str]) -> str:
    more = f" and {len(cases) - MOST_CASES} more" if len(cases) > MOST_CASES else ""
    return ", ".join(f"`{case}`" for case in cases[:MOST_CASES]) + more


def _type(annotation: Any) -> tuple[type[Any] | None, str]:
    """The message class inside, if there is one, and what to call the type."""
    annotation = _bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _repeated(_bare(arguments[0]))
    if isinstance(annotation, type):
        if attrs.has(annotation) and annotation not in _SCALARS:
            return annotation, annotation.__name__
        if issubclass(annotation, enum.Enum):
            return None, " \\| ".join(member.name for member in annotation)
        return None, _SCALARS.get(annotation, annotation.__name__)
    return None, str(annotation)


def _repeated(item: Any) -> tuple[type[Any] | None, str]:
    pair = typing.get_args(item)
    if typing.get_origin(item) is tuple and len(pair) == 2:
        inner, shown = _type(pair[1])
        return inner, f"map of {shown}"
    inner, shown = _type(item)
    return inner, f"list of {shown}"


def _bare(annotation: Any) -> Any:
    """Without marks and without None: a wrapper, a message and a oneof's member are what they hold."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _bare(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return _bare(next(each for each in typing.get_args(annotation) if each is not type(None)))
    return annotation


def _default(value: Any) -> str:
    if value in (None, "", attrs.NOTHING) or isinstance(value, tuple) or attrs.has(type(value)):
        return ""
    return f"`{value.name if isinstance(value, enum.Enum) else value}`"


def _uses() -> Uses:
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for case in sorted(GOLDEN.glob("*/input.yaml")):
        for document in (yaml.safe_load(case.read_text()) or {}).get("config") or []:
            opaque = _OPAQUE.get(document["kind"], frozenset())
            for path in _paths(_closed(document.get("spec") or {}, opaque), ""):
                found[_title(document), path].add(case.parent.name)
    return {key: sorted(cases) for key, cases in found.items()}


def _title(document: Mapping[str, Any]) -> str:
    kind = find_kind(document["apiVersion"], document["kind"])
    return kind.title if isinstance(kind, Kind) else document["kind"]


def _closed(data: Any, opaque: Collection[str]) -> Any:
    """The same without what is inside of opaque fields."""
    if isinstance(data, Mapping):
        return {key: None if key in opaque else _closed(value, opaque) for key, value in data.items()}
    return [_closed(each, opaque) for each in data] if isinstance(data, list) else data


def _paths(data: Any, prefix: str) -> Iterator[str]:
    """Paths of all that is said; a map's keys are passed over, since `headers.x-user.exact` is `headers.exact`."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield f"{prefix}{key}"
            yield from _paths(value, f"{prefix}{key}.")
            yield from _paths(value, prefix)
    elif isinstance(data, list):
        for value in data:
            yield from _paths(value, prefix)


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text() != text)
    PAGE.write_text(text)
