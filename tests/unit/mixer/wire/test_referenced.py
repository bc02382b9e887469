"""Referenced attributes over the wire."""

from __future__ import annotations

import pytest

from mixer.attributes import Condition, Reference
from mixer.wire import dictionary, messages, referenced
from mixer.wire.compressed import WireError

TOLD = {
    Reference("request.headers", "x-mine"): Condition.ABSENCE,
    Reference("request.headers"): Condition.EXACT,
    Reference("source.namespace"): Condition.EXACT,
    Reference("my.own"): Condition.REGEX,
}


@pytest.mark.parametrize("shared", [0, len(dictionary.GLOBAL)])
def test_references_come_back_as_they_went(shared: int) -> None:
    assert referenced.decode(referenced.encode(TOLD, shared)) == TOLD


def test_an_unknown_condition_is_an_error() -> None:
    message = messages.ReferencedAttributes()
    message.attribute_matches.add(name=0)
    with pytest.raises(WireError, match=r"source\.ip: condition 0"):
        referenced.decode(message)
