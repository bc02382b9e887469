"""Writes crds.yaml and rbac-config.yaml beside this file, from the registry of kinds; `make docs` runs it.

The definitions are as small as Kubernetes allows: what a field may hold is checked by galley, for all sources alike.
Kinds of Kubernetes' own groups (Gateway API) have definitions of their own, which are not ours to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from galley.kind import KINDS, Kind

HERE = Path(__file__).resolve().parent
CRDS = HERE / "crds.yaml"
RBAC = HERE / "rbac-config.yaml"
SHORT = {"DestinationRule": ["dr"], "Gateway": ["gw"], "ServiceEntry": ["se"], "VirtualService": ["vs"]} | {
    "WorkloadEntry": ["we"],
    "WorkloadGroup": ["wg"],
}
_GENERATED = "# Written by `make docs` from the registry of kinds (crds.py).\n"
_ABOUT_CRDS = (
    _GENERATED
    + "# For clusters without Istio: where Istio's own definitions are installed, they serve as well, and stay.\n"
)
_ABOUT_RBAC = _GENERATED + "# What `--config kubernetes:` needs beside rbac.yaml, which makes the account.\n"
_ROLE = "mesh-adapter-config"


def plural(kind: str) -> str:
    """As Kubernetes spells its resources."""
    name = kind.lower()
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"


def crds() -> str:
    """The definitions of all kinds that are not Kubernetes' own."""
    return _ABOUT_CRDS + _dumped(_definition(kind) for kind in KINDS if not kind.group.endswith(".k8s.io"))


def rbac() -> str:
    """A role that may read all kinds, and who has it."""
    groups: dict[str, list[str]] = {}
    for kind in KINDS:
        groups.setdefault(kind.group, []).append(plural(kind.name))
    rules = [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": ["list", "watch"]}
        for group, plurals in sorted(groups.items())
    ]
    about = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": _ROLE}}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _ROLE}
    subject = {"kind": "ServiceAccount", "name": "mesh-adapter", "namespace": "mesh-system"}
    role = {**about, "kind": "ClusterRole", "rules": rules}
    return _ABOUT_RBAC + _dumped(
        [role, {**about, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]}]
    )


def _definition(kind: Kind[Any]) -> dict[str, Any]:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": free, "status": free}}}
    newest = kind.versions[-1]
    versions = [
        {
            "name": version,
            "served": True,
            "storage": version == newest,
            "schema": schema,
            "subresources": {"status": {}},
        }
        for version in kind.versions
    ]
    names: dict[str, Any] = {"kind": kind.name, "listKind": f"{kind.name}List"}
    names |= {"plural": plural(kind.name), "singular": kind.name.lower()}
    names |= {"shortNames": SHORT[kind.name]} if kind.name in SHORT else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural(kind.name)}.{kind.group}"},
        "spec": {"group": kind.group, "names": names, "scope": "Namespaced", "versions": versions},
    }


class _Plain(yaml.SafeDumper):
    """Without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _dumped(items: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> str:
    return yaml.dump_all(items, Dumper=_Plain, sort_keys=False, explicit_start=True, width=120)


if __name__ == "__main__":
    CRDS.write_text(crds(), encoding="utf-8")
    RBAC.write_text(rbac(), encoding="utf-8")
