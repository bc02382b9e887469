"""Puts an Envoy beside the tasks of a job's groups: a job's JSON in, a job's JSON out. Pure.

Called by the command `inject`. It takes out what it put in before, so injecting twice is as good as once and a newer
version of it renews what an older one wrote. What it writes and why: docs/nomad.md.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import attrs

from adapters.nomad import beside
from adapters.nomad.beside import ADMIN, HEALTH, METRICS, OUTBOUND, SIDECAR_PORT, Beside, Entry, Json, RefusedError
from adapters.nomad.facts import CONSUL

TASK = "mesh-proxy"
CHECK = "mesh-proxy ready"
MARK = "mesh-adapter"
"""Key of the task's meta by which it is known again; its value says what else was put in."""
DRIVERS = ("exec", "raw_exec", "docker")
BOOTSTRAP = "local/envoy.json"
READY_PATH = "/healthz/ready"

_SECOND = 1_000_000_000
_OWN_LABEL = re.compile(rf"{beside.INBOUND}\w+|{OUTBOUND}|{ADMIN}|{HEALTH}|{METRICS}")
_OWN_SIDECAR_PORT = re.compile(rf"(?:{SIDECAR_PORT}=)?(?:\$\{{NOMAD_HOST_PORT_{beside.INBOUND}\w+\}}|\d+)")
_DELAY_IS_OURS = "shutdown_delay"

Group = dict[str, Any]
Bootstrap = Callable[[Beside], str]
"""Envoy's bootstrap for a group, as the text of a Nomad template."""


@attrs.frozen
class Envoy:
    """How the task runs. `driver`: as the application's, where empty. Megahertz, megabytes and seconds.

    `shutdown_delay`: how long a group goes on after it was taken out of the registry, unless its author says; `flush`:
    how long Envoy goes on after the application ended, to hand over the last answers.
    """

    image: str
    path: str = "/usr/local/bin/envoy"
    driver: str = ""
    cpu: int = 50
    memory: int = 128
    concurrency: int = 1
    log_level: str = "info"
    shutdown_delay: int = 5
    flush: int = 1


def inject(job: Json, envoy: Envoy, bootstrap: Bootstrap) -> tuple[dict[str, Any], tuple[RefusedError, ...]]:
    """The job with an Envoy in each group that has a service; with refusals the job is not to be used.

    `job` is what Nomad's API calls a Job. The one given is left as it is.
    """
    made = copy.deepcopy(dict(job))
    refusals: list[RefusedError] = []
    count = 0
    for group in beside.listed(made, "TaskGroups"):
        try:
            _take_out(group)
            if beside.is_wanted(made, group):
                _put_in(made, group, envoy, bootstrap)
                count += 1
        except RefusedError as refusal:
            refusals.append(refusal)
    if not count and not refusals:
        where = f"job {made.get('ID') or made.get('Name')}"
        mend = "give a group a service, or meta mesh-upstreams"
        refusals.append(RefusedError(where, "no group has a service, or all say mesh-inject = false", mend))
    return made, tuple(refusals)


def _put_in(job: Json, group: Group, envoy: Envoy, bootstrap: Bootstrap) -> None:
    where = beside.group_coordinates(job, group)
    if any(task.get("Name") == TASK for task in beside.listed(group, "Tasks")):
        raise RefusedError(where, f"it has a task {TASK} that is not ours", "give that task another name")
    found = beside.beside(job, group)
    driver = _driver(group, envoy, where)
    delay_is_ours = group.get("ShutdownDelay") is None
    if delay_is_ours:
        group["ShutdownDelay"] = envoy.shutdown_delay * _SECOND
    _add_ports(group["Networks"][0], found)
    entries = {each.label: each for each in found.entries}
    for service, _ in beside.services(group):
        _tell(service, entries[beside.entry_label(service)])
    mark = _DELAY_IS_OURS if delay_is_ours else "injected"
    group["Tasks"].append(_task(driver, envoy, bootstrap(found), mark))


def _driver(group: Group, envoy: Envoy, where: str) -> str:
    drivers = [str(task.get("Driver")) for task in beside.listed(group, "Tasks") if not task.get("Lifecycle")]
    found = envoy.driver or next(iter(drivers), "")
    if found not in DRIVERS:
        raise RefusedError(where, f"Envoy can't be run by driver {found!r}", f"say --driver {', '.join(DRIVERS)}")
    return found


def _add_ports(network: dict[str, Any], found: Beside) -> None:
    """In a namespace of the group's own only what others call is mapped to the host."""
    added = [_port(each.label, each.listen, each.host_network, found.own_network) for each in found.entries]
    shown = (HEALTH, METRICS) if found.own_network else (HEALTH, METRICS, ADMIN, OUTBOUND)
    added += [_port(label, found.ports[label], "", found.own_network) for label in shown]
    network["DynamicPorts"] = beside.listed(network, "DynamicPorts") + added


def _port(label: str, listen: str, host_network: str, own_network: bool) -> dict[str, Any]:
    return {"Label": label, "To": int(listen) if own_network else 0, "HostNetwork": host_network or "default"}


def _tell(service: dict[str, Any], entry: Entry) -> None:
    """Peers learn Envoy's port, in the form that the registry passes on; a check keeps them away until it is ready."""
    value = beside.sidecar_port(service, entry)
    if beside.provider(service) == CONSUL:
        service["Meta"] = {**(service.get("Meta") or {}), SIDECAR_PORT: value}
        if service.get("CanaryMeta"):
            service["CanaryMeta"] = {**service["CanaryMeta"], SIDECAR_PORT: value}
    else:
        service["Tags"] = [*beside.listed(service, "Tags"), f"{SIDECAR_PORT}={value}"]
        if service.get("CanaryTags"):
            service["CanaryTags"] = [*service["CanaryTags"], f"{SIDECAR_PORT}={value}"]
    check = {"Name": CHECK, "Type": "http", "Path": READY_PATH, "PortLabel": HEALTH}
    times = {"Interval": 2 * _SECOND, "Timeout": _SECOND}
    service["Checks"] = [*beside.listed(service, "Checks"), check | times]


def _task(driver: str, envoy: Envoy, bootstrap: str, mark: str) -> dict[str, Any]:
    """Started before the application and, being a sidecar, ended after it, when nothing is under way any more."""
    return {
        "Name": TASK,
        "Driver": driver,
        "Lifecycle": {"Hook": "prestart", "Sidecar": True},
        "Config": _config(driver, envoy),
        "Templates": [{"EmbeddedTmpl": bootstrap, "DestPath": BOOTSTRAP, "ChangeMode": "noop"}],
        "Identity": {"Env": False, "File": True},
        "KillSignal": "SIGTERM",
        "KillTimeout": 5 * _SECOND,
        "ShutdownDelay": envoy.flush * _SECOND,
        "Resources": {"CPU": envoy.cpu, "MemoryMB": envoy.memory},
        "LogConfig": {"MaxFiles": 2, "MaxFileSizeMB": 2},
        "Meta": {MARK: mark},
    }


def _config(driver: str, envoy: Envoy) -> dict[str, Any]:
    arguments = [
        *("--config-path", "${NOMAD_TASK_DIR}/envoy.json", "--disable-hot-restart"),
        *("--concurrency", str(envoy.concurrency), "--log-level", envoy.log_level),
    ]
    return {"image" if driver == "docker" else "command": envoy.image if driver == "docker" else envoy.path} | {
        "args": arguments
    }


def _take_out(group: Group) -> None:
    """What an earlier injection put in; nothing if there was none."""
    tasks = beside.listed(group, "Tasks")
    ours = next((task for task in tasks if task.get("Name") == TASK and MARK in (task.get("Meta") or {})), None)
    if ours is None:
        return
    group["Tasks"] = [task for task in tasks if task is not ours]
    if ours["Meta"][MARK] == _DELAY_IS_OURS:
        group["ShutdownDelay"] = None
    for network in beside.listed(group, "Networks"):
        kept = (port for port in beside.listed(network, "DynamicPorts") if not _OWN_LABEL.fullmatch(port["Label"]))
        network["DynamicPorts"] = list(kept)
    for service, _ in beside.services(group):
        _untell(service)


def _untell(service: dict[str, Any]) -> None:
    service["Checks"] = [check for check in beside.listed(service, "Checks") if check.get("Name") != CHECK]
    for key in ("Tags", "CanaryTags"):
        if service.get(key):
            service[key] = [tag for tag in service[key] if not _is_ours(tag)]
    for key in ("Meta", "CanaryMeta"):
        if service.get(key):
            service[key] = {name: value for name, value in service[key].items() if name != SIDECAR_PORT}


def _is_ours(tag: str) -> bool:
    return tag.startswith(f"{SIDECAR_PORT}=") and _OWN_SIDECAR_PORT.fullmatch(tag) is not None
