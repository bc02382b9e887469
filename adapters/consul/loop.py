"""The one thread that knows what Consul said: takes the reports of all others, and yields what is different.

Run by `adapters.consul.watch` as its `watch`. Long polls tell where something changed, short reads what. Connections to
an agent: four long polls a datacenter, READERS and SWEEPERS. All decisions are made by pure modules; here they are
wired to threads and to the clock.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from adapters.api import ApiError, DeniedError, OverloadedError
from adapters.consul import convert, namespaces
from adapters.consul.client import Answer, Client
from adapters.consul.convert import Reading, UnreadableError
from adapters.consul.datacenter import Datacenter, ListNames, ReadServices, Sweep
from adapters.consul.namespaces import Namespaces
from adapters.consul.peer import Peered
from adapters.consul.poll import (
    CHECKS,
    CRITICAL,
    NAMES,
    NODES,
    PATHS,
    DatacenterLister,
    Datacenters,
    NoDatacenters,
    Polled,
    Poller,
    PollFailed,
)
from adapters.consul.site import Askers, Listed, Read, Settings, Site, Swept
from adapters.platform import Event, Problem, Synced
from adapters.tell import Told

READERS = 4
SWEEPERS = 4
LIST_RETRY = 0.5
OWN = ""
"""The key of the agent's own datacenter when no list was asked for: its name is not needed to ask it."""
ALL = "*"
_PEER = "peer/"
"""Keys of peers begin with this, which no datacenter's name can."""
_KV = "kv/"
"""The site that reports about keys are of; none has this key."""
WAKE_EVERY = 5.0
"""For what has no time of its own to be due at: datacenters that left."""

_BROKEN = (UnreadableError, AttributeError, KeyError, TypeError, ValueError)


class Loop:
    """The life of one watch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._askers = Askers(
            Client(settings.access, READERS + SWEEPERS),
            ThreadPoolExecutor(READERS, "consul-read"),
            ThreadPoolExecutor(SWEEPERS, "consul-sweep"),
        )
        self._lister: DatacenterLister | None = None
        self._lister_error = ""
        self._prefix = settings.selection.prefix
        self._keys: Poller | None = None
        self._keys_client = Client(settings.access, 1)
        self._keys_error, self._keys_cut = "", False
        self._namespaces: Namespaces | None = None if self._prefix else Namespaces()
        self._sites: dict[str, Site] = {}
        self._told = Told()
        self._synced = False
        self._closed = False

    def close(self) -> None:
        """End `run` soon; from any thread, more than once."""
        self._closed = True
        self._queue.put(None)

    def run(self) -> Iterator[Event]:
        """All events, until `close`."""
        try:
            self._begin()
            while not self._closed:
                yield from self._start_work()
                yield from self._status()
                for report in self._reports():
                    yield from self._take(report)
        finally:
            self._end()

    def _begin(self) -> None:
        chosen = self._settings.datacenters
        if self._prefix:
            path, wait = namespaces.path_of(self._prefix), self._settings.wait
            self._keys = Poller(
                _KV, "kv", self._keys_client, {"recurse": ""}, wait, self._queue.put, path=path, absent=b"[]"
            )
            self._keys.start()
        for peer in dict.fromkeys(self._settings.peers):
            self._add_site(f"{_PEER}{peer}", local=False, peer=peer)
        if chosen is None and not self._settings.failover:
            self._add_site(OWN, local=True)
        else:
            self._lister = DatacenterLister(self._askers.client, ALL not in (chosen or ()), self._queue.put)
            self._lister.start()

    def _end(self) -> None:
        self._closed = True
        if self._lister is not None:
            self._lister.close()
        self._askers.client.close()
        if self._keys is not None:
            self._keys.close()
            self._keys_client.close()
            self._keys.join(timeout=1.0)
        for site in self._sites.values():
            site.close()
        for pool in (self._askers.readers, self._askers.sweepers):
            pool.shutdown(wait=True, cancel_futures=True)

    def _reports(self) -> Iterator[object]:
        """What came in, after waiting for it until something else is due."""
        now = time.monotonic()
        due = min((site.state.next_due() for site in self._sites.values()), default=math.inf)
        due = min(due, now + WAKE_EVERY)
        try:
            report = self._queue.get(timeout=max(0.0, due - now))
            while report is not None:
                yield report
                report = self._queue.get_nowait()
        except queue.Empty:
            return

    def _take(self, report: object) -> Iterator[Event]:
        now = time.monotonic()
        match report:
            case Datacenters():
                self._lister_error = ""
                self._datacenters(report, now)
            case NoDatacenters(error):
                self._lister_error = self._settings.access.explained(error)
            case Polled() if report.site == _KV:
                yield from self._keys_told(report)
            case PollFailed() if report.site == _KV:
                self._keys_error, self._keys_cut = f"consul kv {self._prefix}: {self._explained(report.error)}", True
            case _ if (site := self._sites.get(getattr(report, "site", "?"))) is not None:
                yield from self._of_site(site, report, now)

    def _of_site(self, site: Site, report: object, now: float) -> Iterator[Event]:
        match report:
            case Polled():
                yield from self._polled(site, report, now)
            case PollFailed(_, kind, error, failures):
                site.errors[kind] = self._settings.access.explained(error)
                if failures == 1 and not isinstance(error, OverloadedError):
                    site.state.outage(now)
            case Listed():
                yield from self._listed(site, report.result, now)
            case Read():
                yield from self._read(site, report, now)
            case Swept():
                site.swept(report, now)
            case Peered():
                self._peered(site, report, now)

    def _peered(self, site: Site, peered: Peered, now: float) -> None:
        match peered.result:
            case ApiError() | UnreadableError() as error:
                site.errors["peer"] = self._explained(error)
                if peered.failures == 1 and not isinstance(error, OverloadedError):
                    site.state.outage(now)
            case (told, digests):
                site.errors = {kind: text for kind, text in site.errors.items() if kind != "peer"}
                if told.trouble:
                    site.errors["peer"] = told.trouble
                site.state.names_told(told.names, 0, 0, now)
                for name, digest in digests.items():
                    site.state.swept_service(name, digest)

    def _explained(self, error: ApiError | UnreadableError) -> str:
        if isinstance(error, UnreadableError):
            return f"unreadable answer: {error}"
        return self._settings.access.explained(error)

    def _polled(self, site: Site, polled: Polled, now: float) -> Iterator[Event]:
        site.errors.pop(polled.kind, None)
        if polled.turn.went_back:
            site.state.outage(now)
        yield from self._see_filter(site, polled.kind, polled.answer.filtered, now)
        try:
            self._put(site.state, polled, now)
        except _BROKEN as fault:
            site.errors[polled.kind] = f"unreadable answer of {PATHS[polled.kind]}: {fault}"

    @staticmethod
    def _put(state: Datacenter, polled: Polled, now: float) -> None:
        body, index = polled.answer.body, polled.turn.cursor.last
        if polled.kind == NAMES:
            state.names_told(body, polled.turn.since, index, now)
        elif polled.kind == CHECKS and polled.turn.changed:
            state.checks_told(body, index)
        elif polled.kind == CRITICAL and polled.turn.changed:
            state.critical_told(body)
        elif polled.kind == NODES and polled.turn.changed:
            state.nodes_told(body)

    def _see_filter(self, site: Site, kind: str, filtered: bool, now: float) -> Iterator[Event]:
        """Consul says whether the token hides something from us; that is news if it was not so before."""
        if filtered and not site.filtered.get(kind) and site.state.loaded:
            site.state.outage(now)
        site.filtered[kind] = filtered
        found: tuple[Problem, ...] = ()
        if any(site.filtered.values()):
            mend = "allow it service:read and node:read on all, or accept that the rest is not in the mesh"
            found = (Problem(f"{site.label} acl", "the ACL token may not see everything there is", mend),)
        yield from self._told.problems(f"acl {site.key}", found)

    def _listed(self, site: Site, answer: Answer | ApiError | UnreadableError, now: float) -> Iterator[Event]:
        if isinstance(answer, ApiError | UnreadableError):
            site.errors["list"] = self._explained(answer)
            site.state.not_listed(now, max(LIST_RETRY, getattr(answer, "retry_after", None) or 0))
            return
        site.errors.pop("list", None)
        try:
            reads, released = site.state.listed(answer.body, now)
        except _BROKEN as fault:
            site.errors["list"] = f"unreadable answer of {PATHS[NAMES]}: {fault}"
            site.state.not_listed(now, LIST_RETRY)
            return
        yield from self._tell(released)
        if reads is not None:
            yield from self._start_reads(site, reads, now)

    def _read(self, site: Site, read: Read, now: float) -> Iterator[Event]:
        source = f"read {site.key} {read.name}"
        match read.result:
            case Reading():
                site.errors.pop("read", None)
                changed = site.state.read(read.result, now)
                yield from self._told.problems(source, read.result.problems)
            case UnreadableError():
                changed = site.state.not_read(read.name, now)
                found = Problem(f"{site.label}/{read.name}", str(read.result), "its last good state stays in force")
                yield from self._told.problems(source, (found,))
            case error:
                if isinstance(error, DeniedError):
                    # Polls that wait were allowed when they began; this is the first to tell.
                    site.errors["read"] = self._settings.access.explained(error)
                changed = site.state.not_read(read.name, now, max(LIST_RETRY, error.retry_after or 0))
        yield from self._tell(changed)

    def _tell(self, names: Iterable[str]) -> Iterator[Event]:
        """The services of these names, from all datacenters, our own first."""
        sites = sorted(self._sites.values(), key=lambda site: (not site.local, site.key))
        if self._namespaces is None:
            return
        for name in sorted(names):
            instances = [i for site in sites for i in site.state.instances(name)]
            if self._prefix:
                instances = self._namespaces.placed(name, instances)
            yield from self._told.service(name, *convert.services(name, instances, f"consul {name}"))

    def _keys_told(self, polled: Polled) -> Iterator[Event]:
        """Services are in other namespaces; none was told before it was known in which they are."""
        try:
            found = namespaces.read(polled.answer.body, self._prefix)
        except UnreadableError as fault:
            self._keys_error = f"unreadable answer of {namespaces.path_of(self._prefix)}: {fault}"
            return
        before = self._namespaces
        self._keys_cut |= polled.turn.went_back
        reason = namespaces.doubt(before, found, hidden=polled.answer.filtered, was_away=self._keys_cut)
        self._keys_error = f"consul kv {self._prefix}: {reason}" if reason else ""
        if reason:
            return
        self._namespaces, self._keys_cut = found, False
        yield from self._told.problems("kv", found.problems)
        if before is None:
            yield from self._tell({name for site in self._sites.values() for name in site.state.names()})
        else:
            yield from self._tell(before.moved(found))

    def _start_work(self) -> Iterator[Event]:
        now = time.monotonic()
        for site in list(self._sites.values()):
            for work in site.state.work(now):
                match work:
                    case ListNames():
                        site.list_names()
                    case ReadServices():
                        yield from self._start_reads(site, work, now)
                    case Sweep():
                        site.sweep(work, now)
        for site in self._unlisted(now):
            yield from self._remove_site(site)

    def _start_reads(self, site: Site, reads: ReadServices, now: float) -> Iterator[Event]:
        site.read(reads.names)
        if not reads.names:
            yield from self._tell(site.state.round_is_empty(now))

    # Datacenters

    def _datacenters(self, known: Datacenters, now: float) -> None:
        """Watch what was asked for. A datacenter that left the list is kept for a while: the WAN may be at fault."""
        chosen = self._settings.datacenters or (known.local,)
        wanted = dict.fromkeys((*(known.names if ALL in chosen else chosen), *self._settings.failover))
        for name in wanted:
            if name not in self._sites:
                self._add_site(name, local=name == known.local)
            self._sites[name].unlisted_since = None
        for name, site in self._sites.items():
            if name not in wanted and not site.peer and site.unlisted_since is None:
                site.unlisted_since = now

    def _unlisted(self, now: float) -> list[Site]:
        """Sites that have not been in the list of datacenters for as long as we are patient."""
        patience = self._settings.patience
        return [s for s in self._sites.values() if s.unlisted_since is not None and now >= s.unlisted_since + patience]

    def _add_site(self, key: str, local: bool, peer: str = "") -> None:
        self._sites[key] = Site(key, local, self._settings, self._askers, self._queue.put, peer=peer)
        self._sites[key].start()

    def _remove_site(self, site: Site) -> Iterator[Event]:
        del self._sites[site.key]
        site.close()
        for source in (f"acl {site.key}", f"datacenter {site.key}"):
            yield from self._told.problems(source, ())
        for name in site.state.read_names():
            yield from self._told.problems(f"read {site.key} {name}", ())
        yield from self._tell(site.state.names())

    # How it is

    def _status(self) -> Iterator[Event]:
        """Stale or Fresh, problems of other datacenters, and Synced when the time has come."""
        sites = self._sites.values()
        reasons = [reason for reason in (self._lister_error, self._keys_error) if reason]
        reasons += [trouble for site in sites if self._matters(site) and (trouble := site.trouble())]
        reasons += [f"{site.label}: {reason}" for site in sites if (reason := site.state.hold.reason())]
        for site in sites:
            if not self._matters(site):
                mend = "its instances are kept as last told"
                trouble = site.trouble()
                where = site.label if site.peer else f"{site.label} datacenter"
                found = (Problem(where, trouble, mend),) if trouble else ()
                yield from self._told.problems(f"datacenter {site.key}", found)
        yield from self._told.stale(reasons)
        own = [site for site in sites if not site.peer]
        if not self._synced and self._namespaces is not None and own and all(self._is_told(site) for site in sites):
            self._synced = True
            yield Synced()

    def _matters(self, site: Site) -> bool:
        """Whether trouble with it makes the platform stale: our own datacenter, or any if that is not watched.

        A peer's never does.
        """
        return not site.peer and (site.local or not any(other.local for other in self._sites.values()))

    def _is_told(self, site: Site) -> bool:
        """Whether Synced need not wait for it: another datacenter that is away does not keep ours from serving."""
        return site.state.loaded or (not self._matters(site) and bool(site.errors))
