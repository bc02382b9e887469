"""Turns facts of Nomad into the model. Pure; the mapping that it implements is the table in docs/reference/nomad.md.

Called by `adapters.nomad.feed` for each registration with what is known around it: its allocation, its node, the
version of the job that runs there, and the results of its checks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from adapters.instance import DEFAULT_MESH_PORT, Instance, meta_port, services_of, tag_labels
from adapters.nomad.facts import Allocation, Declared, Node, Registration, ServiceName, Spec
from adapters.platform import Problem
from pilot.model.service import Endpoint, Health, Labels, Locality, Service, ServiceKey, labels

SETTINGS = ("protocol", "mesh-port", "sidecar-port", "mesh-service-account")
"""Meta keys that say how an instance takes part; also read from tags `KEY=VALUE`, where no meta says otherwise."""

LONGEST_LABEL = 4096
"""Characters of a tag, or of a meta key and value, that become a label: every proxy is told every label."""

_LONGEST_ACCOUNT = 253
_CHILD = re.compile(r"/(dispatch|periodic)-[^/]*$")
_NOT_IN_AN_ACCOUNT = re.compile(r"[^A-Za-z0-9._-]+")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,200}[A-Za-z0-9_])?")


@attrs.frozen
class Around:
    """What is known around a registration.

    `checks`: statuses of its checks, None if none was read yet. `pending` says nothing: the statuses kept are those
    that told something last.
    """

    allocation: Allocation
    node: Node | None = None
    spec: Spec | None = None
    checks: tuple[str, ...] | None = None


def service_key(name: ServiceName) -> ServiceKey:
    """What the service is called in the mesh."""
    return ServiceKey(name[0], f"{name[1]}.{name[0]}.service.nomad")


def services(name: ServiceName, instances: Sequence[Instance]) -> tuple[tuple[Service, ...], tuple[Problem, ...]]:
    """The service that instances of one name make up, of all regions; none if there are none."""
    origin = f"nomad {name[0]}/{name[1]}"
    made, problems = services_of(instances, lambda _: service_key(name), origin, name[1])
    if made and not all(_HOST_LABEL.fullmatch(part) for part in name):
        return (), (*problems, Problem(origin, "the name can't be a host's", "use letters, digits and dashes"))
    return made, problems


def instance(
    found: Registration, around: Around, *, region: str, platform: str
) -> tuple[Instance | None, tuple[Problem, ...]]:
    """The instance that a registration is; None with the problem if it can't be used."""
    where = f"nomad {found.name[0]}/{found.name[1]} ({found.id})"
    meta = _meta(found, around)
    faults: list[Problem] = []
    mesh_port = meta_port(meta, "mesh-port", where, faults) or DEFAULT_MESH_PORT
    port = meta_port(meta, "sidecar-port", where, faults) or found.port
    if not found.address or not 0 < port <= 65535:
        said = f"no usable address: {found.address or 'none'} port {port}"
        return None, (*faults, Problem(where, said, "give the service a port of the group's network block"))
    endpoint = Endpoint(
        address=found.address,
        ports=(),
        instance=f"{region}/{found.id}" if region else found.id,
        labels=_labels(found, around, where, faults),
        locality=Locality(region, found.datacenter, around.node.node_class if around.node else ""),
        health=health(around, is_checked(found, around)),
        service_account=service_account(meta, found.job, around.spec.parent if around.spec else ""),
        platform=platform,
    )
    return Instance(endpoint, port, found.name[0], mesh_port, meta.get("protocol", "")), tuple(faults)


def health(around: Around, checked: bool) -> Health:
    """Leaving before all else; then node and allocation; then checks, until their first result a deployment's word.

    `checked`: whether Nomad runs checks for it.
    """
    allocation, node = around.allocation, around.node
    if allocation.leaving:
        return Health.DRAINING
    if allocation.client_status != "running" or (node is not None and node.status != "ready"):
        return Health.UNHEALTHY
    if around.checks is not None:
        passing = all(status in ("success", "pending") for status in around.checks) and "success" in around.checks
        return Health.HEALTHY if passing else Health.UNHEALTHY
    return Health.UNHEALTHY if checked and allocation.healthy is not True else Health.HEALTHY


def service_account(meta: Mapping[str, str], job: str, parent: str = "") -> str:
    """The account of an instance: meta `mesh-service-account`, else its job's ID.

    A job that was dispatched or is one run of a periodic job has its parent's. What can't be in a SPIFFE ID becomes a
    dash. An attestor of Nomad's identities has to come to the same (claim `nomad_job_id`).
    """
    text = meta.get("mesh-service-account") or parent or _CHILD.sub("", job)
    return _NOT_IN_AN_ACCOUNT.sub("-", text).strip("-")[:_LONGEST_ACCOUNT] or "default"


def declared(found: Registration, around: Around) -> Declared | None:
    """The service as the job that runs there declares it."""
    return around.spec.service(found.name[1], around.allocation.group) if around.spec else None


def is_checked(found: Registration, around: Around) -> bool:
    """Whether Nomad runs checks for it, whose results have to be asked for."""
    there = declared(found, around)
    return there is not None and there.checks > 0


def allocation_of(found: Instance) -> str:
    """The allocation that an instance is of."""
    return dict(found.endpoint.labels)["nomad.alloc"]


def known_labels(allocation: Allocation, node: Node | None) -> Mapping[str, str]:
    """What Nomad itself knows of whatever runs in an allocation."""
    return {
        "canary": "true" if allocation.canary else "false",
        "nomad.alloc": allocation.id,
        "nomad.group": allocation.group,
        "nomad.job": allocation.job,
        "nomad.node": node.name if node and node.name else allocation.node,
    }


def _meta(found: Registration, around: Around) -> Mapping[str, str]:
    """Settings of tags, and the meta of the job on top: of a canary the canary's, if it has any."""
    said: dict[str, str] = {}
    for tag in found.tags:
        key, separator, value = tag.partition("=")
        if separator and key in SETTINGS:
            said[key] = value
    said.update(_declared_meta(found, around))
    return said


def _declared_meta(found: Registration, around: Around) -> tuple[tuple[str, str], ...]:
    there = declared(found, around)
    if there is None:
        return ()
    return there.canary_meta if around.allocation.canary and there.canary_meta else there.meta


def _labels(found: Registration, around: Around, where: str, faults: list[Problem]) -> Labels:
    """What operators said by tags and meta, on top of what Nomad knows."""
    known = known_labels(around.allocation, around.node)
    tags = [tag for tag in found.tags if len(tag) <= LONGEST_LABEL]
    meta = {key: value for key, value in _declared_meta(found, around) if len(key) + len(value) <= LONGEST_LABEL}
    if len(tags) < len(found.tags) or len(meta) < len(_declared_meta(found, around)):
        message = f"a tag or meta of more than {LONGEST_LABEL} characters is no label"
        faults.append(Problem(f"{where} labels", message, "keep data out of tags and meta"))
    of_nomad = {key: value for key, value in known.items() if key != "canary"}
    return labels({**known, **dict(tag_labels(tags, meta)), **of_nomad})
