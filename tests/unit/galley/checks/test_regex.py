"""Which regular expressions pass as RE2's."""

from __future__ import annotations

import pytest

from galley.checks.regex import judge


@pytest.mark.parametrize(
    "pattern",
    [
        "a.*",
        r"/(v\d+)/[^/]+",
        "(?i)get",
        "a(?i)b",
        "(?P<name>x)",
        "(?<name>x)",
        r"\pL+\p{Greek}",
        r"[[:alpha:]\d]+",
        r"[]a]",
        r"[^]a]",
        r"a\z",
        r"\Q(((\E",
        r"\*+",
        r"\\1",
        "a{1000}",
        "(?:a|b)??",
        r"\x{10FFFF}",
        "(?s-i:a)",
    ],
)
def test_what_re2_takes_passes(pattern: str) -> None:
    assert judge(pattern).fault == ""


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("", "empty"),
        ("(a", "not a valid regular expression"),
        ("[a", "not a valid regular expression"),
        ("*a", "not a valid regular expression"),
        ("a\\", "not a valid regular expression"),
        ("(?=a)", "lookaround"),
        ("(?!a)", "lookaround"),
        ("(?<=a)b", "lookaround"),
        ("(?<!a)b", "lookaround"),
        (r"(a)\1", "backreferences"),
        (r"(?P<n>a)(?P=n)", "backreferences"),
        ("(?>a)", "atomic"),
        ("a*+", "bad repetition operator"),
        ("a{2}+", "bad repetition operator"),
        ("(a)?(?(1)b)", "conditional"),
        ("(?#note)a", "comments"),
        ("(?x)a", "not a valid regular expression"),
        ("a{1001}", "invalid repetition size"),
        (r"a\Z", "invalid escape sequence"),
        ("a" * 1025, "1025 characters"),
        ("(" * 500, "not a valid regular expression"),
        (r"\p{Nonsense}", "invalid character class range"),
        ("[[:nonsense:]]", "invalid character class range"),
        (r"\x{110000}", "invalid escape sequence"),
        ("(a{1000}){1000}", "invalid repetition size"),
        ("(?P<\u00e9>x)", "beyond ASCII"),
        ("((a{10}){10}){9}" * 40, "too large"),
    ],
)
def test_what_re2_refuses_is_refused(pattern: str, fault: str) -> None:
    judgement = judge(pattern)
    assert fault in judgement.fault
    assert judgement.mend


def test_groups_are_counted() -> None:
    assert judge("(a)(?:b)(?P<c>c)").groups == 2
