"""Tables of fields as message classes."""

from __future__ import annotations

import pytest

from mixer.wire import proto


def test_oneofs_maps_and_imports() -> None:
    made = proto.classes(
        "test.v1",
        {"Point": "x=1:sint32|where y=2:string|where kind=3:Kind by_name=4:map<string,Point> s=5:other.v1.Size[]"},
        {"Kind": "NONE SOME"},
        {"other.v1.Size": "n=1:int64"},
    )
    point = made["Point"](x=-1, kind="SOME", by_name={"a": made["Point"](y="b")}, s=[{"n": 3}])
    again = made["Point"].FromString(point.SerializeToString())
    assert again == point
    assert again.WhichOneof("where") == "x"
    assert again.DESCRIPTOR.full_name == "test.v1.Point"


def test_a_field_that_cannot_be_read_names_itself() -> None:
    with pytest.raises(ValueError, match=r"test\.v1\.Point: cannot read the field 'x:1'"):
        proto.classes("test.v1", {"Point": "x:1"}, {}, {})
