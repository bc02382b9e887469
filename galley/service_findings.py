"""What ServiceEntries and Sidecars have against each other, and against what the platforms know. Pure; warnings only.

Called by `galley.analyze`. Planning has a rule for each case (`pilot.plan.config_services`, `sidecar_scope`); here
operators are told that it was needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from galley.config import Config, ConfigObject, Problem
from galley.finding import path_text
from galley.kinds.service_entry import Resolution, ServiceEntry
from galley.kinds.sidecar import Sidecar

NOT_FOUND = "IST0101"  # ReferencedResourceNotFound
SIDECARS_WITHOUT_SELECTOR = "IST0111"  # MultipleSidecarsWithoutWorkloadSelectors

Entry = ConfigObject[ServiceEntry]


def entry_hosts(config: Config) -> frozenset[str]:
    """The hosts that the configuration adds to those of the platforms."""
    return frozenset(host for each in config.service_entries for host in each.spec.hosts)


def service_findings(config: Config, platform_hosts: Collection[str], known: Callable[[str], bool]) -> list[Problem]:
    """All findings. `platform_hosts` are full names; `known` says whether any host is meant by a name."""
    return [
        *_entries(config.service_entries, platform_hosts),
        *_without_selector(config.sidecars),
        *(problem for each in config.sidecars for problem in _egress_hosts(each, known)),
    ]


def _entries(entries: Iterable[Entry], platform_hosts: Collection[str]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Entry] = {}
    for each in entries:
        for host in each.spec.hosts:
            if host in platform_hosts and each.spec.resolution is not Resolution.STATIC:
                message = f"a platform knows {host}: if in this namespace, it is the platform's service that counts"
                mend = "use resolution STATIC to add endpoints to it, or another host"
                yield _warning(each, message, mend)
            other = first.setdefault((each.namespace, host), each)
            if other.spec.resolution is not each.spec.resolution:
                message = f"{host} has another resolution in {other} ({other.origin}), which counts"
                yield _warning(each, message, "merge the two, or leave the host to one of them")


def _without_selector(sidecars: Iterable[ConfigObject[Sidecar]]) -> Iterator[Problem]:
    first: dict[str, ConfigObject[Sidecar]] = {}
    for each in sidecars:
        if each.spec.workload_selector is None:
            other = first.setdefault(each.namespace, each)
            if other is not each:
                message = f"{other} ({other.origin}) is for the whole namespace too, and counts"
                yield _warning(each, message, "merge the two, or select workloads", SIDECARS_WITHOUT_SELECTOR)


def _egress_hosts(sidecar: ConfigObject[Sidecar], known: Callable[[str], bool]) -> Iterator[Problem]:
    for index, listener in enumerate(sidecar.spec.egress):
        for number, text in enumerate(listener.hosts):
            namespace, _, host = text.partition("/")
            if "*" not in host and namespace != "~" and not known(host):
                path = path_text(("spec", "egress", index, "hosts", number))
                message = f"{path} refers to host {host!r}, not found"
                yield _warning(sidecar, message, "correct the name, or register the service", NOT_FOUND)


def _warning(each: ConfigObject[object], message: str, mend: str, code: str = "") -> Problem:
    return Problem(each.origin, str(each), message, mend, code, warning=True)
