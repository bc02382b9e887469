"""What an Envoy beside the tasks of a group has to be told, as a job's JSON says it; or why there can be none. Pure.

Read by `adapters.nomad.inject`, which writes the task, and by whoever renders Envoy's bootstrap. Texts may hold Nomad's
variables (`${NOMAD_ALLOC_ID}`): what they stand for is known only where the allocation runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from adapters.instance import tag_labels
from adapters.nomad.facts import CONSUL
from pilot.model.service import Labels, Protocol, labels

Json = Mapping[str, Any]
"""An object of Nomad's API: a job, a group, a service, a task."""

UPSTREAMS = "mesh-upstreams"
SIDECAR_PORT = "sidecar-port"
UPSTREAM_GRAMMAR = "NAME:LOCALPORT or HOST[:PORT]@LOCALPORT, parted by commas, as in web:9001"
DEFAULT_UPSTREAM_PORT = 80

INBOUND = "mesh_inbound_"
OUTBOUND, ADMIN, HEALTH, METRICS = "mesh_outbound", "mesh_admin", "mesh_health", "mesh_metrics"
FIXED = {OUTBOUND: 15001, ADMIN: 15000, HEALTH: 15021, METRICS: 15090}
"""Ports that Envoy has in a network namespace of the group's own; on the host's network Nomad chooses them."""
INBOUND_PORT, FURTHER_INBOUND = 15006, 15101
HOST, NONE = "host", "none"

_NOT_IN_A_VARIABLE = re.compile(r"\W")
_INTERPRETED = {"TASKGROUP": "group", "GROUP": "group", "JOB": "job"}


class RefusedError(ValueError):
    """Something that can't be injected. `where`: the object in the job; the text ends with the way out."""

    def __init__(self, where: str, problem: str, mend: str) -> None:
        super().__init__(f"{where}: {problem}: {mend}")


@attrs.frozen
class Entry:
    """A port of the application that peers reach through Envoy, which listens on the port labelled `label`."""

    label: str
    listen: str
    port: str
    protocol: Protocol
    service: str
    host_network: str = ""


@attrs.frozen
class Upstream:
    """A service that the application calls at a port of its own loopback."""

    host: str
    port: int
    bind_port: int


@attrs.frozen
class Beside:
    """One Envoy, for all services of a group. `ports`: its own, by label, as numbers or variables.

    `consul`: the services are Consul's, not Nomad's own. `own_network`: the group has a network namespace.
    """

    job: str
    group: str
    service: str
    consul: bool
    own_network: bool
    entries: tuple[Entry, ...]
    upstreams: tuple[Upstream, ...]
    labels: Labels
    ports: Mapping[str, str]


def listed(thing: Json, key: str) -> list[Any]:
    """A list of the API, which is null where it is empty."""
    return list(thing.get(key) or ())


def services(group: Json) -> Iterator[tuple[dict[str, Any], str]]:
    """Every service of a group, with the name of its task (empty for a service of the group itself)."""
    yield from ((service, "") for service in listed(group, "Services"))
    for task in listed(group, "Tasks"):
        yield from ((service, str(task.get("Name"))) for service in listed(task, "Services"))


def is_wanted(job: Json, group: Json) -> bool:
    """Whether there is anything to do beside a group: a service, or upstreams; and nobody said no."""
    said = [str((each.get("Meta") or {}).get("mesh-inject", "")).lower() for each in (group, job)]
    answer = next((word for word in said if word), "")
    return answer != "false" and (any(services(group)) or UPSTREAMS in (group.get("Meta") or {}))


def beside(job: Json, group: Json) -> Beside:
    """Raises RefusedError. The group is as its author wrote it, without an injected task."""
    where = group_coordinates(job, group)
    _refuse_windows(job, group, where)
    network = _network(group, where)
    own_network = mode(network) != HOST
    found = [(service, task) for service, task in services(group)]
    names = [_service_name(job, group, service, task) for service, task in found]
    entries = _entries(job, group, network, found, names, where)
    upstreams = _upstreams(group, [service for service, _ in found], where)
    made = Beside(
        job=str(job.get("ID") or job.get("Name") or ""),
        group=str(group.get("Name")),
        service=names[0] if names else f"{job.get('ID')}-{group.get('Name')}",
        consul=bool(found) and provider(found[0][0]) == CONSUL,
        own_network=own_network,
        entries=entries,
        upstreams=upstreams,
        labels=_labels([service for service, _ in found]),
        ports={label: str(port) if own_network else f"${{NOMAD_PORT_{label}}}" for label, port in FIXED.items()},
    )
    _refuse_taken_labels(network, made, where)
    (_refuse_shared_ports if own_network else _refuse_ports_of_the_host)(network, made, where)
    return made


def group_coordinates(job: Json, group: Json) -> str:
    return f"job {job.get('ID') or job.get('Name')}, group {group.get('Name')}"


def mode(network: Json) -> str:
    """`host` is Nomad's default."""
    return str(network.get("Mode") or HOST)


def provider(service: Json) -> str:
    """`consul` is Nomad's default."""
    return str(service.get("Provider") or CONSUL)


def ports(network: Json) -> list[Json]:
    """All ports of a network: those that Nomad chooses, and static ones."""
    return [*listed(network, "DynamicPorts"), *listed(network, "ReservedPorts")]


def sidecar_port(service: Json, entry: Entry) -> str:
    """What a registration says of where its Envoy listens; Nomad fills it in where the allocation runs."""
    if str(service.get("AddressMode") or "auto") == "alloc":
        return entry.listen
    return f"${{NOMAD_HOST_PORT_{entry.label}}}"


def _network(group: Json, where: str) -> Json:
    found = listed(group, "Networks")
    if not found:
        raise RefusedError(
            where, "it has no network", 'write network { mode = "bridge" } with the ports of its services'
        )
    if len(found) > 1:
        raise RefusedError(where, f"it has {len(found)} networks", "leave one network block")
    network: Json = found[0]
    if mode(network) == NONE:
        raise RefusedError(where, 'its network mode is "none"', 'write mode = "bridge"')
    if mode(network) not in (HOST, "bridge") and not mode(network).startswith("cni/"):
        raise RefusedError(where, f"its network mode is {mode(network)!r}", 'write "bridge", "host" or "cni/NAME"')
    return network


def _refuse_windows(job: Json, group: Json, where: str) -> None:
    """Nomad's own network namespaces and Envoy's exec driver are Linux's."""
    tasks = listed(group, "Tasks")
    for each in (job, group, *tasks):
        for constraint in listed(each, "Constraints"):
            about, wanted = str(constraint.get("LTarget")), str(constraint.get("RTarget")).lower()
            negated = str(constraint.get("Operand")) in ("!=", "not")
            if about in ("${attr.kernel.name}", "${attr.os.name}") and "windows" in wanted and not negated:
                raise RefusedError(where, "it is for Windows", 'set meta mesh-inject = "false" on the group')
    for task in tasks:
        if "iis" in str(task.get("Driver")):
            raise RefusedError(where, f"driver {task.get('Driver')} is for Windows", 'set meta mesh-inject = "false"')


def _service_name(job: Json, group: Json, service: Json, task: str) -> str:
    """Nomad's own default, and the words that its servers replace."""
    parts = {"job": str(job.get("ID") or job.get("Name")), "group": str(group.get("Name"))}
    base = "-".join((parts["job"], parts["group"], *([task] if task else [])))
    name = str(service.get("Name") or base)
    for word, part in _INTERPRETED.items():
        name = name.replace(f"${{{word}}}", parts[part])
    return name.replace("${TASK}", task).replace("${BASE}", base)


def _entries(
    job: Json, group: Json, network: Json, found: list[tuple[dict[str, Any], str]], names: list[str], where: str
) -> tuple[Entry, ...]:
    """One for each port; services that share one share Envoy's listener."""
    entries: dict[str, Entry] = {}
    for (service, _), name in zip(found, names, strict=True):
        entry = _entry(network, service, name, f"{where}, service {name}", len(entries))
        entries.setdefault(entry.label, entry)
    return tuple(entries.values())


def entry_label(service: Json) -> str:
    """The label of the port on which Envoy listens for a service."""
    return INBOUND + _NOT_IN_A_VARIABLE.sub("_", str(service.get("PortLabel") or ""))


def _entry(network: Json, service: Json, name: str, where: str, earlier: int) -> Entry:
    if service.get("Connect"):
        raise RefusedError(where, "it has a connect block, so Consul gives it a proxy", "take one of the two away")
    _refuse_sidecar_port(service, where)
    address_mode = str(service.get("AddressMode") or "auto")
    if address_mode not in ("auto", "host", "alloc"):
        raise RefusedError(where, f'address_mode is "{address_mode}"', 'write "auto", "host" or "alloc"')
    label, port = _port_of(network, service, address_mode, where)
    listen = str(INBOUND_PORT if not earlier else FURTHER_INBOUND + earlier - 1)
    own = entry_label(service)
    return Entry(
        label=own,
        listen=listen if mode(network) != HOST else f"${{NOMAD_PORT_{own}}}",
        port=label if port is None else f"${{NOMAD_PORT_{_NOT_IN_A_VARIABLE.sub('_', label)}}}",
        protocol=_protocol(service, where),
        service=name,
        host_network=str((port or {}).get("HostNetwork") or ""),
    )


def _port_of(network: Json, service: Json, address_mode: str, where: str) -> tuple[str, Json | None]:
    """The application's port: its label, and the network's entry; none for a bare number."""
    label = str(service.get("PortLabel") or "")
    if not label:
        raise RefusedError(where, "it has no port", "give it the label of a port of the group's network block")
    port = next((each for each in ports(network) if each.get("Label") == label), None)
    if port is None and not (label.isdigit() and address_mode == "alloc"):
        there = ", ".join(str(each.get("Label")) for each in ports(network)) or "none"
        raise RefusedError(where, f"port {label!r} is not in the group's network", f"known are: {there}")
    return label, port


def _refuse_sidecar_port(service: Json, where: str) -> None:
    said = [
        tag for tag in listed(service, "Tags") + listed(service, "CanaryTags") if tag.startswith(f"{SIDECAR_PORT}=")
    ]
    meta = (service.get("Meta") or {}) | (service.get("CanaryMeta") or {})
    if said or SIDECAR_PORT in meta:
        problem = f"it says {SIDECAR_PORT} already, so it has a proxy"
        raise RefusedError(where, problem, 'take it away, or set meta mesh-inject = "false" on the group')


def _protocol(service: Json, where: str) -> Protocol:
    said = _setting(service, "protocol")
    found = Protocol.parse(said) if said else Protocol.UNSPECIFIED
    if found is None:
        raise RefusedError(where, f"protocol {said!r} is not known", "write http, http2, grpc, grpc-web or tcp")
    return found


def _setting(service: Json, key: str) -> str:
    """From meta, else from a tag `KEY=value`, as the platform reads it."""
    meta = service.get("Meta") or {}
    tags = (str(tag).partition("=") for tag in listed(service, "Tags"))
    return str(meta.get(key) or next((value for name, is_set, value in tags if name == key and is_set), ""))


def _labels(found: list[Json]) -> Labels:
    """What rules know the proxy by: tags and meta of its services, of the first where they disagree."""
    made: dict[str, str] = {}
    for service in found:
        meta = {key: value for key, value in (service.get("Meta") or {}).items() if key != UPSTREAMS}
        for key, value in tag_labels(listed(service, "Tags"), meta):
            made.setdefault(key, value)
    return labels(made | {"nomad.job": "${NOMAD_JOB_ID}", "nomad.group": "${NOMAD_GROUP_NAME}"})


def _upstreams(group: Json, found: list[Json], where: str) -> tuple[Upstream, ...]:
    """Of the group and all of its services; one said twice is one."""
    texts = [str((each.get("Meta") or {}).get(UPSTREAMS, "")) for each in (group, *found)]
    parts = (part.strip() for text in texts for part in text.split(","))
    return tuple(dict.fromkeys(upstream(part, where) for part in parts if part))


def upstream(text: str, where: str) -> Upstream:
    """From `web:9001` or `web.default.service.nomad:80@9001`. Raises RefusedError."""
    target, at, bind = text.rpartition("@") if "@" in text else text.rpartition(":")
    host, colon, port = target.partition(":") if at == "@" else (target, "", "")
    port = port if colon else str(DEFAULT_UPSTREAM_PORT)
    if not re.fullmatch(r"[\w.-]+", host) or not (_is_port(bind) and _is_port(port)):
        raise RefusedError(f"{where}, meta {UPSTREAMS}", f"{text!r} is no upstream", f"write {UPSTREAM_GRAMMAR}")
    return Upstream(host=host, port=int(port), bind_port=int(bind))


def _is_port(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,5}", text)) and 0 < int(text) <= 65535


def _refuse_taken_labels(network: Json, made: Beside, where: str) -> None:
    taken = {str(each.get("Label")) for each in ports(network)}
    for label in (*(each.label for each in made.entries), *made.ports):
        if label in taken:
            raise RefusedError(where, f"the port label {label} is taken", "give that port another label")


def _refuse_shared_ports(network: Json, made: Beside, where: str) -> None:
    """In a namespace of their own Envoy and the application share all ports."""
    taken = dict.fromkeys(FIXED.values(), "Envoy") | {int(each.listen): "Envoy" for each in made.entries}
    for port in ports(network):
        label, number = port.get("Label"), int(port.get("To") or 0)
        if number in taken:
            problem = f"port {label} leads to {number}, where {taken[number]} listens"
            raise RefusedError(where, problem, "have the application listen on another")
        if number > 0:
            taken[number] = f"port {label}"
    _refuse_shared_upstreams(taken, made, where)


def _refuse_ports_of_the_host(network: Json, made: Beside, where: str) -> None:
    """What Nomad has not given to the group may be anybody's."""
    static = {int(each.get("Value") or 0) for each in listed(network, "ReservedPorts")}
    for each in made.upstreams:
        if each.bind_port not in static:
            problem = f"upstream {each.host} takes port {each.bind_port} of the host, which others may have"
            mend = f'write mode = "bridge", or reserve it with port "{each.host}" {{ static = {each.bind_port} }}'
            raise RefusedError(where, problem, mend)
    _refuse_shared_upstreams({}, made, where)


def _refuse_shared_upstreams(taken: dict[int, str], made: Beside, where: str) -> None:
    for each in made.upstreams:
        if each.bind_port in taken:
            problem = f"upstream {each.host} is to have port {each.bind_port}, which is {taken[each.bind_port]}'s"
            raise RefusedError(where, problem, "give it another local port")
        taken[each.bind_port] = f"upstream {each.host}"
