"""Whether Envoy's RE2 will take a regular expression.

RE2 itself isn't at hand, so the expression is scanned for what RE2 lacks (and named in the refusal), what only RE2 has
is replaced by something alike, and Python's compiler judges the rest. It errs on the side of refusing: an expression
that gets past here and not past RE2 would be a NACK for every proxy.
"""

from __future__ import annotations

import re
import warnings

import attrs

MAX_LENGTH = 1024
_MAX_REPEAT = 1000  # RE2 refuses more

# What RE2 lacks: where it stands, and its name. Order matters: the longer form first.
_LACKING = (
    (re.compile(r"\(\?<?[=!]"), "lookaround"),
    (re.compile(r"\(\?P="), "backreferences"),
    (re.compile(r"\\(?:[1-9]|k)"), "backreferences"),
    (re.compile(r"\(\?>"), "atomic groups"),
    (re.compile(r"\(\?\("), "conditional groups"),
    (re.compile(r"\(\?#"), "comments"),
    (re.compile(r"\\[ZuUN]"), "this escape"),
    (re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\+"), "possessive quantifiers"),
)
# What RE2 has beyond Python, and something of the same shape.
_BEYOND = (
    (re.compile(r"\\Q.*?(?:\\E|$)", re.DOTALL), "x"),
    (re.compile(r"\\[pP](?:\{\^?\w+\}|\w)"), "x"),
    (re.compile(r"\\x\{[0-9A-Fa-f]{1,6}\}"), "x"),
    (re.compile(r"\\z"), r"\\Z"),
    (re.compile(r"\\C"), "."),
    (re.compile(r"\(\?<(?=[A-Za-z_])"), "(?P<"),
    (re.compile(r"\(\?[imsU]*(?:-[imsU]+)?\)"), ""),
    (re.compile(r"\(\?[imsU]*(?:-[imsU]+)?:"), "(?:"),
)
_FLAGS = re.compile(r"\(\?([A-Za-z-]+)[:)]")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")


@attrs.frozen
class Judgement:
    """`fault` is empty for an expression that passes; `groups` is then how many capture groups it has."""

    fault: str = ""
    mend: str = ""
    groups: int = 0


def judge(pattern: str) -> Judgement:
    """What RE2 would say of `pattern`."""
    if not pattern:
        return Judgement("is an empty regular expression", "leave it out to match everything")
    if len(pattern) > MAX_LENGTH:
        return Judgement(f"is {len(pattern)} characters long, more than {MAX_LENGTH}", "shorten it")
    translated = _translate(pattern)
    return translated if isinstance(translated, Judgement) else _compile(translated)


def _translate(pattern: str) -> str | Judgement:
    """The pattern as Python reads it, or why RE2 would not."""
    out: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        if in_class:
            text, at, in_class = _step_in_class(pattern, at)
        else:
            lacking = _lacking(pattern, at)
            if lacking:
                return _no_re2(lacking)
            text, at, in_class = _step(pattern, at)
        out.append(text)
    return "".join(out)


def _lacking(pattern: str, at: int) -> str:
    for form, name in _LACKING:
        if form.match(pattern, at):
            return name
    flags = _FLAGS.match(pattern, at)
    if flags and set(flags[1]) - set("imsU-"):
        return f"the flags {flags[1]}"
    repeat = _REPEAT.match(pattern, at)
    if repeat and max(int(number) for number in repeat.groups() if number) > _MAX_REPEAT:
        return f"repetition of more than {_MAX_REPEAT}"
    return ""


def _no_re2(what: str) -> Judgement:
    return Judgement(f"is not a valid RE2 regular expression: {what} not supported", "write it without (RE2 syntax)")


def _step(pattern: str, at: int) -> tuple[str, int, bool]:
    for form, alike in _BEYOND:
        found = form.match(pattern, at)
        if found:
            return found.expand(alike), found.end(), False
    if pattern[at] == "\\":
        return pattern[at : at + 2], at + 2, False
    if pattern[at] == "[":
        start = re.compile(r"\[\^?\]?").match(pattern, at)
        assert start is not None
        return start[0], start.end(), True
    return pattern[at], at + 1, False


def _step_in_class(pattern: str, at: int) -> tuple[str, int, bool]:
    posix = _POSIX_CLASS.match(pattern, at)
    if posix:
        return "a", posix.end(), True
    if pattern[at] == "\\":
        unicode_class = _BEYOND[1][0].match(pattern, at) or _BEYOND[2][0].match(pattern, at)
        return ("x", unicode_class.end(), True) if unicode_class else (pattern[at : at + 2], at + 2, True)
    if pattern[at] == "[":
        return r"\[", at + 1, True
    return pattern[at], at + 1, pattern[at] != "]"


def _compile(pattern: str) -> Judgement:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of set operations that Python may get one day; RE2 reads them literally
            return Judgement(groups=re.compile(pattern).groups)
    except (re.error, RecursionError, OverflowError) as fault:
        return Judgement(f"is not a valid regular expression: {fault}", "correct it (RE2 syntax)")
