"""The one thread that knows what Nomad said: takes the reports of all others, and yields what is different.

Run by `adapters.nomad.watch` as its `watch`. All decisions are made by pure modules; here they are wired to threads and
to the clock. Connections to the agent: one stream a feed, READERS and CHECKERS.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from adapters.api import ApiError, DeniedError, OverloadedError
from adapters.nomad import convert
from adapters.nomad.client import Client
from adapters.nomad.facts import ServiceName
from adapters.nomad.regions import RegionLister
from adapters.nomad.reports import (
    ChecksRead,
    Heard,
    JobRead,
    Listed,
    NoRegions,
    Opened,
    Probed,
    Regions,
    SiteKey,
    StreamFailed,
)
from adapters.nomad.site import Askers, Settings, Site
from adapters.platform import Event, Problem, Synced, Workloads
from adapters.tell import Told

READERS = 4
CHECKERS = 4
RETRY = 0.5
PROBE_EVERY = 10.0
ALL = "*"
WAKE_EVERY = 5.0


class Loop:
    """The life of one watch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._askers = Askers(
            Client(settings.access, READERS + CHECKERS + 2),
            ThreadPoolExecutor(READERS, "nomad-read"),
            ThreadPoolExecutor(CHECKERS, "nomad-checks"),
            ThreadPoolExecutor(2, "nomad-list"),
        )
        chosen = settings.regions
        once = chosen is None or ALL not in chosen
        self._lister = RegionLister(self._askers.client, once, self._queue.put)
        self._lister_error = ""
        self._local = ""
        self._sites: dict[SiteKey, Site] = {}
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
            self._lister.start()
            while not self._closed:
                yield from self._start_work()
                yield from self._status()
                for report in self._reports():
                    yield from self._take(report)
        finally:
            self._end()

    def _end(self) -> None:
        self._closed = True
        self._lister.close()
        self._askers.client.close()
        for site in self._sites.values():
            site.close()
        for pool in (self._askers.listers, self._askers.checkers, self._askers.readers):
            pool.shutdown(wait=True, cancel_futures=True)

    def _reports(self) -> Iterator[object]:
        """What came in, after waiting for it until something else is due."""
        now = time.monotonic()
        due = min((min(site.state.next_due(), site.probe_at) for site in self._sites.values()), default=math.inf)
        due = min(due, now + (WAKE_EVERY if self._synced else RETRY))
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
            case Regions():
                self._lister_error = ""
                self._regions(report, now)
            case NoRegions(error):
                self._lister_error = self._settings.access.explained(error)
            case _ if (site := self._sites.get(getattr(report, "site", ("?", "?")))) is not None:
                changed = self._of_site(site, report, now)
                if site.settled:
                    yield from self._tell(changed)
                    yield from self._told_of(site.state.workloads())

    def _of_site(self, site: Site, report: object, now: float) -> Iterable[ServiceName]:
        """Take a report in; the services that changed by it."""
        state = site.state
        match report:
            case Opened():
                site.errors.pop("stream", None)
                state.opened(now)
            case Heard(_, events):
                return state.heard(events, now)
            case StreamFailed(_, error):
                # The first that is shown: without the stream all else is of no use.
                site.errors = {"stream": self._explained(error)} | {
                    k: v for k, v in site.errors.items() if k != "stream"
                }
                state.cut()
            case Listed(_, result):
                if isinstance(result, ApiError):
                    self._failed(site, "list", result)
                    return state.not_listed(now, self._pause(result))
                site.errors.pop("list", None)
                return state.listed(result, now)
            case JobRead(_, job, result):
                if isinstance(result, ApiError):
                    self._failed(site, "job", result)
                    state.job_not_read(job, now, self._pause(result))
                    return ()
                site.errors.pop("job", None)
                return state.job_read(job, result, now)
            case ChecksRead(_, alloc, result):
                if isinstance(result, ApiError):
                    state.checks_not_read(alloc, now)
                    return ()
                return state.checks_read(alloc, result, now)
            case Probed(_, result):
                if isinstance(result, ApiError):
                    self._failed(site, "probe", result)
                else:
                    site.errors.pop("probe", None)
                    state.probed(result, now)
        return ()

    def _failed(self, site: Site, what: str, error: ApiError) -> None:
        site.errors[what] = self._explained(error)

    def _explained(self, error: ApiError) -> str:
        return self._settings.access.explained(error)

    @staticmethod
    def _pause(error: ApiError) -> float:
        """Seconds until the next try. A denial or a limit does not pass in a moment."""
        shortest = RETRY * 4 if isinstance(error, DeniedError | OverloadedError) else RETRY
        return max(shortest, error.retry_after or 0.0)

    def _tell(self, names: Iterable[ServiceName]) -> Iterator[Event]:
        """These services, from all feeds, those of our own region first."""
        settled = [site for site in self._sites.values() if site.settled]
        sites = sorted(settled, key=lambda site: (not self._matters(site), site.key))
        for name in sorted(names):
            instances = [i for site in sites for i in site.state.instances(name)]
            faults = tuple(fault for site in sites for fault in site.state.faults(name))
            made, problems = convert.services(name, instances)
            yield from self._told.service(f"{name[0]}/{name[1]}", made, (*faults, *problems))

    @staticmethod
    def _told_of(workloads: Workloads | None) -> Iterator[Event]:
        if workloads is not None:
            yield workloads

    def _start_work(self) -> Iterator[Event]:
        now = time.monotonic()
        for site in self._sites.values():
            if not site.settled and site.state.is_settled(now):
                # Until here its instances were half known: without meta, without the results of checks.
                site.settled = True
                yield from self._tell(site.state.names())
                yield from self._told_of(site.state.workloads())
            if site.state.list_due(now):
                site.list_all()
            for job in site.state.jobs_due(now):
                site.read_job(job)
            for alloc in site.state.checks_due(now):
                site.read_checks(alloc)
            if now >= site.probe_at:
                site.probe_at = now + PROBE_EVERY
                if site.state.loaded:
                    site.probe()
        for site in self._unlisted(now):
            yield from self._remove_site(site)

    # Regions

    def _regions(self, known: Regions, now: float) -> None:
        """Watch what was asked for. A region that left the list is kept for a while: the WAN may be at fault."""
        self._local = known.local
        chosen = self._settings.regions
        if chosen is None:
            wanted: tuple[str, ...] = (known.local,)
        else:
            wanted = known.names if ALL in chosen else chosen
        keys = [(region, namespace) for region in wanted for namespace in self._settings.namespaces]
        for key in keys:
            if key not in self._sites:
                self._sites[key] = Site(key, key[0], self._settings, self._askers, self._queue.put)
                self._sites[key].start()
            self._sites[key].unlisted_since = None
        for key, site in self._sites.items():
            if key not in keys and site.unlisted_since is None:
                site.unlisted_since = now

    def _unlisted(self, now: float) -> list[Site]:
        """Sites whose region has not been in the list for as long as we are patient."""
        patience = self._settings.patience
        return [s for s in self._sites.values() if s.unlisted_since is not None and now >= s.unlisted_since + patience]

    def _remove_site(self, site: Site) -> Iterator[Event]:
        del self._sites[site.key]
        site.close()
        yield from self._told.problems(f"feed {site.key}", ())
        yield from self._tell(site.state.names())
        yield from self._told_of(site.state.no_workloads())

    # How it is

    def _status(self) -> Iterator[Event]:
        """Stale or Fresh, problems of feeds, and Synced when the time has come."""
        sites = self._sites.values()
        reasons = [self._lister_error] if self._lister_error else []
        for site in sites:
            trouble = site.trouble()
            if trouble and self._matters(site):
                reasons.append(trouble)
            far = (Problem(f"{site.label} region", trouble, "its instances are kept as last told"),) if trouble else ()
            yield from self._told.problems(
                f"feed {site.key}", site.state.problems + (() if self._matters(site) else far)
            )
        reasons += [f"{site.label}: {reason}" for site in sites if (reason := site.state.hold.reason())]
        yield from self._told.stale(reasons)
        if not self._synced and sites and all(self._is_told(site) for site in sites):
            self._synced = True
            yield Synced()

    def _matters(self, site: Site) -> bool:
        """Whether trouble with it makes the platform stale: our own region, or any if that is not watched."""
        return site.key[0] == self._local or all(other.key[0] != self._local for other in self._sites.values())

    def _is_told(self, site: Site) -> bool:
        """Whether Synced need not wait for it: another region that is away does not keep ours from serving."""
        return site.settled or (not self._matters(site) and bool(site.errors))
