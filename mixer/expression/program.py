"""An expression, read once and ready to run: what rules and instances hold.

`compile_expression` is called when configuration is read; a `Program` is immutable and may be run from any thread. It
runs in a fraction of a microsecond and does no I/O.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from mixer.attributes import Bag, Reference, Value, ValueType, Vocabulary
from mixer.expression.check import Language, check
from mixer.expression.emit import emit
from mixer.expression.error import EvaluationError, ExpressionError, Position
from mixer.expression.parser import parse
from mixer.expression.terms import Attribute, Constant, Entry, Term, parts


@attrs.frozen(eq=False)
class Program:
    """A compiled expression. `term` is what analysis reads; `run` takes a bag's `get` and is what hot paths call.

    `run` raises EvaluationError (AbsentError among it) or, for a bag that breaks its vocabulary, any error at all;
    `evaluate` makes all of them EvaluationErrors.
    """

    source: str
    language: Language
    type: ValueType
    term: Term
    run: Callable[[Callable[..., Any]], Any] = attrs.field(repr=False)

    def evaluate(self, bag: Bag) -> Value:
        """The value for this bag; EvaluationError if there is none."""
        try:
            value: Value = self.run(bag.get)
        except EvaluationError:
            raise
        except Exception as error:
            raise EvaluationError(f"{type(error).__name__}: {error}") from error
        return value

    @functools.cached_property
    def references(self) -> frozenset[Reference]:
        """All that it may read: more than one run reads, where `|`, `&&`, `||` or a choice leave something out."""
        return frozenset(_references(self.term))


def _references(term: Term) -> Iterable[Reference]:
    pending = [term]
    while pending:
        match pending.pop():
            case Entry(Attribute(name=name), Constant(value=key)):
                yield Reference(name, key)
            case Attribute(name=name):
                yield Reference(name)
            case other:
                pending.extend(parts(other))


@functools.lru_cache(maxsize=8192)
def compile_expression(
    source: str, vocabulary: Vocabulary, wanted: ValueType | None = None, language: Language | None = None
) -> Program:
    """The program of `source`; ExpressionError with the place of the first mistake.

    Without `language` the text says: a form that only CEL has makes it CEL, else it is Istio's. `wanted` is the type
    that the place demands. What was compiled before with the same Vocabulary object is given again.
    """
    parsed = parse(source)
    language = language or (Language.CEL if parsed.cel is not None and parsed.cexl is None else Language.CEXL)
    foreign, theirs = (parsed.cexl, "Istio's") if language is Language.CEL else (parsed.cel, "CEL's")
    if foreign is not None:
        mend = (
            "`|` is Istio's; CEL writes has(x) ? x : y" if language is Language.CEL else "use one of the two languages"
        )
        message = f"a form of {theirs} language in an expression of {language.value}"
        raise ExpressionError(message, Position.of(source, foreign), mend)
    term = check(source, parsed.tree, language, vocabulary, wanted)
    return Program(source, language, term.type, term, emit(term))
