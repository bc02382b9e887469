"""Conditions of access logs, read before Envoy does: it refuses a whole listener for one that it can't parse.

Brought to the validation of Telemetry objects by `mesh_adapter.checks`, since CEL is `mixer.expression`'s to read.
"""

from __future__ import annotations

from collections.abc import Iterator

from galley.document import Path
from galley.finding import Finding
from galley.kinds.telemetry import Telemetry
from mixer.expression.error import ExpressionError, Position
from mixer.expression.parser import parse
from mixer.expression.syntax import Invoke, Name, Node, Select, Subscript, children

_FUNCTIONS = frozenset({"has", "contains", "startsWith", "endsWith", "matches", "size", "int", "double"})
_ATTRIBUTES = frozenset(
    [
        "request",
        "response",
        "connection",
        "upstream",
        "source",
        "destination",
        "metadata",
        "filter_state",
        "upstream_filter_state",
        "xds",
    ]
)


def check_conditions(spec: Telemetry) -> Iterator[Finding]:
    """What is wrong with the expressions of one Telemetry."""
    for index, logging in enumerate(spec.access_logging):
        if logging.filter is not None and logging.filter.expression:
            path = ("spec", "accessLogging", index, "filter", "expression")
            yield from _check(logging.filter.expression, path)


def _check(text: str, path: Path) -> Iterator[Finding]:
    try:
        parsed = parse(text)
    except ExpressionError as error:
        yield Finding(path, f"is no condition in CEL: {error}", error.mend)
        return
    if parsed.cexl is not None:
        yield Finding(
            path, f"is not CEL at {Position.of(text, parsed.cexl)}", "write it as Envoy's access logs have it"
        )
        return
    for node in _all(parsed.tree):
        if isinstance(node, Invoke) and node.name not in _FUNCTIONS:
            mend = f"Envoy has {', '.join(sorted(_FUNCTIONS))}"
            yield Finding(path, f"calls {node.name} at {Position.of(text, node.at)}, which is not known", mend)
        if isinstance(node, Select | Subscript):
            root = _root(node)
            if isinstance(root, Name) and root.text not in _ATTRIBUTES:
                mend = f"Envoy has {', '.join(sorted(_ATTRIBUTES))}"
                yield Finding(path, f"names {root.text} at {Position.of(text, root.at)}, which is not known", mend)


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _all(child)


def _root(node: Node) -> Node:
    while isinstance(node, Select | Subscript):
        node = node.of
    return node
