"""Compiled expressions say what the slow reference evaluator says, and no text at all breaks the compiler."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixer.attributes import TrackedBag
from mixer.expression import AbsentError, EvaluationError, ExpressionError, Language, compile_expression
from mixer.expression.parser import parse
from mixer.matching import awaited
from mixer.vocabulary import ISTIO
from tests.property.mixer_reference import Missing, evaluate

_WORDS = st.sampled_from(["", "a", "b", "ab", "/v1/x", "A", "x*", "ä", 'q"'])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _strings(depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(
        _WORDS.map(_quoted),
        st.sampled_from(["source.name", "source.user", "request.path", "destination.name"]),
        st.sampled_from(['source.labels["a"]', 'request.headers["A"]', 'destination.labels["b"]']),
    )
    if not depth:
        return leaves
    inner = _strings(depth - 1)
    return st.one_of(
        leaves,
        st.lists(inner, min_size=2, max_size=4).map(lambda each: f"({' | '.join(each)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda each: f"({' + '.join(each)})"),
        inner.map(lambda each: f"toLower({each})"),
        inner.map(lambda each: f"reverse({each})"),
        st.tuples(_tests(depth - 1), inner, inner).map(lambda each: "conditional({}, {}, {})".format(*each)),
        inner.map(lambda each: f"(source.labels | emptyStringMap())[{each}]"),
    )


def _tests(depth: int) -> st.SearchStrategy[str]:
    strings = _strings(max(depth - 1, 0))
    leaves = st.one_of(
        st.tuples(strings, st.sampled_from(["==", "!=", "<", ">="]), strings).map(
            lambda each: "({} {} {})".format(*each)
        ),
        st.sampled_from(["connection.mtls", "true", 'response.duration > "5ms"', "response.code + 1 < 300"]),
        st.sampled_from(['source.ip == ip("10.0.0.1")', 'ip("::ffff:10.0.0.1") != source.ip']),
        st.tuples(strings, strings).map(lambda each: "match({}, {})".format(*each)),
        st.tuples(st.sampled_from(['"^a"', '"b$"', '"v[0-9]"']), strings).map(
            lambda each: "{}.matches({})".format(*each)
        ),
        strings.map(lambda each: f"request.path.startsWith({each})"),
        strings.map(lambda each: f"source.name.endsWith({each})"),
        strings.map(lambda each: f"(size({each}) <= 2)"),
    )
    if not depth:
        return leaves
    inner = _tests(depth - 1).map(lambda each: f"({each})")
    return st.one_of(
        leaves,
        st.lists(inner, min_size=2, max_size=3).map(lambda each: f"({' && '.join(each)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda each: f"({' || '.join(each)})"),
        inner.map(lambda each: f"!{each}"),
        st.tuples(inner, inner).map(lambda each: "({} | {})".format(*each)),
    )


_TEXTS = st.sampled_from(["", "a", "b", "ab", "/v1/x"])
_MAPS = st.dictionaries(st.sampled_from(["a", "b", "ab", ""]), _TEXTS, max_size=3)
BAGS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("source.name", "source.user", "request.path", "destination.name"), _TEXTS),
        **dict.fromkeys(("source.labels", "request.headers", "destination.labels"), _MAPS),
        "connection.mtls": st.booleans(),
        "response.code": st.integers(0, 600),
        "response.duration": st.sampled_from([datetime.timedelta(0), datetime.timedelta(seconds=1)]),
        "source.ip": st.sampled_from([b"\x0a\0\0\1", b"\0" * 10 + b"\xff\xff\x0a\0\0\1", b"\x0a\0\0\2"]),
    },
)


@given(text=_tests(3), bag=BAGS)
@settings(max_examples=400, deadline=None)
def test_compiled_code_agrees_with_the_reference(text: str, bag: dict[str, Any]) -> None:
    program = compile_expression(text, ISTIO, language=Language.CEXL)
    try:
        wanted: object = evaluate(parse(text).tree, bag)
    except Missing:
        wanted = Missing
    for each in (bag, TrackedBag(bag)):
        try:
            got: object = program.evaluate(each)
        except AbsentError:
            got = Missing
        assert got == wanted


@given(text=_tests(3), bag=BAGS)
@settings(max_examples=200, deadline=None)
def test_a_value_rests_on_its_references_alone(text: str, bag: dict[str, Any]) -> None:
    program = compile_expression(text, ISTIO, language=Language.CEXL)
    tracked = TrackedBag(bag)
    first = _outcome(program, tracked)
    assert {each.name for each in tracked.references} <= {each.name for each in program.references}
    kept = {name: value for name, value in bag.items() if any(each.name == name for each in tracked.references)}
    assert _outcome(program, kept) == first


@given(text=_tests(2), bag=BAGS)
@settings(max_examples=200, deadline=None)
def test_a_condition_does_not_hold_without_the_values_that_it_waits_for(text: str, bag: dict[str, Any]) -> None:
    program = compile_expression(text, ISTIO, language=Language.CEXL)
    for each in awaited(program.term):
        if each.reference.read(bag) not in each.values:
            assert _outcome(program, bag) is not True


def _outcome(program: Any, bag: Any) -> object:
    try:
        return program.evaluate(bag)
    except EvaluationError as error:
        return str(error)


_PIECES = st.sampled_from(
    [
        "source.name",
        "(",
        ")",
        "[",
        "]",
        "|",
        "&&",
        "==",
        '"a"',
        "'a'",
        "!",
        "-",
        "1",
        "1.5",
        ".",
        ",",
        "?",
        ":",
        "in",
        "has",
        "match",
        "ip",
        "matches",
        "true",
        "conditional",
        "\\",
        "ä",
        "\n",
        "emptyStringMap()",
    ]
)


@given(text=st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=30).map("".join)))
@settings(max_examples=600, deadline=None)
@example("!" * 47 + "(" * 47)
@example("[" * 40 + "]" * 40)
def test_any_text_is_a_program_or_an_error_with_a_place_inside(text: str) -> None:
    refusal = None
    try:
        _outcome(compile_expression(text, ISTIO), {"source.name": "a"})
    except ExpressionError as error:
        refusal = error
    if refusal is not None:
        assert 0 <= refusal.position.offset <= len(text)
        assert refusal.position.line >= 1
        assert refusal.message
