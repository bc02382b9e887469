"""YAML within limits."""

from __future__ import annotations

import time

import pytest

from adapters.document import MAX_BYTES, Fields, Items, MalformedError, Mark, Scalar, read


def test_nodes_know_their_place() -> None:
    root = read(b"services:\n  - name: web\n")
    assert isinstance(root, Fields)
    key, value = root.entries[0]
    assert isinstance(key, Scalar)
    assert isinstance(value, Items)
    assert (key.mark, value.items[0].mark) == (Mark(1, 1), Mark(2, 5))


def test_json_is_read_too() -> None:
    assert isinstance(read(b'{"services": [\n\t{"name": "a\\/b"}]}'), Fields)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 3000,
        b"[" * 1_000_000,
        b"- " * 20_000,
        b"{a: " * 5000,
        b"a: [",
        b"a: 1\n b: 2",
        b"\xff\xfe\x00",
        b"\x00",
        b"a: *b",
        b"a: &a [*a]",
        b"--- a\n--- b\n",
        b"",
        b"# only a remark\n",
        b"x" * (MAX_BYTES + 1),
        b"a: !!python/object/apply:os.system [",
    ],
)
def test_what_is_no_document_is_said_to_be_none_and_soon(content: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(MalformedError) as caught:
        read(content)
    assert caught.value.mark.line >= 1
    assert time.monotonic() - start < 5


def test_aliases_are_fine_but_not_bombs() -> None:
    assert isinstance(read(b"a: &a {x: 1}\nb: [*a, *a]"), Fields)
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n".encode() for i in range(1, 9)
    )
    with pytest.raises(MalformedError, match="aliases"):
        read(bomb)


def test_a_tag_of_python_is_text_only() -> None:
    root = read(b"a: !!python/object/apply:os.system ls")
    assert isinstance(root, Fields)
    assert isinstance(root.entries[0][1], Scalar)
