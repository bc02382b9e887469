"""Reads Nomad's JSON into facts. Pure.

Called by the readers and the stream of `adapters.nomad` with bodies and lines as they arrive. UnreadableError if a body
is not what its endpoint answers; one bad object inside a list is a Problem, and the others count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from adapters.nomad.facts import (
    CONSUL,
    Allocation,
    AllocationTold,
    Declared,
    Deregistered,
    JobTold,
    Node,
    NodeGone,
    NodeTold,
    NomadEvent,
    Registered,
    Registration,
    ServiceName,
    Spec,
    Unreadable,
)
from adapters.platform import Problem

Json = Mapping[str, Any]
_BAD = (KeyError, TypeError, ValueError, AttributeError)
T = TypeVar("T")


class UnreadableError(Exception):
    """A body is not what this endpoint of Nomad answers."""


def service_names(body: bytes) -> tuple[ServiceName, ...]:
    """Namespaces and names in an answer of /v1/services."""
    try:
        listed = [(str(part["Namespace"]), s) for part in _array(body) for s in part["Services"] or ()]
        return tuple((namespace, str(service["ServiceName"])) for namespace, service in listed)
    except _BAD as fault:
        raise UnreadableError(f"the list of services: {fault!r}") from fault


def registrations(body: bytes, problems: list[Problem]) -> Mapping[str, Registration]:
    """Instances in an answer of /v1/service/NAME, by ID: one that is there twice counts once."""
    found = _each(_array(body), registration, "a registration", problems)
    return {one.id: one for one in found}


def registration(found: Json) -> Registration:
    """One instance."""
    return Registration(
        id=_text(found, "ID"),
        name=(_text(found, "Namespace"), _text(found, "ServiceName")),
        alloc=str(found["AllocID"]),
        job=str(found.get("JobID") or ""),
        node=str(found.get("NodeID") or ""),
        datacenter=str(found.get("Datacenter") or ""),
        address=str(found.get("Address") or ""),
        port=int(found.get("Port") or 0),
        tags=tuple(str(tag) for tag in found.get("Tags") or ()),
    )


def allocations(body: bytes, problems: list[Problem]) -> Mapping[str, Allocation]:
    """Allocations in an answer of /v1/allocations, by ID."""
    return {one.id: one for one in _each(_array(body), allocation, "an allocation", problems)}


def allocation(found: Json) -> Allocation:
    """One allocation, of a list or of an event."""
    deployment: Json = found.get("DeploymentStatus") or {}
    version = found.get("JobVersion")
    healthy = deployment.get("Healthy")
    return Allocation(
        id=_text(found, "ID"),
        namespace=str(found["Namespace"]),
        job=str(found["JobID"]),
        group=str(found.get("TaskGroup") or ""),
        node=str(found.get("NodeID") or ""),
        client_status=str(found["ClientStatus"]),
        desired_status=str(found.get("DesiredStatus") or ""),
        migrate=bool((found.get("DesiredTransition") or {}).get("Migrate")),
        canary=bool(deployment.get("Canary")),
        healthy=None if healthy is None else bool(healthy),
        assigned=int(found.get("AllocModifyIndex") or found.get("CreateIndex") or 0),
        version=None if version is None else int(version),
    )


def nodes(body: bytes, problems: list[Problem]) -> Mapping[str, Node]:
    """Nodes in an answer of /v1/nodes, by ID."""
    return {one.id: one for one in _each(_array(body), node, "a node", problems)}


def node(found: Json) -> Node:
    """One node, of a list or of an event."""
    return Node(
        id=_text(found, "ID"),
        name=str(found.get("Name") or ""),
        datacenter=str(found.get("Datacenter") or ""),
        status=str(found["Status"]),
        node_class=str(found.get("NodeClass") or ""),
    )


def specs(found: object) -> tuple[Spec, ...]:
    """The versions of a job in an answer of /v1/job/ID/versions."""
    if not isinstance(found, dict) or not isinstance(found.get("Versions"), list):
        raise UnreadableError("the versions of a job: not the answer expected")
    try:
        return tuple(spec(version) for version in found["Versions"])
    except _BAD as fault:
        raise UnreadableError(f"the versions of a job: {fault!r}") from fault


def spec(found: Json) -> Spec:
    """One version of a job."""
    return Spec(
        job=(str(found["Namespace"]), _text(found, "ID")),
        version=int(found.get("Version") or 0),
        modified=int(found.get("JobModifyIndex") or 0),
        parent=str(found.get("ParentID") or ""),
        services=tuple(_declared(found.get("TaskGroups") or ())),
    )


def checks(body: bytes) -> Mapping[str, tuple[str, ...]]:
    """Service name → the statuses of its checks (success, failure, pending), from /v1/client/allocation/ID/checks."""
    found = _parsed(body)
    if not isinstance(found, dict):
        raise UnreadableError("the checks of an allocation: no object")
    results: dict[str, tuple[str, ...]] = {}
    for check in found.values():
        try:
            name = str(check["Service"])
            results[name] = (*results.get(name, ()), str(check["Status"]))
        except _BAD as fault:
            raise UnreadableError(f"the checks of an allocation: {fault!r}") from fault
    return results


def events(line: bytes) -> tuple[NomadEvent, ...]:
    """What one line of the event stream tells; a heartbeat tells nothing. Topics that we did not ask for are left
    out."""
    found = _parsed(line)
    if not isinstance(found, dict):
        raise UnreadableError("an event: no object")
    return tuple(event for each in found.get("Events") or () if (event := _event(each)) is not None)


def _event(found: Json) -> NomadEvent | None:
    index = int(found.get("Index") or 0)
    try:
        payload, topic, kind = found.get("Payload") or {}, found.get("Topic"), str(found.get("Type") or "")
        match topic:
            case "Service" if kind == "ServiceDeregistration":
                gone = payload["Service"]
                return Deregistered(index, (str(gone["Namespace"]), str(gone["ServiceName"])), str(gone["ID"]))
            case "Service":
                return Registered(index, registration(payload["Service"]))
            case "Allocation":
                return AllocationTold(index, allocation(payload["Allocation"]))
            case "Node" if kind == "NodeDeregistration":
                return NodeGone(index, str(found["Key"]))
            case "Node":
                return NodeTold(index, node(payload["Node"]))
            case "Job" if kind != "JobDeregistered" and payload.get("Job"):
                return JobTold(index, spec(payload["Job"]))
    except _BAD as fault:
        where = f"nomad event {found.get('Topic')}/{found.get('Key')}"
        return Unreadable(index, Problem(where, f"not what this topic carries: {fault!r}", "everything is read again"))
    return None


def _declared(groups: Iterable[Json]) -> Iterable[Declared]:
    """Services of groups and of their tasks."""
    for group in groups:
        tasks = group.get("Tasks") or ()
        listed = [*(group.get("Services") or ()), *(s for task in tasks for s in task.get("Services") or ())]
        for service in listed:
            yield Declared(
                name=str(service.get("Name") or ""),
                provider=str(service.get("Provider") or CONSUL),
                group=str(group.get("Name") or ""),
                meta=_pairs(service.get("Meta")),
                canary_meta=_pairs(service.get("CanaryMeta")),
                checks=len(service.get("Checks") or ()),
            )


def _pairs(meta: Json | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(key), str(value)) for key, value in (meta or {}).items()))


def _each(listed: list[Any], make: Callable[[Json], T], what: str, problems: list[Problem]) -> list[T]:
    """All that can be read; a Problem for each of the others."""
    made: list[T] = []
    for entry in listed:
        try:
            made.append(make(entry))
        except _BAD as fault:
            identity = entry.get("ID") if isinstance(entry, dict) else None
            where = f"nomad {what.split()[-1]} {identity or '?'}"
            problems.append(Problem(where, f"not {what}: {fault!r}", "look at what registered it"))
    return made


def _text(found: Json, key: str) -> str:
    """A text that has to be there."""
    value = found[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is {value!r}")
    return value


def _array(body: bytes) -> list[Any]:
    found = _parsed(body)
    if found is None:
        return []
    if not isinstance(found, list):
        raise UnreadableError("the answer is no list")
    return found


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise UnreadableError(f"not JSON: {fault}: {body[:100].decode('utf-8', 'replace')}") from fault
