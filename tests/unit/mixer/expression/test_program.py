"""What expressions say, in both languages, and what is said against them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mixer.attributes import Condition, Reference, TrackedBag, ValueType
from mixer.expression import AbsentError, EvaluationError, ExpressionError, Language, compile_expression
from mixer.vocabulary import ISTIO

BAG: dict[str, Any] = {
    "request.headers": {"x-user": "ada", "host": "a"},
    "request.path": "/v1/books",
    "request.time": datetime.datetime(2019, 4, 1, 12, tzinfo=datetime.UTC),
    "response.code": 200,
    "response.duration": datetime.timedelta(milliseconds=20),
    "source.ip": b"\x0a\x00\x00\x01",
    "source.labels": {"app": "web"},
    "source.namespace": "prod",
    "connection.mtls": True,
}

VALUES = [
    ('request.headers["x-user"] == "ada"', True),
    ('request.headers["X-User"] == "ada"', True),  # header names have no case
    ('source.namespace != "prod" || connection.mtls', True),
    ('source.namespace == "prod" && !connection.mtls', False),
    ('source.labels["svc"] | source.labels["app"] | "unknown"', "web"),
    ('request.useragent | "none"', "none"),
    ('request.useragent | "none" == "none"', True),  # `|` binds as `+` does, tighter than ==
    ('(request.query_params | emptyStringMap())["q"] | "0"', "0"),
    ('match(request.path, "/v1/*") && match(request.path, "*books") && match(request.path, "/v1/books")', True),
    ('"^/v[0-9]/".matches(request.path)', True),
    ('request.path.matches("^/v[0-9]/")', True),
    ('request.path.startsWith("/v1") && request.path.endsWith("s")', True),
    ('conditional(response.code == 200, "ok", request.host)', "ok"),
    ('toLower("ABC") + reverse("abc")', "abccba"),
    ('size("admin")', 5),
    ("response.code >= 200 && response.code < 300", True),
    ("response.code + 1", 201),
    ('response.duration > "5ms"', True),
    ('response.duration | "0ms"', datetime.timedelta(milliseconds=20)),
    ('connection.duration | "1m30s"', datetime.timedelta(seconds=90)),
    ('source.namespace | "5ms"', "prod"),  # beside a string it stays one
    ('source.ip == ip("10.0.0.1")', True),
    ('source.ip == ip("::ffff:10.0.0.1")', True),
    ('source.ip | ip("0.0.0.0")', b"\x0a\x00\x00\x01"),
    ('request.time < timestamp("2019-04-01T14:00:00.5+01:00")', True),
    ('dnsName("WWW.Example.com.") == dnsName("www.example.com")', True),
    ('email("ada@Example.com") == email("ada@example.com")', True),
    ('uri("HTTP://example.com:80/a/../b") == uri("http://example.com/b")', True),
    ("-3", -3),
    ("1.5 < 2", True),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_an_expression_of_istio_has_this_value(text: str, value: object) -> None:
    assert compile_expression(text, ISTIO, language=Language.CEXL).evaluate(BAG) == value


CEL = [
    ("request.headers['x-user'] == 'ada'", True),
    ("request.headers.host == 'a'", True),
    ("has(request.headers.nothing) ? 'yes' : 'no'", "no"),
    ("'x-user' in request.headers", True),
    ("source.namespace in ['dev', 'prod']", True),
    ("source.ip in [ip('10.0.0.2'), ip('10.0.0.1')]", True),
    ("request.host == 'x' || source.namespace == 'prod'", True),  # an error is absorbed
    ("source.namespace == 'dev' && request.host == 'x'", False),
    ("request.host == 'x' && source.namespace == 'dev'", False),
    ("request.path.size() + 2 * 3 - 7 / 2 % 2", 14),
    ("-7 / 2", -3),
    ("-7 % 2", -1),
    ("response.duration < duration('1s') && request.path.contains('ook')", True),
    ("string(response.code) + 'x'", "200x"),
    ("int('12') + int(2.9)", 14),
]


@pytest.mark.parametrize(("text", "value"), CEL)
def test_an_expression_of_cel_has_this_value(text: str, value: object) -> None:
    assert compile_expression(text, ISTIO, language=Language.CEL).evaluate(BAG) == value


def test_the_text_says_which_language_it_is() -> None:
    assert compile_expression('source.namespace == "a"', ISTIO).language is Language.CEXL
    assert compile_expression("source.namespace == 'a'", ISTIO).language is Language.CEL
    assert compile_expression('has(source.name) && source.name == "a"', ISTIO).language is Language.CEL
    with pytest.raises(ExpressionError, match="1:18: a form of CEL's language in an expression of CEXL"):
        compile_expression('source.namespace in [\'a\'] || match(source.name | "b", "*")', ISTIO)


MISTAKES = [
    ("", "1:1: is empty"),
    ("request.headrs", "1:1: unknown attribute request.headrs"),
    ('source.namespace ==\n  "a" && 3', "2:10: expected BOOL, got INT64"),
    ('source.ip == "10.0.0.1"', "1:14: expected IP_ADDRESS, got STRING"),
    ('ip("300.0.0.1") == source.ip', "1:1: '300.0.0.1' is no IP address"),
    ('timestamp("2019-02-30T00:00:00Z")', "1:1: '2019-02-30T00:00:00Z' is no timestamp (RFC 3339)"),
    ('"(".matches(request.path)', "1:1: the pattern is not a valid regular expression: missing ): ("),
    ("request.path.matches(request.host)", "1:14: the pattern of matches is no literal"),
    ("match(request.path)", "1:1: match takes 2 arguments, not 1"),
    ("matsch(request.path)", "1:1: unknown function matsch"),
    ('has(request.path) && request.host | "a" == "b"', "1:1: a form of CEL's language in an expression of CEXL"),
    ("source.labels[1]", "1:15: expected STRING, got INT64"),
    ('source.namespace["a"]', "1:1: expected STRING_MAP, got STRING"),
    ("connection.mtls < true", "1:17: < has no meaning for BOOL"),
    ("request.path = 3", "1:14: unexpected '='"),
    ('request.path == "a', "1:17: unexpected '\"'"),
    ("(request.path", "1:14: unexpected the end, expected ')'"),
    ("9223372036854775808", "1:1: 9223372036854775808 does not fit into 64 bits"),
    ("__import__('os')", "1:1: unknown function __import__"),
    ("request.__class__", "1:1: unknown attribute request.__class__"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, ISTIO)
    assert str(caught.value) == message


HOSTILE = {
    "1 MB": '"a" == "' + "a" * 1_000_000 + '"',
    "deep brackets": "(" * 10_000 + "true" + ")" * 10_000,
    "deep negation": "!" * 10_000 + "true",
    "deep subscripts": "source.labels" + '["a"]' * 2_000,
    "deep comparison": "1" + "==1" * 3_000,
    "deep subtraction": "1" + "-1" * 3_000,
    "many parts": "||".join(["connection.mtls"] * 1_100),
    "a wide default": "|".join(["source.name"] * 900),
    "a wide sum": "+".join(["source.name"] * 900),
    "deep calls": "toLower(" * 500 + '"a"' + ")" * 500,
    "a heavy pattern": '"((a{100}){100}){100}".matches(source.name)',
    "an endless pattern": '"' + "a" * 2_000 + '".matches(source.name)',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_too_large_or_too_deep_is_refused_when_it_is_read(name: str) -> None:
    with pytest.raises(ExpressionError, match=r"more than|deep|too large|repetition size"):
        compile_expression(HOSTILE[name], ISTIO)


def test_a_text_cannot_grow_without_bound() -> None:
    text = "+".join(["source.name"] * 90)
    program = compile_expression(text, ISTIO)
    assert program.evaluate({"source.name": "ab"}) == "ab" * 90
    with pytest.raises(EvaluationError, match="grew beyond"):
        program.evaluate({"source.name": "a" * 10_000})


def test_re2_takes_linear_time_on_what_others_backtrack_over() -> None:
    program = compile_expression('"(a+)+$".matches(request.path)', ISTIO)
    assert program.evaluate({"request.path": "a" * 50_000 + "!"}) is False


def test_absence_is_an_error_that_names_what_is_absent() -> None:
    for text, message in (
        ('request.host == "a"', "attribute request.host is absent"),
        ('source.labels["b"]', 'source.labels has no entry "b"'),
        ('request.host == "a" || true', "attribute request.host is absent"),  # CEL would absorb it
    ):
        with pytest.raises(AbsentError) as caught:
            compile_expression(text, ISTIO).evaluate(BAG)
        assert str(caught.value) == message


def test_numbers_stay_within_64_bits() -> None:
    with pytest.raises(EvaluationError, match="64 bits"):
        compile_expression("response.code + 9223372036854775807", ISTIO).evaluate(BAG)


def test_a_bag_that_breaks_its_vocabulary_is_an_evaluation_error() -> None:
    with pytest.raises(EvaluationError):
        compile_expression("response.code < 300", ISTIO).evaluate({"response.code": "200"})


def test_what_is_read_is_accounted_for_and_nothing_else() -> None:
    bag = TrackedBag(BAG)
    compile_expression('source.labels["app"] | source.labels["svc"] | request.host', ISTIO).evaluate(bag)
    assert bag.references == {Reference("source.labels", "app"): Condition.EXACT}
    compile_expression('request.useragent | request.headers["nothing"] | source.namespace', ISTIO).evaluate(bag)
    assert bag.references == {
        Reference("source.labels", "app"): Condition.EXACT,
        Reference("request.useragent"): Condition.ABSENCE,
        Reference("request.headers", "nothing"): Condition.ABSENCE,
        Reference("source.namespace"): Condition.EXACT,
    }


def test_a_program_tells_all_that_it_may_read() -> None:
    program = compile_expression('source.labels["app"] | request.host | "x"', ISTIO)
    assert program.references == {Reference("source.labels", "app"), Reference("request.host")}


def test_the_wanted_type_is_held_to() -> None:
    assert compile_expression('"5ms"', ISTIO, ValueType.STRING).type is ValueType.STRING
    assert compile_expression('"5ms"', ISTIO).type is ValueType.DURATION
    with pytest.raises(ExpressionError, match="expected BOOL, got STRING"):
        compile_expression("request.path", ISTIO, ValueType.BOOL)
