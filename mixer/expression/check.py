"""The parser's tree → typed terms, by the vocabulary; every mistake is told with its place.

A string such as "5ms" is a DURATION where one is wanted and where nothing else says, as in Istio; beside a STRING it
stays a string. A whole number is a DOUBLE where one is wanted.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Set

import attrs

from galley.checks.regex import judge
from galley.duration import parse_duration
from mixer.attributes import ValueType, Vocabulary
from mixer.expression.error import EvaluationError, ExpressionError, Position
from mixer.expression.functions import FUNCTIONS, Signature
from mixer.expression.syntax import (
    Chain,
    Invoke,
    Items,
    Literal,
    Name,
    Node,
    Select,
    Subscript,
    Ternary,
    Unary,
    dotted,
    start,
)
from mixer.expression.terms import (
    Apply,
    Arithmetic,
    Attribute,
    Both,
    Choice,
    Compare,
    Constant,
    Default,
    Either,
    Entry,
    Equal,
    Matches,
    Not,
    OneOf,
    Present,
    Term,
)


class Language(enum.Enum):
    """Istio's expressions, or CEL; a text says which by its forms, unless somebody does."""

    CEXL = "CEXL"
    CEL = "CEL"


_ORDERED = frozenset({ValueType.INT64, ValueType.DOUBLE, ValueType.STRING, ValueType.TIMESTAMP, ValueType.DURATION})
_ADDED = frozenset({ValueType.INT64, ValueType.DOUBLE, ValueType.STRING, ValueType.DURATION})
_NUMBERS = frozenset({ValueType.INT64, ValueType.DOUBLE})
_MAKERS = {
    ValueType.IP_ADDRESS: "ip",
    ValueType.TIMESTAMP: "timestamp",
    ValueType.DNS_NAME: "dnsName",
    ValueType.EMAIL_ADDRESS: "email",
    ValueType.URI: "uri",
}
_COMPREHENSIONS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_LITERALS = {str: ValueType.STRING, bool: ValueType.BOOL, int: ValueType.INT64, float: ValueType.DOUBLE}


def check(text: str, tree: Node, language: Language, vocabulary: Vocabulary, wanted: ValueType | None = None) -> Term:
    """The typed term, of the `wanted` type if one is; ExpressionError at the first place that makes no sense."""
    checker = _Checker(text, language is Language.CEL, vocabulary)
    return checker.term_of(tree, wanted) if wanted is not None else _settled(checker.term(tree))


@attrs.frozen(eq=False)
class _Checker:
    text: str
    cel: bool
    vocabulary: Vocabulary

    def term(self, node: Node) -> Term:
        match node:
            case Literal(value):
                return self._literal(value)
            case Name() | Select():
                return self._named(node)
            case Subscript(of, key):
                of_term = self.term_of(of, ValueType.STRING_MAP)
                return _entry(of_term, self.term_of(key, ValueType.STRING))
            case Invoke():
                return self._invoked(node)
            case Unary("!", operand):
                return Not(self.term_of(operand, ValueType.BOOL))
            case Unary(_, operand, at):
                return self._negative(operand, at)
            case Chain():
                return self._chain(node)
            case Ternary(test, yes, no):
                return self._choice(test, yes, no)
            case Items(at=at):
                raise self._error("a list may stand behind `in` only", at)

    def _literal(self, value: str | int | float | bool) -> Constant:
        type_ = _LITERALS[type(value)]
        duration = None
        if isinstance(value, str) and not self.cel and value != "0":
            duration = parse_duration(value)
        return Constant(type_, value, duration)

    def _named(self, node: Name | Select) -> Term:
        name = dotted(node)
        if name is not None and (type_ := self.vocabulary.types.get(name)) is not None:
            return Attribute(type_, name)
        if isinstance(node, Select) and self.cel:
            try:
                of = self.term(node.of)
            except ExpressionError:
                pass  # the whole name is what is not known; told below
            else:
                if of.type is ValueType.STRING_MAP:
                    return _entry(of, Constant(ValueType.STRING, node.field))
        at = start(node)
        if name is None:
            raise self._error(
                f"what stands before .{node.field if isinstance(node, Select) else ''} has no such part", node.at
            )
        raise self._error(f"unknown attribute {name}", at, self.vocabulary.nearest(name))

    # Functions

    def _invoked(self, node: Invoke) -> Term:
        match node.name:
            case "matches":
                return self._matches(node)
            case "conditional" if node.receiver is None:
                self._count(node, 3)
                return self._choice(*node.arguments)
            case "has" if node.receiver is None and self.cel:
                self._count(node, 1)
                return self._has(node)
            case "duration" if node.receiver is None and self.cel:
                return self._duration(node)
        signatures = [each for each in FUNCTIONS.get(node.name, ()) if self.cel or not each.cel]
        if not signatures:
            raise self._unknown_function(node)
        given = node.arguments if node.receiver is None else (node.receiver, *node.arguments)
        fitting = [each for each in signatures if each.method == (node.receiver is not None)]
        if not fitting:
            form = f'"text".{node.name}(…)' if node.receiver is None else f"{node.name}(…)"
            raise self._error(f"{node.name} is not called so", node.at, f"write {form}")
        return self._apply(node, fitting, given)

    def _apply(self, node: Invoke, signatures: list[Signature], given: tuple[Node, ...]) -> Term:
        terms = [self.term(each) for each in given]
        chosen = next((each for each in signatures if [_settled(term).type for term in terms] == [*each.takes]), None)
        chosen = chosen or signatures[0]
        if len(terms) != len(chosen.takes):
            wanted = len(chosen.takes) - chosen.method
            raise self._error(f"{node.name} takes {_counted(wanted)}, not {len(node.arguments)}", node.at)
        fitted = tuple(
            self._fit(term, type_, each) for term, type_, each in zip(terms, chosen.takes, given, strict=True)
        )
        apply = Apply(chosen.gives, chosen.function(node.name), fitted)
        if fitted and all(isinstance(each, Constant) for each in fitted):
            return self._folded(apply, fitted, node.at)
        return apply

    def _folded(self, apply: Apply, constants: tuple[Term, ...], at: int) -> Constant:
        """The value of a function of constants, found now: a bad address is told when the rule is read."""
        try:
            value = apply.function.run(*(each.value for each in constants if isinstance(each, Constant)))
        except EvaluationError as error:
            raise self._error(str(error), at) from None
        return Constant(apply.type, value)

    def _unknown_function(self, node: Invoke) -> ExpressionError:
        if node.name in _COMPREHENSIONS:
            return self._error(f"CEL's macro {node.name} is not supported", node.at, "write the comparisons out")
        known = sorted({*(name for name, all_ in FUNCTIONS.items() if self.cel or not all(s.cel for s in all_))})
        return self._error(
            f"unknown function {node.name}", node.at, f"known are conditional, matches, {', '.join(known)}"
        )

    def _matches(self, node: Invoke) -> Term:
        """Istio writes `"pattern".matches(text)`, CEL `text.matches("pattern")`: the literal one is the pattern."""
        self._count(node, 1)
        if node.receiver is None:
            raise self._error("matches is a method", node.at, 'write "pattern".matches(text)')
        receiver = self.term_of(node.receiver, ValueType.STRING)
        argument = self.term_of(node.arguments[0], ValueType.STRING)
        pattern, text, at = argument, receiver, node.arguments[0].at
        if not isinstance(argument, Constant) or (isinstance(receiver, Constant) and not self.cel):
            pattern, text, at = receiver, argument, node.receiver.at
        if not isinstance(pattern, Constant):
            raise self._error("the pattern of matches is no literal", node.at, "write the regular expression in quotes")
        judgement = judge(pattern.value)
        if judgement.fault:
            raise self._error(f"the pattern {judgement.fault}", at, judgement.mend)
        return Matches(text, pattern.value)

    def _has(self, node: Invoke) -> Term:
        term = self.term(node.arguments[0])
        if not isinstance(term, Attribute | Entry):
            raise self._error("has takes an attribute, or an entry of one", node.at)
        return Present(term)

    def _duration(self, node: Invoke) -> Term:
        self._count(node, 1)
        argument = node.arguments[0]
        value = (
            parse_duration(argument.value)
            if isinstance(argument, Literal) and isinstance(argument.value, str)
            else None
        )
        if value is None:
            raise self._error("duration takes a literal such as '1.5s'", argument.at)
        return Constant(ValueType.DURATION, value)

    def _count(self, node: Invoke, wanted: int) -> None:
        if len(node.arguments) != wanted:
            raise self._error(f"{node.name} takes {_counted(wanted)}, not {len(node.arguments)}", node.at)

    # Operators

    def _chain(self, node: Chain) -> Term:
        match node.operator:
            case "&&":
                return Both(tuple(self.term_of(each, ValueType.BOOL) for each in node.operands), self.cel)
            case "||":
                return Either(tuple(self.term_of(each, ValueType.BOOL) for each in node.operands), self.cel)
            case "|":
                terms = self._alike(node.operands)
                return Default(terms[0].type, terms)
            case "in":
                return self._in(*node.operands)
            case "==" | "!=":
                left, right = self._alike(node.operands)
                return Equal(left, right, node.operator == "!=")
            case "<" | "<=" | ">" | ">=":
                left, right = self._alike(node.operands)
                self._among(left.type, _ORDERED, node)
                return Compare(node.operator, left, right)
            case operator:
                terms = self._alike(node.operands)
                allowed = {"+": _ADDED, "-": _NUMBERS | {ValueType.DURATION}, "%": {ValueType.INT64}}
                self._among(terms[0].type, allowed.get(operator, _NUMBERS), node)
                return Arithmetic(terms[0].type, operator, terms)

    def _among(self, type_: ValueType, allowed: Set[ValueType], node: Chain) -> None:
        if type_ not in allowed:
            known = ", ".join(sorted(each.value for each in allowed))
            raise self._error(f"{node.operator} has no meaning for {type_.value}", node.at, f"it takes {known}")

    def _negative(self, operand: Node, at: int) -> Term:
        term = _settled(self.term(operand))
        if term.type not in _NUMBERS:
            raise self._error(f"- has no meaning for {term.type.value}", at)
        zero = Constant(term.type, 0 if term.type is ValueType.INT64 else 0.0)
        return Arithmetic(term.type, "-", (zero, term))

    def _in(self, needle: Node, hay: Node) -> Term:
        if isinstance(hay, Items):
            if not hay.items:
                raise self._error("an empty list holds nothing", hay.at)
            first, *options = self._alike((needle, *hay.items))
            return OneOf(first, tuple(options))
        of = self.term_of(hay, ValueType.STRING_MAP)
        entry = _entry(of, self.term_of(needle, ValueType.STRING))
        return Present(entry)

    def _choice(self, test: Node, yes: Node, no: Node) -> Term:
        condition = self.term_of(test, ValueType.BOOL)
        one, other = self._alike((yes, no))
        return Choice(one.type, condition, one, other)

    # Types

    def _alike(self, nodes: tuple[Node, ...]) -> tuple[Term, ...]:
        """Terms of one type: that of the first which leaves no choice."""
        terms = [self.term(each) for each in nodes]
        sure = next((term for term in terms if not _either_way(term)), terms[0])
        doubles = any(term.type is ValueType.DOUBLE for term in terms)
        type_ = ValueType.DOUBLE if doubles and sure.type is ValueType.INT64 else _settled(sure).type
        return tuple(self._fit(term, type_, node) for term, node in zip(terms, nodes, strict=True))

    def term_of(self, node: Node, type_: ValueType) -> Term:
        return self._fit(self.term(node), type_, node)

    def _fit(self, term: Term, type_: ValueType, node: Node) -> Term:
        if isinstance(term, Constant):
            term = _as(term, type_)
        if term.type is type_:
            return term
        maker = _MAKERS.get(type_)
        mend = f"write {maker}(…)" if maker and term.type is ValueType.STRING else ""
        raise self._error(f"expected {type_.value}, got {term.type.value}", start(node), mend)

    def _error(self, message: str, at: int, mend: str = "") -> ExpressionError:
        return ExpressionError(message, Position.of(self.text, at), mend)


def _entry(of: Term, key: Term) -> Entry:
    """Header names have no case: they are asked for as Envoy gives them, in lower case."""
    if isinstance(of, Attribute) and of.name.endswith(".headers"):
        lower = functools.partial(Apply, ValueType.STRING, FUNCTIONS["toLower"][0].function("toLower"))
        key = attrs.evolve(key, value=key.value.lower()) if isinstance(key, Constant) else lower((key,))
    return Entry(of, key)


def _either_way(term: Term) -> bool:
    """A constant that may yet be taken for another type."""
    return isinstance(term, Constant) and (term.duration is not None or term.type is ValueType.INT64)


def _as(constant: Constant, type_: ValueType) -> Constant:
    if type_ is ValueType.DURATION and constant.duration is not None:
        return Constant(type_, constant.duration)
    if type_ is ValueType.DOUBLE and constant.type is ValueType.INT64:
        return Constant(type_, float(constant.value))
    return attrs.evolve(constant, duration=None)


def _settled(term: Term) -> Term:
    """A string that reads as a duration, where nothing said otherwise: a duration."""
    return _as(term, ValueType.DURATION) if isinstance(term, Constant) and term.duration is not None else term


def _counted(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}"
