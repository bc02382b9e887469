"""Typed terms → a Python code object, by way of Python's own syntax tree: no text is ever spliced.

Only the node types that stand in this file can come into being. Emitted code calls `get` (the bag's), methods of values
that the vocabulary vouches for, and the functions of `mixer.expression.functions`; values that have no literal are
names in the code's own globals, which hold nothing else.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any, Union

import re2

from mixer.expression.error import AbsentError, EvaluationError
from mixer.expression.functions import ARITHMETIC, SAME
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
    Function,
    Matches,
    Not,
    OneOf,
    Present,
    Term,
)

Run = Callable[[Callable[..., Any]], Any]
"""Called with a bag's `get`."""

_COMPARE: dict[str, type[ast.cmpop]] = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}


Record = Mapping[str, Union[Term, "Record"]]
"""Terms by name, nested as a template's messages are."""


def emit(term: Term | Record) -> Run:
    """The compiled function: of a record it gives a dict with the same names."""
    emitter = _Emitter()
    body = emitter.record(term) if isinstance(term, Mapping) else emitter.value(term)
    lambda_ = ast.Lambda(_arguments("get"), body)
    tree = ast.fix_missing_locations(ast.Expression(lambda_))
    code = compile(tree, "<expression>", "eval")
    run: Run = eval(code, emitter.names)
    return run


def _absent(name: str, key: str | None = None) -> Any:
    raise AbsentError(name, key)


def attempt(run: Callable[[], Any]) -> Any:
    """The value, or None if something it needs is absent."""
    try:
        return run()
    except AbsentError:
        return None


def all_of(*tests: Callable[[], bool]) -> bool:
    """CEL's `&&`: one that is false decides; an error counts only if none is."""
    failed: EvaluationError | None = None
    for test in tests:
        try:
            if not test():
                return False
        except EvaluationError as error:
            failed = failed or error
    if failed:
        raise failed
    return True


def any_of(*tests: Callable[[], bool]) -> bool:
    """CEL's `||`: one that is true decides; an error counts only if none is."""
    failed: EvaluationError | None = None
    for test in tests:
        try:
            if test():
                return True
        except EvaluationError as error:
            failed = failed or error
    if failed:
        raise failed
    return False


class _Emitter:
    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__builtins__": {}, "absent": _absent}
        self._locals = 0

    def record(self, record: Record) -> ast.expr:
        """Code that gives the values by name."""
        names: list[ast.expr | None] = [ast.Constant(name) for name in record]
        values = [self.record(each) if isinstance(each, Mapping) else self.value(each) for each in record.values()]
        return ast.Dict(names, values)

    def value(self, term: Term) -> ast.expr:
        """Code that gives the value, or raises EvaluationError."""
        match term:
            case Constant(_, value):
                return self._constant(value)
            case Attribute(name=name):
                return self._present(self._get(name), self._call(_name("absent"), ast.Constant(name)))
            case Entry(of, key):
                key_code, key_again = self._twice(key)
                got = self._call(ast.Attribute(self.value(of), "get", ast.Load()), key_code)
                return self._present(got, self._call(_name("absent"), ast.Constant(_of_name(of)), key_again))
            case Apply(_, function, arguments):
                return self._apply(function, *(self.value(each) for each in arguments))
            case Matches(text, pattern):
                return _test(ast.IsNot, self._call(self._pattern(pattern), self.value(text)), ast.Constant(None))
            case Equal():
                return self._equal(term)
            case Compare(operator, left, right):
                return _test(_COMPARE[operator], self.value(left), self.value(right))
            case _:
                return self._composed(term)

    def _composed(self, term: Term) -> ast.expr:
        match term:
            case Both(terms, absorbing):
                return self._logic(ast.And(), all_of, terms, absorbing)
            case Either(terms, absorbing):
                return self._logic(ast.Or(), any_of, terms, absorbing)
            case Not(inner):
                return ast.UnaryOp(ast.Not(), self.value(inner))
            case Default(_, terms):
                return self._first(terms[:-1], self.value(terms[-1]))
            case Choice(_, test, yes, no):
                return ast.IfExp(self.value(test), self.value(yes), self.value(no))
            case Arithmetic(_, operator, terms):
                return self._arithmetic(ARITHMETIC[operator], terms)
            case OneOf(inner, options):
                return self._one_of(inner, options)
            case Present(inner):
                return _test(ast.IsNot, self._perhaps(inner), ast.Constant(None))
            case _:
                raise AssertionError(f"no code for {term}")

    def _perhaps(self, term: Term) -> ast.expr:
        """Code that gives the value, or None where something is absent."""
        match term:
            case Attribute(name=name):
                return self._get(name)
            case Entry(Attribute(name=name), Constant(_, key)):
                local = self._local()
                bound = ast.NamedExpr(ast.Name(local, ast.Store()), self._get(name))
                entry = self._call(ast.Attribute(_name(local), "get", ast.Load()), ast.Constant(key))
                return ast.IfExp(_test(ast.IsNot, bound, ast.Constant(None)), entry, ast.Constant(None))
            case Default(_, terms):
                return self._first(terms[:-1], self._perhaps(terms[-1]))
            case Constant():
                return self.value(term)
            case _:
                return self._call(self._bound(attempt), self._later(term))

    def _first(self, terms: tuple[Term, ...], last: ast.expr) -> ast.expr:
        for each in reversed(terms):
            last = self._present(self._perhaps(each), last)
        return last

    def _present(self, code: ast.expr, otherwise: ast.expr) -> ast.expr:
        """`code` if that is not None, else `otherwise`."""
        local = self._local()
        bound = ast.NamedExpr(ast.Name(local, ast.Store()), code)
        return ast.IfExp(_test(ast.IsNot, bound, ast.Constant(None)), _name(local), otherwise)

    def _equal(self, term: Equal) -> ast.expr:
        left, right = self.value(term.left), self.value(term.right)
        same = SAME.get(term.left.type)
        if same is None:
            return _test(ast.NotEq if term.negated else ast.Eq, left, right)
        code: ast.expr = self._apply(same, left, right)
        return ast.UnaryOp(ast.Not(), code) if term.negated else code

    def _logic(self, operator: ast.boolop, absorb: Any, terms: tuple[Term, ...], absorbing: bool) -> ast.expr:
        if absorbing:
            return self._call(self._bound(absorb), *(self._later(each) for each in terms))
        return ast.BoolOp(operator, [self.value(each) for each in terms])

    def _arithmetic(self, function: Function, terms: tuple[Term, ...]) -> ast.expr:
        code = self.value(terms[0])
        for each in terms[1:]:
            code = self._apply(function, code, self.value(each))
        return code

    def _one_of(self, inner: Term, options: tuple[Term, ...]) -> ast.expr:
        if inner.type not in SAME:
            return _test(ast.In, self.value(inner), ast.Tuple([self.value(each) for each in options], ast.Load()))
        return ast.BoolOp(ast.Or(), [self.value(Equal(inner, each)) for each in options])

    def _twice(self, key: Term) -> tuple[ast.expr, ast.expr]:
        """Code of a key, and code that gives it once more."""
        if isinstance(key, Constant):
            return ast.Constant(key.value), ast.Constant(key.value)
        local = self._local()
        return ast.NamedExpr(ast.Name(local, ast.Store()), self.value(key)), _name(local)

    def _get(self, name: str) -> ast.expr:
        return self._call(_name("get"), ast.Constant(name))

    def _apply(self, function: Function, *arguments: ast.expr) -> ast.expr:
        return self._call(self._bound(function.run), *arguments)

    def _later(self, term: Term) -> ast.expr:
        return ast.Lambda(_arguments(), self.value(term))

    def _pattern(self, pattern: str) -> ast.expr:
        options = re2.Options()
        options.log_errors = False
        return self._bound(re2.compile(pattern, options).search)

    def _constant(self, value: Any) -> ast.expr:
        if isinstance(value, str | int | bytes) or (isinstance(value, float) and math.isfinite(value)):
            return ast.Constant(value)
        return self._bound(value)

    def _bound(self, value: Any) -> ast.expr:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return _name(name)

    def _local(self) -> str:
        self._locals += 1
        return f"v{self._locals}"

    @staticmethod
    def _call(function: ast.expr, *arguments: ast.expr) -> ast.expr:
        return ast.Call(function, list(arguments), [])


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _test(operator: type[ast.cmpop], left: ast.expr, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [operator()], [right])


def _arguments(*names: str) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])


def _of_name(term: Term) -> str:
    return term.name if isinstance(term, Attribute) else ""
