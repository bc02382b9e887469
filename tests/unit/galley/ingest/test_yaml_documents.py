"""Bytes to documents with positions, and every way in which bytes are no documents."""

from __future__ import annotations

import pytest

from galley.document import Loaded, Unreadable
from galley.ingest.yaml_documents import MAX_BYTES, MAX_NODES, read_documents
from tests.unit.galley.documents import document, loaded

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


def test_every_path_has_its_place() -> None:
    found = document("a:\n  - b: 1\n    c: {d: 2}\n  - x\n", "u.yaml")
    assert found.body == {"a": [{"b": 1, "c": {"d": 2}}, "x"]}
    assert found.where(()) == "u.yaml:1:1"
    assert found.where(("a",)) == "u.yaml:1:1"
    assert found.where(("a", 0)) == "u.yaml:2:5"
    assert found.where(("a", 0, "c", "d")) == "u.yaml:3:9"
    assert found.where(("a", 1)) == "u.yaml:4:5"
    assert found.where(("a", 0, "c", "nothing", 3)) == "u.yaml:3:5"


def test_documents_are_apart_and_empty_ones_left_out() -> None:
    bodies = [each.body for each in loaded("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n").documents]
    assert bodies == [{"a": 1}, {"b": 2}]


def test_an_empty_unit_holds_nothing() -> None:
    assert loaded("").documents == ()


def test_json_is_read() -> None:
    assert document('{"a": [1, true, null],\n\t"b": "x"}').body == {"a": [1, True, None], "b": "x"}


def test_aliases_and_merge_keys_are_expanded() -> None:
    found = document("base: &b {x: 1, y: 2}\nhere: {<<: *b, y: 3}\nboth: {<<: [*b, {z: 4}]}\nlist: [*b]\n")
    assert found.body["here"] == {"x": 1, "y": 3}
    assert found.body["both"] == {"x": 1, "y": 2, "z": 4}
    assert found.where(("list", 0, "x")) == "rules.yaml:4:8"


def test_a_quoted_merge_key_is_a_key() -> None:
    assert document('{"<<": 1}').body == {"<<": 1}


def test_a_byte_order_mark_and_utf_16_are_read() -> None:
    assert isinstance(read_documents("u", "\ufeffa: ü\n".encode()), Loaded)
    assert isinstance(read_documents("u", "a: ü\n".encode("utf-16")), Loaded)


BAD = [
    ("a: [1\nb: 2\n", "2:2", "is not valid YAML: did not find expected ',' or ']'", "correct the syntax"),
    ("a: b: c\n", "1:5", "is not valid YAML: mapping values are not allowed", "correct the syntax"),
    ("a: 1\nb: 2\na: 3\n", "3:1", "the key 'a' is given twice in one mapping, first in line 1", "keep one"),
    ("x: {a: 1, a: 2}\n", "1:11", "the key 'a' is given twice", "keep one"),
    ("- a\n", "1:1", "the document is not a mapping", "one object a document"),
    ("hello\n", "1:1", "the document is not a mapping", "one object a document"),
    ("? [a]\n: b\n", "1:3", "a key must be a scalar", "as a word"),
    ("a: !!python/object:os.system {}\n", "1:4", "the tag tag:yaml.org,2002:python/object:os.system is not", "remove"),
    ("a: !secret b\n", "1:4", "the tag !secret is not supported", "remove the tag"),
    ("a: !!int b\n", "1:4", "'b' does not fit its tag !!int", "correct the value"),
    ("a: *b\n", "1:4", "the alias *b refers to no anchor", "write out"),
    ("a: &a [*a]\n", "1:8", "the alias *a refers to itself", "write out"),
    ("a: {<<: 3}\n", "1:9", "'<<' merges mappings only", "alias of a mapping"),
    (BOMB, "6:17", f"expands to more than {MAX_NODES} nodes", "fewer aliases"),
    ("a: " + "[" * 200 + "]" * 200, "1:103", "is nested deeper than 100 levels", "brackets"),
    ("[" * 3000, "1:1001", "is not valid YAML: exceeded maximum nesting depth", "correct the syntax"),
    ("a: 1\nb: \x00\n", "2:4", "holds the control character U+0000", "plain text"),
]


@pytest.mark.parametrize(("text", "place", "message", "mend"), BAD, ids=[case[2][:40] for case in BAD])
def test_what_cannot_be_read_is_told_with_place_and_mend(text: str, place: str, message: str, mend: str) -> None:
    event = read_documents("u.yaml", text.encode())
    assert isinstance(event, Unreadable)
    assert message in event.message
    assert mend in event.mend
    assert event.where == f"u.yaml:{place}"


def test_bytes_that_are_no_text() -> None:
    event = read_documents("u.yaml", b"a: 1\nb: \xff\n")
    assert isinstance(event, Unreadable)
    assert event.where == "u.yaml:2:4"
    assert event.mend == "save it as UTF-8"


def test_a_unit_that_is_too_large() -> None:
    event = read_documents("u.yaml", b"#" * (MAX_BYTES + 1))
    assert isinstance(event, Unreadable)
    assert "larger than" in event.message
