"""What the ID of a service says of the Nomad allocation that registered it. Pure.

Called by `adapters.consul.convert`. Nomad registers services of `provider = "consul"` under IDs of its own making:
`_nomad-task-ALLOCATION-TASK-SERVICE-PORT`, with `group-GROUP` in the place of the task for a service of a group.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ID = re.compile(r"_nomad-task-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(.+)", re.DOTALL)
_GROUP = "group-"


def nomad_labels(identity: str, name: str) -> Mapping[str, str]:
    """The labels that the platform nomad gives its own instances, as far as the ID tells; none for other IDs."""
    found = _ID.fullmatch(identity)
    if found is None:
        return {}
    allocation, rest = found.groups()
    owner, _, _ = rest.rpartition(f"-{name}-")
    if not owner:
        return {"nomad.alloc": allocation}
    if owner.startswith(_GROUP):
        return {"nomad.alloc": allocation, "nomad.group": owner.removeprefix(_GROUP)}
    return {"nomad.alloc": allocation, "nomad.task": owner}
