"""One watched datacenter: its state, the threads that ask it, and what is wrong with it now.

Made and driven by `adapters.consul.loop`, in the loop's thread. Here is what is asked of Consul and how; when to ask is
`adapters.consul.datacenter`'s decision. Answers come back to the loop as reports.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import attrs

from adapters.api import Access, ApiError
from adapters.consul import convert
from adapters.consul.client import Answer, Client
from adapters.consul.convert import Reading, Selection, UnreadableError
from adapters.consul.datacenter import Datacenter, Sweep
from adapters.consul.peer import PeerPoller, listed
from adapters.consul.poll import NAMES, PATHS, Poller, Report


@attrs.frozen
class Settings:
    """What the operator chose; see `adapters.consul.watch.ConsulPlatform`."""

    platform: str
    access: Access
    datacenters: tuple[str, ...] | None
    warning: bool
    wait: float
    patience: float
    failover: tuple[str, ...] = ()
    selection: Selection = attrs.field(factory=Selection)
    peers: tuple[str, ...] = ()

    def priority_of(self, datacenter: str, peer: str = "") -> int:
        """0 but for datacenters to fail over to, which follow in their order; then peers in theirs."""
        if peer:
            return len(self.failover) + self.peers.index(peer) + 1
        return self.failover.index(datacenter) + 1 if datacenter in self.failover else 0


@attrs.frozen
class Listed:
    """The names of services were read."""

    site: str
    result: Answer | ApiError | UnreadableError


@attrs.frozen
class Read:
    """The instances of a service were read."""

    site: str
    name: str
    result: Reading | ApiError | UnreadableError


@attrs.frozen
class Swept:
    """One node, or service, was looked at in a sweep."""

    site: str
    target: str
    by_node: bool
    result: bytes | ApiError


@attrs.frozen
class Askers:
    """Who does the short requests of all datacenters: reads of what changed never queue behind a sweep."""

    client: Client
    readers: ThreadPoolExecutor
    sweepers: ThreadPoolExecutor


class Site:
    """A datacenter by the name `key` (empty: the agent's own, whatever its name), or what is imported of a `peer`."""

    def __init__(
        self, key: str, local: bool, settings: Settings, askers: Askers, report: Report, *, peer: str = ""
    ) -> None:
        self.key = key
        self.peer = peer
        self.local = local
        self.state = Datacenter(settings.patience)
        self.errors: dict[str, str] = {}
        self.filtered: dict[str, bool] = {}
        self.unlisted_since: float | None = None
        self._settings = settings
        self._askers = askers
        self._report = report
        self._params = {"peer": peer} if peer else {"dc": key} if key else {}
        self._client = Client(settings.access, 1 if peer else len(PATHS))
        self._pollers: list[Poller | PeerPoller] = (
            [PeerPoller(key, peer, self._client, report)]
            if peer
            else [Poller(key, kind, self._client, self._params, settings.wait, report) for kind in PATHS]
        )
        self._sweeping = 0
        self._sweep_failed = False
        self._digests: dict[str, int] = {}

    @property
    def label(self) -> str:
        """For coordinates in problems."""
        if self.peer:
            return f"consul peer {self.peer}"
        return f"consul {self.key}" if self.key else "consul"

    def trouble(self) -> str:
        """Why its instances may not be current; empty if they are."""
        if self.errors:
            return f"{self.label}: {next(iter(self.errors.values()))}"
        return f"{self.label}: reading everything again" if self.state.loaded and not self.state.current else ""

    def start(self) -> None:
        """Begin the long polls."""
        for poller in self._pollers:
            poller.start()

    def close(self) -> None:
        """End the long polls, cutting their connections."""
        for poller in self._pollers:
            poller.close()
        self._client.close()
        for poller in self._pollers:
            poller.join(timeout=1.0)

    def list_names(self) -> None:
        """Have the names read; a Listed comes of it."""
        self._askers.readers.submit(self._do_list)

    def read(self, names: tuple[str, ...]) -> None:
        """Have services read; a Read comes of each."""
        for name in names:
            self._askers.readers.submit(self._do_read, name)

    def sweep(self, sweep: Sweep, now: float) -> None:
        """Have everything looked at; a Swept comes of each node or service."""
        targets = sweep.nodes or sweep.names
        self._sweeping, self._sweep_failed = len(targets), False
        if not targets:
            self.state.sweep_ended(now, complete=True)
        for target in targets:
            self._askers.sweepers.submit(self._do_sweep, target, bool(sweep.nodes))

    def swept(self, swept: Swept, now: float) -> None:
        """Take a Swept in."""
        self._sweeping -= 1
        try:
            self._compare(swept)
        except (ApiError, UnreadableError, AttributeError, TypeError, ValueError):
            self._sweep_failed = True
        if self._sweeping == 0:
            self.state.sweep_ended(now, complete=not self._sweep_failed)

    def _compare(self, swept: Swept) -> None:
        """Only a node whose answer is another than in the last sweep is worth parsing."""
        if isinstance(swept.result, ApiError):
            raise swept.result
        digest = hash(swept.result)
        if not swept.by_node:
            self.state.swept_service(swept.target, digest)
        elif self._digests.get(swept.target) != digest:
            self.state.swept_node(swept.target, convert.versions_on_node(swept.result))
            self._digests[swept.target] = digest

    # Run by readers and sweepers

    def _do_list(self) -> None:
        try:
            client = self._askers.client
            found = listed(client, self.peer) if self.peer else client.get(PATHS[NAMES], self._params)
            self._report(Listed(self.key, found))
        except (ApiError, UnreadableError) as error:
            self._report(Listed(self.key, error))

    def _do_read(self, name: str) -> None:
        try:
            answer = self._askers.client.get(f"/v1/health/service/{name}", self._params)
            reading = convert.read_service(
                name,
                answer.body,
                local=self.local,
                warning=self._settings.warning,
                platform=self._settings.platform,
                index=answer.index,
                selection=self._settings.selection,
                priority=self._settings.priority_of(self.key, self.peer),
                peer=self.peer,
            )
            self._report(Read(self.key, name, reading))
        except (ApiError, UnreadableError) as error:
            self._report(Read(self.key, name, error))

    def _do_sweep(self, target: str, by_node: bool) -> None:
        path = f"/v1/catalog/node-services/{target}" if by_node else f"/v1/health/service/{target}"
        try:
            self._report(Swept(self.key, target, by_node, self._askers.client.get(path, self._params).body))
        except ApiError as error:
            self._report(Swept(self.key, target, by_node, error))
