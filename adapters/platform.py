"""The contract of a platform, and the registry of those we know.

A platform is one place where services live (a Consul, a Nomad, a file). `mesh_adapter` runs each in a thread of its
own and folds what they yield with `adapters.merge`. A kind of platform is registered by the class of its options,
in-tree ones in PLATFORMS, others by the entry point group `mesh_adapter.platforms` (`kind = module:Class`). An
implementation imports `pilot.model` and `adapters` and nothing else of ours.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import typing
from collections.abc import Iterator, Mapping
from typing import Protocol

import attrs

from pilot.model.service import Labels, Service, ServiceKey


@attrs.frozen
class Upsert:
    """The whole of one service as this platform knows it now; replaces what it said of the key before."""

    service: Service


@attrs.frozen
class Delete:
    """The platform no longer knows the service. Deleting the unknown is a no-op."""

    key: ServiceKey


@attrs.frozen
class Synced:
    """Everything there is has been told. Exactly once in the life of a watch."""


@attrs.frozen
class Stale:
    """The platform is away, or its answer is not believed: what it last told stays in force until Fresh."""

    reason: str


@attrs.frozen
class Fresh:
    """The platform is back and what it told is again the truth (the differences were yielded before this)."""


@attrs.frozen
class Problem:
    """One object could not be used. The stream goes on; the object's last good state, if any, stays.

    `where` holds coordinates (`services.yaml:14`, `consul dc1/web`), `message` what is wrong, `mend` what to do.
    """

    where: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f" ({self.mend})" if self.mend else "")


@attrs.frozen
class Resolved:
    """The problem that `where` named is gone."""

    where: str


@attrs.frozen
class Workload:
    """What a scheduler knows of something that it runs, whatever registry its services are in.

    `id` is what the label `adapters.workloads.ID_LABEL` of its endpoints says. `labels` are added to theirs. `leaving`:
    the scheduler decided to end it. `service_account` is that of endpoints whose registration names none.
    """

    id: str
    labels: Labels = ()
    leaving: bool = False
    service_account: str = ""


@attrs.frozen
class Workloads:
    """Some workloads are as `told`, others are no more, or no more known: `gone` has their ids.

    Of a platform that schedules; what is not mentioned is as it was. An id in both was told of for the last time.
    """

    told: tuple[Workload, ...] = ()
    gone: tuple[str, ...] = ()


Event = Upsert | Delete | Synced | Stale | Fresh | Problem | Resolved | Workloads


@attrs.frozen
class Announcement:
    """Where this control plane answers, for platforms that register it: see `Platform`."""

    address: str
    xds_port: int
    http_port: int


class Platform(Protocol):
    """One place where services live. `watch` runs in a thread of its own; nothing here knows of proxies.

    `watch` first yields an Upsert for everything there is, then Synced exactly once, then differences for ever.
    It never raises for one bad object (it yields a Problem with the object's coordinates) and never ends because
    the platform is away: it keeps what it last knew and yields Stale until the platform is back; on reconnect it
    lists again and yields only the differences. An answer that is suddenly empty after a full one is not believed
    at once: it is held, Stale says so, and only a repeated answer counts (each platform states its rule). Before
    Synced, a platform that can't be reached yields Stale and keeps trying.

    A platform that keeps to that rule by itself, since it knows how often an answer was repeated, says so by a class
    attribute `judges_losses = True`; for others `adapters.screen` holds what vanishes all at once.

    A platform that can register the control plane itself has a method `announce(Announcement)`, called once when it
    listens, in the event loop: it must not block.

    `close` may be called from any thread, more than once; `watch` then ends within two seconds. A closed platform is
    not watched again.
    """

    def watch(self) -> Iterator[Event]: ...

    def close(self) -> None: ...


class PlatformOptions(Protocol):
    """A kind of platform, as the registry knows it: an attrs class of its options (`adapters.options.option`).

    Importing it is cheap: what the platform itself needs is imported by `platform`, which makes a platform that does
    not watch yet. It raises ValueError or OSError for options that can't be carried out. `name` is what the operator
    calls this one among others of the kind: in status and in endpoints.
    """

    def platform(self, name: str) -> Platform: ...


PLATFORMS: Mapping[str, str] = {
    "static": "adapters.static.options:StaticOptions",
    "consul": "adapters.consul.options:ConsulOptions",
    "nomad": "adapters.nomad.options:NomadOptions",
    "kubernetes": "adapters.kubernetes.options:KubernetesOptions",
}
ENTRY_POINTS = "mesh_adapter.platforms"


def options_class(kind: str) -> type[PlatformOptions]:
    """The options of a kind; LookupError that lists the known kinds, or says why an outside package can't be used."""
    outside = {entry.name: entry.value for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}
    target = PLATFORMS.get(kind) or outside.get(kind)
    if target is None:
        known = ", ".join(sorted({*PLATFORMS, *outside}))
        raise LookupError(f"unknown kind of platform {kind!r}: known are {known}")
    module, _, attribute = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"the platform {kind!r} ({target}) can't be used: {error}") from error
    if not (isinstance(found, type) and attrs.has(found) and hasattr(found, "platform")):
        raise LookupError(f"the platform {kind!r} ({target}) is no attrs class with a method `platform`")
    return typing.cast("type[PlatformOptions]", found)
