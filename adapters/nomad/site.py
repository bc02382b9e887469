"""One feed at work: its state, its stream, and the threads that read for it.

Kept by `adapters.nomad.loop`, in whose thread all methods without a leading `_do` run; results arrive as reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import attrs

from adapters.api import Access, AnswerError, ApiError, DeniedError
from adapters.nomad import read
from adapters.nomad.checks import Checks
from adapters.nomad.client import Answer, Client
from adapters.nomad.facts import JobName, Listing, Registration, ServiceName
from adapters.nomad.feed import Feed
from adapters.nomad.library import Library
from adapters.nomad.read import UnreadableError
from adapters.nomad.reports import ChecksRead, JobRead, Listed, Probed, Report, SiteKey
from adapters.nomad.stream import Stream
from adapters.platform import Problem


@attrs.frozen
class Settings:
    """What the operator chose; see `adapters.nomad.watch.NomadPlatform`."""

    platform: str
    access: Access
    regions: tuple[str, ...] | None
    namespaces: tuple[str, ...]
    check_interval: float
    check_rate: float
    patience: float
    silence: float


@attrs.frozen
class Askers:
    """Who does the short requests of all feeds. What asks the nodes of allocations may hang, and has threads of its
    own; a lister waits for readers, and must not take their place."""

    client: Client
    readers: ThreadPoolExecutor
    checkers: ThreadPoolExecutor
    listers: ThreadPoolExecutor


class Site:
    """A feed of the region and namespace that `key` names. `region` is the region's own name, for its locality."""

    def __init__(self, key: SiteKey, region: str, settings: Settings, askers: Askers, report: Report) -> None:
        self.key = key
        checks = Checks(settings.check_interval, settings.check_rate)
        self.state = Feed(region, settings.platform, settings.patience, checks)
        self.errors: dict[str, str] = {}
        self.settled = False
        """Whether all that its first list needs to be understood was read: it is told from then on."""
        self.unlisted_since: float | None = None
        self.probe_at = 0.0
        self._askers = askers
        self._report = report
        self._params = {"namespace": key[1]} | ({"region": key[0]} if key[0] else {})
        self._client = Client(settings.access, 2)
        self._stream = Stream(key, self._client, self._params, report, settings.silence)

    @property
    def label(self) -> str:
        """For coordinates in problems."""
        return " ".join(part for part in ("nomad", self.state.region, self.key[1].replace("*", "")) if part)

    def trouble(self) -> str:
        """Why its instances may not be current; empty if they are."""
        if self.errors:
            return f"{self.label}: {next(iter(self.errors.values()))}"
        return f"{self.label}: reading everything again" if self.state.loaded and not self.state.current else ""

    def start(self) -> None:
        """Begin to listen."""
        self._stream.start()

    def close(self) -> None:
        """End the stream, cutting its connection."""
        self._stream.close()
        self._client.close()
        if self._stream.is_alive():
            self._stream.join(timeout=1.0)

    def list_all(self) -> None:
        """Have everything read; a Listed comes of it."""
        self._askers.listers.submit(self._do_list)

    def read_job(self, job: JobName) -> None:
        """Have a job's versions read; a JobRead comes of it."""
        self._askers.readers.submit(self._do_read_job, job)

    def read_checks(self, alloc: str) -> None:
        """Have an allocation's checks read; a ChecksRead comes of it."""
        self._askers.checkers.submit(self._do_read_checks, alloc)

    def probe(self) -> None:
        """Have the names of services read, which only servers with a leader answer; a Probed comes of it."""
        self._askers.readers.submit(self._do_probe)

    # Run by listers, readers and checkers

    def _do_list(self) -> None:
        try:
            self._report(Listed(self.key, self._everything()))
        except ApiError as error:
            self._report(Listed(self.key, error))
        except UnreadableError as error:
            self._report(Listed(self.key, AnswerError(f"unreadable answer: {error}")))

    def _everything(self) -> Listing:
        problems: list[Problem] = []
        listed = self._get("/v1/services")
        allocations = self._get("/v1/allocations", {"task_states": "false"})
        nodes = self._nodes(problems)
        names = read.service_names(listed.body)
        answers = self._askers.readers.map(self._read_service, names)
        services: dict[ServiceName, tuple[int, Mapping[str, Registration]]] = {}
        for name, answer in zip(names, answers, strict=True):
            services[name] = (answer.index, read.registrations(answer.body, problems))
        return Listing(
            services=services,
            services_index=listed.index,
            allocations=read.allocations(allocations.body, problems),
            allocations_index=allocations.index,
            nodes=read.nodes(nodes.body, problems),
            nodes_index=nodes.index,
            problems=tuple(problems),
        )

    def _read_service(self, name: ServiceName) -> Answer:
        return self._get(f"/v1/service/{name[1]}", {"namespace": name[0]})

    def _nodes(self, problems: list[Problem]) -> Answer:
        """Nodes; none, with a problem, for a token that may not see them."""
        try:
            return self._get("/v1/nodes")
        except DeniedError as error:
            mend = 'allow the token node { policy = "read" }, or do without node class and node health'
            problems.append(Problem(f"{self.label} acl", f"nodes can't be read: {error}", mend))
            return Answer(b"[]", 0)

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Answer:
        return self._askers.client.get(path, self._params | dict(params or {}))

    def _do_read_job(self, job: JobName) -> None:
        try:
            versions = Library(self._askers.client, self.key[0], job[0]).job_versions(job[1])
            self._report(JobRead(self.key, job, read.specs(versions)))
        except ApiError as error:
            gone = isinstance(error, AnswerError) and str(error).startswith("404")
            self._report(JobRead(self.key, job, () if gone else error))
        except UnreadableError as error:
            self._report(JobRead(self.key, job, AnswerError(f"unreadable answer: {error}")))

    def _do_read_checks(self, alloc: str) -> None:
        try:
            answer = self._get(f"/v1/client/allocation/{alloc}/checks")
            self._report(ChecksRead(self.key, alloc, read.checks(answer.body)))
        except ApiError as error:
            self._report(ChecksRead(self.key, alloc, error))
        except UnreadableError as error:
            self._report(ChecksRead(self.key, alloc, AnswerError(f"unreadable answer: {error}")))

    def _do_probe(self) -> None:
        try:
            self._report(Probed(self.key, read.service_names(self._get("/v1/services").body)))
        except ApiError as error:
            self._report(Probed(self.key, error))
        except UnreadableError as error:
            self._report(Probed(self.key, AnswerError(f"unreadable answer: {error}")))
