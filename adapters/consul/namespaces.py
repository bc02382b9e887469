"""Which namespace a service is in, as keys of Consul's KV store say: PREFIX/SERVICE holds the namespace. Pure.

Kept by `adapters.consul.loop` for the option `namespace` = `kv:PREFIX`. For those who want to move a service to a
namespace without registering its instances anew, and in one place for all of them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping

import attrs

from adapters.consul.convert import NAMESPACE, UnreadableError
from adapters.instance import DEFAULT_NAMESPACE, Instance
from adapters.platform import Problem


@attrs.frozen
class Namespaces:
    """By service; a service without a key, or whose key says nothing that can be one, is in the default namespace."""

    of: Mapping[str, str] = attrs.field(factory=dict)
    problems: tuple[Problem, ...] = ()

    def placed(self, name: str, instances: Iterable[Instance]) -> list[Instance]:
        """The instances of a service, in its namespace."""
        namespace = self.of.get(name, DEFAULT_NAMESPACE)
        return [each if each.namespace == namespace else attrs.evolve(each, namespace=namespace) for each in instances]

    def moved(self, other: Namespaces) -> set[str]:
        """The services that are in another namespace there."""
        return {name for name in self.of.keys() | other.of.keys() if self.of.get(name) != other.of.get(name)}


def doubt(before: Namespaces | None, found: Namespaces, *, hidden: bool, was_away: bool) -> str:
    """Why what was read is not believed; empty if it is.

    `hidden`: Consul says that the token may not see everything. `was_away`: Consul was, since it was last believed.
    """
    if hidden:
        return "the ACL token may not read all of these keys; allow it key_prefix read"
    if was_away and before is not None and before.of and not found.of:
        return "suspect: all keys vanished while Consul was away; namespaces stay as last told until there are some"
    return ""


def path_of(prefix: str) -> str:
    """What to read, with the parameter `recurse`."""
    return f"/v1/kv/{prefix}/"


def read(body: bytes, prefix: str) -> Namespaces:
    """An answer of /v1/kv/PREFIX/?recurse. UnreadableError if it is none."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        for entry in json.loads(body):
            name = str(entry["Key"]).removeprefix(f"{prefix}/")
            said = base64.b64decode(entry["Value"] or "", validate=True).decode("utf-8", "replace").strip()
            if not name or not said:
                continue
            if NAMESPACE.fullmatch(said):
                found[name] = said
            else:
                message = f"{said[:80]!r} is no namespace: {name} is in {DEFAULT_NAMESPACE}"
                mend = "use small letters, digits and dashes; at most 63"
                problems.append(Problem(f"consul kv {prefix}/{name}", message, mend))
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as fault:
        raise UnreadableError(f"not keys and values: {fault!r}") from fault
    return Namespaces(found, tuple(problems))
