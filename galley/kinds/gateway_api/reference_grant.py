"""ReferenceGrant: who of other namespaces may refer to objects of this one. Data only."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.schema import Becomes


@attrs.frozen
class GrantFrom:
    """Objects of a kind in a namespace."""

    group: str = ""
    kind: str = ""
    namespace: str = ""


@attrs.frozen
class GrantTo:
    """Objects of a kind in the grant's own namespace: one by name, or all."""

    group: str = ""
    kind: str = ""
    name: str = ""


@attrs.frozen
class ReferenceGrant:
    """Any of `from` may refer to any of `to`."""

    from_: Annotated[tuple[GrantFrom, ...], Becomes("nothing: which references are followed")] = ()
    to: Annotated[tuple[GrantTo, ...], Becomes("nothing: which references are followed")] = ()
