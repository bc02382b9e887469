"""The typed tree: what the checker makes of the parser's, and all that emission and analysis look at.

`mixer.compile` reads it to find out what Envoy can decide by itself, `mixer.rules` to find the values that a rule waits
for. Every term has a type; STRING_MAP entries and attributes are the only ones that may be absent.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Union

import attrs

from mixer.attributes import ValueType


@attrs.frozen
class Constant:
    """A value known when the rule is read. `duration` is what a string such as "5ms" may be instead."""

    type: ValueType
    value: Any
    duration: datetime.timedelta | None = None


@attrs.frozen
class Attribute:
    """The value of an attribute."""

    type: ValueType
    name: str


@attrs.frozen
class Entry:
    """An entry of a string map."""

    of: Term
    key: Term
    type: ValueType = ValueType.STRING


@attrs.frozen
class Function:
    """A function by name, with what carries it out; it may raise EvaluationError."""

    name: str
    run: Callable[..., Any]


@attrs.frozen
class Apply:
    """A function applied."""

    type: ValueType
    function: Function
    arguments: tuple[Term, ...]


@attrs.frozen
class Matches:
    """Whether RE2 finds `pattern` anywhere in the text."""

    text: Term
    pattern: str
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Equal:
    """Two values of one type are the same, or with `negated` are not."""

    left: Term
    right: Term
    negated: bool = False
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Compare:
    """`<`, `<=`, `>` or `>=` between two values of one ordered type."""

    operator: str
    left: Term
    right: Term
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Both:
    """All of them hold (`&&`). `absorbing` is CEL's way: one that is false decides, whatever the others' errors."""

    terms: tuple[Term, ...]
    absorbing: bool = False
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Either:
    """One of them holds (`||`)."""

    terms: tuple[Term, ...]
    absorbing: bool = False
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Not:
    """It does not hold."""

    term: Term
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Default:
    """The first that is not absent (`|`)."""

    type: ValueType
    terms: tuple[Term, ...]


@attrs.frozen
class Choice:
    """`conditional(test, yes, no)`, CEL's `test ? yes : no`. Only the chosen one is evaluated."""

    type: ValueType
    test: Term
    yes: Term
    no: Term


@attrs.frozen
class Arithmetic:
    """`+` between strings, numbers or durations; CEL's `-`, `*`, `/` and `%`, and `-x` as `0 - x`."""

    type: ValueType
    operator: str
    terms: tuple[Term, ...]


@attrs.frozen
class OneOf:
    """CEL's `x in [a, b]`."""

    term: Term
    options: tuple[Term, ...]
    type: ValueType = ValueType.BOOL


@attrs.frozen
class Present:
    """CEL's `has(x)` and `key in map`: the attribute or the entry is there."""

    term: Attribute | Entry
    type: ValueType = ValueType.BOOL


Term = Union[  # noqa: UP007 - refers to itself
    Constant,
    Attribute,
    Entry,
    Apply,
    Matches,
    Equal,
    Compare,
    Both,
    Either,
    Not,
    Default,
    Choice,
    Arithmetic,
    OneOf,
    Present,
]


def parts(term: Term) -> tuple[Term, ...]:
    """The terms right below."""
    match term:
        case Entry(of=of, key=key):
            return (of, key)
        case Apply(arguments=arguments):
            return arguments
        case Matches(text=text):
            return (text,)
        case Equal(left=left, right=right) | Compare(left=left, right=right):
            return (left, right)
        case Both(terms=terms) | Either(terms=terms) | Default(terms=terms) | Arithmetic(terms=terms):
            return terms
        case Not(term=inner) | Present(term=inner):
            return (inner,)
        case Choice(test=test, yes=yes, no=no):
            return (test, yes, no)
        case OneOf(term=inner, options=options):
            return (inner, *options)
        case _:
            return ()
