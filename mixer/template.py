"""What handlers are given: templates with their fields, and the registry of those we know.

A template says which fields an instance has and of which types; `mixer.instance` compiles an instance object against
it. Outside packages add templates by the entry point group `mesh_adapter.templates` (`name = module:TEMPLATE`).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from mixer.attributes import ValueType


class Variety(enum.Enum):
    """When a template's handlers are called, and what they answer (adapter/model/v1beta1/extensions.proto)."""

    CHECK = "CHECK"
    REPORT = "REPORT"
    QUOTA = "QUOTA"
    ATTRIBUTE_GENERATOR = "ATTRIBUTE_GENERATOR"
    CHECK_WITH_OUTPUT = "CHECK_WITH_OUTPUT"


@attrs.frozen
class Scalar:
    """One expression, of one of the types; of any type if none is said (policy.v1beta1.Value)."""

    types: tuple[ValueType, ...] = ()


@attrs.frozen
class Entries:
    """Expressions by names that the operator chooses."""

    of: Scalar = Scalar()


@attrs.frozen
class Message:
    """A message of its own inside the template."""

    fields: Mapping[str, Field]


Field = Scalar | Entries | Message


@attrs.frozen(eq=False)
class Template:
    """`outputs` are what an ATTRIBUTE_GENERATOR or CHECK_WITH_OUTPUT handler gives back, by name and type.

    Attribute bindings read them as `$out.NAME`, header operations as `ACTION.output.NAME`.
    """

    name: str
    variety: Variety
    fields: Mapping[str, Field] = attrs.field(factory=dict)
    outputs: Mapping[str, ValueType] = attrs.field(factory=dict)
