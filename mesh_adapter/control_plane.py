"""The control plane: what platforms and sources tell, folded into snapshots, published to the proxies.

Runs in one event loop; platforms and sources watch in threads of their own (`feed`). The first event after a quiet time
is published at once (within SETTLE, for what comes with it); under a burst, snapshots are at least `debounce` seconds
apart, so that churn costs a bounded share of the processor and no change waits longer than that.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import operator
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

import attrs

from adapters.merge import PlatformStatus
from adapters.platform import Announcement, Platform
from adapters.platform import Problem as PlatformProblem
from adapters.settings import Arrangement
from citadel.credentials import SecretSource
from galley import analyze, process
from galley.config import Config, Problem
from galley.document import Source, SourceEvent
from galley.document import Stale as SourceStale
from galley.gateway_api import status
from galley.route_findings import Spoken
from mesh_adapter.checks import CHECKS
from mesh_adapter.credentials import CredentialStore
from mesh_adapter.feed import Feed
from mesh_adapter.mixer_part import MixerPart
from mesh_adapter.platforms import Opened, Platforms
from mixer.rules import compile_rules
from mixer.ruleset import RuleSet
from pilot.discovery import Discovery
from pilot.model.catalog import Catalog
from pilot.model.service import Protocol
from pilot.model.snapshot import Snapshot

log = logging.getLogger(__name__)

_Fold = Callable[[], None]
SETTLE = 0.002
"""Seconds that the first event waits for others of the same moment, such as those of one file."""


@attrs.frozen
class Status:
    """What `/readyz` and the log say of the whole: what is still waited for, empty when nothing is."""

    waiting: tuple[str, ...]
    ready: bool
    """Once it is, it stays so: a platform that comes later is not waited for."""


class ControlPlane:
    """`clock` gives wall-clock time for messages. All methods belong to the event loop that called `start`."""

    def __init__(
        self,
        platforms: Mapping[str, Platform | Opened],
        sources: Mapping[str, Source],
        *,
        clock: Callable[[], datetime],
        debounce: float = 0.05,
        arrangement: Arrangement = Arrangement(),  # noqa: B008 - frozen
        mixer: MixerPart | None = None,
        credentials: Mapping[str, SecretSource] = MappingProxyType({}),
        plaintext_secrets: bool = False,
    ) -> None:
        self.discovery = Discovery(plaintext_secrets=plaintext_secrets)
        self.credentials = CredentialStore(credentials, self._put, clock)
        self.ready = asyncio.Event()
        self.mixer = mixer or MixerPart()
        self._clock = clock
        self._debounce = debounce
        self._published_at = 0.0
        self._platforms = Platforms(
            {name: each if isinstance(each, Opened) else Opened(each) for name, each in platforms.items()},
            arrangement,
            put=self._put,
            clock=clock,
            timer=time.monotonic,
        )
        self._state = process.State(checks=CHECKS)
        self._config = self._state.config()
        self._rules = compile_rules(self._config)
        self._reported: frozenset[Problem] = frozenset()
        self._sources = tuple(sources)
        self._feeds = [Feed(name, each, self._from_source, self._source_failed) for name, each in sources.items()]
        self._ending: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: list[_Fold] = []
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._file_problems: tuple[PlatformProblem, ...] = ()
        self._closed = False
        self._analyzed: tuple[Config, Mapping[str, Spoken]] | None = None
        self._warnings: tuple[Problem, ...] = ()
        self._gateway_api: tuple[Problem, ...] = ()
        self._left_out: tuple[Problem, ...] = ()

    def announce(self, announcement: Announcement) -> None:
        """Where the control plane listens, for platforms that register it."""
        self._platforms.announce(announcement)

    def start(self) -> None:
        """Starts watching; `ready` is set once every platform and source has told all it has."""
        self._loop = asyncio.get_running_loop()
        self._platforms.start()
        for feed in self._feeds:
            feed.start()
        for source in self.credentials.feeds:
            source.start()
        self._schedule()

    async def close(self) -> None:
        """Ends all watches; nothing is published any more."""
        self._closed = True
        for handle in (self._timer, self._alarm):
            if handle:
                handle.cancel()
        closing = [feed.close for feed in self._feeds] + [feed.close for feed in self._platforms.feeds()]
        closing += [feed.close for feed in self.credentials.feeds]
        await asyncio.gather(*self._ending, *(asyncio.to_thread(close) for close in closing))

    def arrange(
        self,
        names: Iterable[str],
        new: Mapping[str, Opened],
        arrangement: Arrangement,
        problems: Iterable[PlatformProblem] = (),
    ) -> None:
        """From now on these platforms: `new` are added or replace one of their name; `problems` are the file's."""
        self._file_problems = tuple(problems)
        for feed in self._platforms.arrange(names, new, arrangement):
            ending = asyncio.ensure_future(asyncio.to_thread(feed.close))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        self._schedule()

    def status(self) -> Status:
        waiting = [
            f"platform {each.name}" + (f": {each.stale}" if each.stale else "")
            for each in self._platforms.status()
            if not each.synced
        ]
        waiting += [
            f"configuration {name}" + (f": {self._state.stale[name]}" if name in self._state.stale else "")
            for name in self._sources
            if name not in self._state.synced
        ]
        waiting += self.credentials.waiting()
        return Status(tuple(waiting), ready=self.ready.is_set() or not waiting)

    def platforms(self) -> tuple[PlatformStatus, ...]:
        return self._platforms.status()

    def platform_conflicts(self) -> tuple[PlatformProblem, ...]:
        """Faults of the platforms file, and where platforms disagree about one service."""
        return (*self._file_problems, *self._platforms.conflicts())

    def stale_sources(self) -> Mapping[str, str]:
        """Configuration sources that are away, and why."""
        return self._state.stale

    def config_state(self) -> process.State:
        return self._state

    def config_problems(self) -> tuple[Problem, ...]:
        """What operators should know of the documents: refused ones first, then Mixer's rules with mistakes, what the
        analysis warns of, and EnvoyFilters that would break what proxies are told."""
        return (
            *self._state.problems(),
            *self._rules.problems,
            *self.mixer.problems,
            *self._warnings,
            *self._gateway_api,
            *self.discovery.left_out(),
        )

    @property
    def rules(self) -> RuleSet:
        """Mixer's rules in force."""
        return self._rules

    # Called in the watching threads.

    def _from_source(self, name: str, event: SourceEvent) -> None:
        self._put(functools.partial(self._fold_source, name, event))

    def _source_failed(self, name: str, error: str) -> None:
        self._from_source(name, SourceStale(f"the source failed ({error}); what it told stays in force"))

    def _put(self, fold: _Fold) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._receive, fold)

    # Called in the event loop.

    def _receive(self, fold: _Fold) -> None:
        self._inbox.append(fold)
        self._schedule()

    def _schedule(self) -> None:
        """Publish in a moment, or when the time since the last snapshot is up."""
        if self._timer is None and not self._closed:
            loop = asyncio.get_running_loop()
            due = max(loop.time() + SETTLE, self._published_at + self._debounce)
            self._timer = loop.call_at(due, self._publish)

    def _publish(self) -> None:
        self._timer = None
        self._published_at = asyncio.get_running_loop().time()
        inbox, self._inbox = self._inbox, []
        for fold in inbox:
            try:
                fold()
            except Exception:
                log.exception("an event could not be folded; it is left out, the others count")
        self._platforms.tick()
        self._report()
        self._wake()
        if not self.status().ready:
            return
        if self._config.version != self._state.version:
            self._config = self._state.config()
            self._compile_rules()
        catalog, current = self._platforms.catalog(), self.discovery.snapshot
        now = (catalog, self._config, self.credentials.current)
        if current is None or not all(map(operator.is_, now, (current.catalog, current.config, current.credentials))):
            policy = self.mixer.publish(self._rules, catalog)
            snapshot = Snapshot(catalog, self._config, policy, self.credentials.current)
            self.discovery.publish(snapshot)
            self._analyze(snapshot)
            self._tell_gateway_api()
        self._report_left_out()
        self.ready.set()

    def _wake(self) -> None:
        """Come back when a platform has stayed with its word for long enough."""
        if self._alarm:
            self._alarm.cancel()
        due = self._platforms.next_due()
        delay = max(0.0, due - time.monotonic())
        self._alarm = asyncio.get_running_loop().call_later(delay, self._schedule) if due < math.inf else None

    def _fold_source(self, name: str, event: SourceEvent) -> None:
        self._state = process.fold(self._state, event, self._clock(), name)
        if isinstance(event, SourceStale):
            log.warning("configuration %s is stale: %s", name, event.reason, extra={"source": name})

    def _analyze(self, snapshot: Snapshot) -> None:
        """What the objects say of each other and of the hosts there are; only when either changed."""
        ports = _ports(snapshot.catalog)
        if self._analyzed == (snapshot.config, ports):
            return
        self._analyzed = (snapshot.config, ports)
        before = set(self._warnings)
        self._warnings = tuple(analyze.analyze(snapshot.config, ports.keys(), ports))
        self._log(problem for problem in self._warnings if problem not in before)

    def _compile_rules(self) -> None:
        """Mixer's rules anew, if what concerns them changed; a rule with a mistake stays in force as it was."""
        before = set(self._rules.problems)
        self._rules = compile_rules(self._config, self._rules)
        self._log(problem for problem in self._rules.problems if problem not in before)

    def _tell_gateway_api(self) -> None:
        """Conditions of the Gateway API's objects that do not hold; services may make any of them hold, or not."""
        before = set(self._gateway_api)
        self._gateway_api = tuple(status.problems(self.discovery.statuses))
        self._log(problem for problem in self._gateway_api if problem not in before)

    def _report(self) -> None:
        """Logs problems of documents that were not there before."""
        known, self._reported = self._reported, frozenset(self._state.problems())
        self._log(sorted(self._reported - known, key=lambda each: each.where))

    def _report_left_out(self) -> None:
        """Logs EnvoyFilters that are left out and were not before; those of new proxies at the next snapshot."""
        known, self._left_out = self._left_out, self.discovery.left_out()
        self._log(problem for problem in self._left_out if problem not in known)

    def _log(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            log.warning("%s", problem, extra={"where": problem.where, "object": problem.object})


def _ports(catalog: Catalog) -> dict[str, Spoken]:
    """What is spoken on the ports of each host; in several namespaces one host may be several services."""
    found: dict[str, Spoken] = {}
    for service in catalog.services.values():
        spoken = Spoken()
        for port in service.ports:
            either, http = port.protocol is Protocol.UNSPECIFIED, port.protocol.is_http
            spoken |= Spoken(http=http or either, opaque=either or not http)
        for host in service.hosts:
            found[host] = found.get(host, Spoken()) | spoken
    return found
