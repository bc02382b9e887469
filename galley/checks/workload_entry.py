"""What a WorkloadEntry must hold beyond its types, wherever it stands; and what a WorkloadGroup must."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from galley.checks.values import check_host, check_port, is_ip
from galley.document import Path
from galley.finding import Finding
from galley.kinds.workload_entry import WorkloadEntry
from galley.kinds.workload_group import WorkloadGroup

UNIX = "unix://"


def check_workload_entry(spec: WorkloadEntry) -> Iterator[Finding]:
    """All findings of one WorkloadEntry, paths starting at `spec`."""
    yield from check_endpoint(spec, ("spec",))


def check_workload_group(spec: WorkloadGroup) -> Iterator[Finding]:
    """All findings of one WorkloadGroup. Its template says nothing of an address: that is a workload's own."""
    path: Path = ("spec",)
    if spec.template is None:
        yield Finding((*path, "template"), "is missing", "say what the group's workloads have in common")
        return
    here = (*path, "template")
    if spec.template.address:
        message = "can't be given in a template: every workload of the group has its own"
        yield Finding((*here, "address"), message, "remove it")
    yield from _ports(spec.template, here)
    yield from _labels(spec.template.labels, (*here, "labels"))
    if spec.metadata is not None:
        yield from _labels(spec.metadata.labels, (*path, "metadata", "labels"))


def check_endpoint(entry: WorkloadEntry, path: Path, ports: Collection[str] | None = None) -> Iterator[Finding]:
    """An instance; its ports are to be among `ports`, where these are known."""
    yield from _address(entry, path)
    yield from _ports(entry, path)
    for name, _ in entry.ports if ports is not None and not entry.address.startswith(UNIX) else ():
        if name not in (ports or ()):
            known = ", ".join(sorted(ports or ())) or "none"
            yield Finding((*path, "ports", name), "is no port of the service entry", f"its ports are {known}")
    yield from _labels(entry.labels, (*path, "labels"))
    if entry.locality.count("/") > 2:
        yield Finding((*path, "locality"), f"{entry.locality!r} has more than three parts", "write region/zone/subzone")


def _address(entry: WorkloadEntry, path: Path) -> Iterator[Finding]:
    here = (*path, "address")
    if not entry.address:
        yield Finding(here, "is missing", "give an IP address, a name for DNS, or unix:///path")
    elif entry.address.startswith(UNIX):
        if not entry.address.removeprefix(UNIX).startswith("/"):
            yield Finding(here, f"{entry.address!r} is not an absolute path", "write unix:///path/of/the/socket")
        if entry.ports:
            yield Finding((*path, "ports"), "can't be given with a Unix domain socket", "remove them")
    elif not is_ip(entry.address):
        yield from check_host(entry.address, here, wildcard=False)


def _ports(entry: WorkloadEntry, path: Path) -> Iterator[Finding]:
    for name, number in entry.ports:
        if not name:
            yield Finding((*path, "ports"), "has a port without name", "name it as the service's port is named")
        yield from check_port(number, (*path, "ports", name))


def _labels(labels: tuple[tuple[str, str], ...], path: Path) -> Iterator[Finding]:
    if not all(key for key, _ in labels):
        yield Finding(path, "has an empty label name", "name the label")
