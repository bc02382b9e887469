"""Whether Envoy's RE2 will take a regular expression: RE2 itself says.

An expression that got past here and not past Envoy would be a NACK for every proxy. What RE2 lacks and operators are
used to from other languages is named in the refusal.
"""

from __future__ import annotations

import functools
import re

import attrs
import re2

MAX_LENGTH = 1024
MAX_PROGRAM_SIZE = 32768
"""Instructions of the compiled expression; our bootstrap raises Envoy's limit to it (`re2.max_program_size`)."""
_ASCII_NAME = re.compile(r"\(\?P?<(\w+)>")

# What RE2 lacks, and its name. Order matters: the longer form first.
_LACKING = (
    (re.compile(r"\(\?<?[=!]"), "lookaround"),
    (re.compile(r"\(\?P="), "backreferences"),
    (re.compile(r"(?<!\\)\\(?:[1-9]|k)"), "backreferences"),
    (re.compile(r"\(\?>"), "atomic groups"),
    (re.compile(r"\(\?\("), "conditional groups"),
    (re.compile(r"\(\?#"), "comments"),
)


@attrs.frozen
class Judgement:
    """`fault` is empty for an expression that passes; `groups` is then how many capture groups it has."""

    fault: str = ""
    mend: str = ""
    groups: int = 0


@functools.lru_cache(maxsize=4096)
def judge(pattern: str) -> Judgement:
    """What RE2 says of `pattern`."""
    if not pattern:
        return Judgement("is an empty regular expression", "leave it out to match everything")
    if len(pattern) > MAX_LENGTH:
        return Judgement(f"is {len(pattern)} characters long, more than {MAX_LENGTH}", "shorten it")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        return _refused(pattern, error)
    if not all(name.isascii() for name in _ASCII_NAME.findall(pattern)):
        return Judgement("names a group with letters beyond ASCII", "use a-z, 0-9 and _ for the group's name")
    if compiled.programsize > MAX_PROGRAM_SIZE:
        return Judgement("is too large when compiled by RE2", "lower its repetition counts, or split the rule")
    return Judgement(groups=compiled.groups)


def _refused(pattern: str, error: Exception) -> Judgement:
    """RE2's own words, and the name of what it lacks where that is the reason."""
    lacking = next((name for form, name in _LACKING if form.search(pattern)), "")
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    if lacking:
        return Judgement(
            f"is not a valid RE2 regular expression: {lacking} not supported ({text})",
            "write it without (RE2 syntax)",
        )
    return Judgement(f"is not a valid regular expression: {text}", "correct it (RE2 syntax)")
