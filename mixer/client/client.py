"""The client library: asks Mixer before, tells it afterwards, and keeps what it may keep. Blocking, for any thread.

For services and jobs that are no part of the mesh's traffic. It speaks istio.mixer.v1 over grpcio; the caches and their
clocks are in `cache` and `prefetch`. What is asked is decided by the server; what becomes of a request when no answer
comes is the caller's to say (`fail_open`).
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import attrs
import grpc

from galley.kinds.mixer import HeaderOperation
from mixer.attributes import Bag, Value
from mixer.client.cache import CheckCache
from mixer.client.prefetch import Pool
from mixer.result import NO_DIRECTIVE, UNLIMITED, HeaderEdit, RouteDirective
from mixer.status import Code, Status
from mixer.wire import dictionary, messages, referenced
from mixer.wire.compressed import compressed, reports

MOST_REPORTS = 100
REPORT_WITHIN = 1.0
"""A batch goes when it has so many reports, or its first is so many seconds old."""


class MixerUnavailableError(Exception):
    """No answer came; the text says why."""


@attrs.frozen
class Decision:
    """What Mixer said. `granted` has the amount of each quota asked for, `valid` the seconds it may be used."""

    status: Status
    granted: Mapping[str, int] = attrs.field(factory=dict)
    valid: Mapping[str, float] = attrs.field(factory=dict)
    directive: RouteDirective = NO_DIRECTIVE
    cached: bool = False

    @property
    def allowed(self) -> bool:
        return self.status.ok


class MixerClient:
    """`address` is HOST:PORT. Use it as a context manager, or `close` it: reports that wait are sent then.

    `timeout` in seconds is for each call; `fail_open` lets pass, and grants, what Mixer does not answer. With
    `prefetch` quotas are taken ahead (see `prefetch`), for those that are taken often and in small amounts.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 1.0,
        fail_open: bool = False,
        prefetch: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = grpc.insecure_channel(address)
        self._check = self._channel.unary_unary(f"/{messages.SERVICE}/Check")
        self._report = self._channel.unary_unary(f"/{messages.SERVICE}/Report")
        self._timeout = timeout
        self._fail_open = fail_open
        self._prefetch = prefetch
        self._clock = clock
        self._shared = len(dictionary.GLOBAL)
        self._lock = threading.Lock()
        self._cache: CheckCache[Decision] = CheckCache()
        self._pools: dict[tuple[str, Any], Pool] = {}
        self._reports: list[Bag] = []
        self._timer: threading.Timer | None = None
        self.dropped_reports = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def check(self, attributes: Bag) -> Decision:
        """Whether this may happen. From the cache where a verdict may be used again."""
        with self._lock:
            kept = self._cache.get(attributes, self._clock())
        if kept is not None:
            return attrs.evolve(kept, cached=True)
        return self._asked(attributes, {}, False, "")

    def quota(
        self,
        name: str,
        amount: int,
        attributes: Bag,
        *,
        best_effort: bool = False,
        deduplication_id: str = "",
    ) -> Decision:
        """Takes `amount` of a quota, if the attributes pass the check. All or nothing, unless `best_effort`.

        Give a repeated call the same `deduplication_id` and it takes nothing more. A decision whose quota fell short is
        a refusal, RESOURCE_EXHAUSTED, with what was granted.
        """
        if self._prefetch and not best_effort and not deduplication_id:
            return self._from_pool(name, amount, attributes)
        decision = self._asked(attributes, {name: amount}, best_effort, deduplication_id or uuid.uuid4().hex)
        return _short(decision, name, 1 if best_effort else amount)

    def report(self, attributes: Bag) -> None:
        """Tells what has happened, soon and in company. Never raises; what can't be told is counted as dropped."""
        with self._lock:
            self._reports.append(dict(attributes))
            full = len(self._reports) >= MOST_REPORTS
            if not full and self._timer is None:
                self._timer = threading.Timer(REPORT_WITHIN, self.flush)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self.flush()

    def flush(self) -> None:
        """Sends the reports that wait, now."""
        with self._lock:
            batch, self._reports = self._reports, []
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if not batch:
            return
        try:
            self.tell(batch)
        except MixerUnavailableError:
            self.dropped_reports += len(batch)

    def tell(self, batch: Sequence[Bag]) -> None:
        """Reports all of these at once, now. MixerUnavailableError if they can't be told."""
        try:
            self._report(reports(batch).SerializeToString(), timeout=self._timeout)
        except grpc.RpcError as error:
            raise MixerUnavailableError(f"{error.code().name}: {error.details()}") from error

    def close(self) -> None:
        """Sends what waits and hangs up."""
        self.flush()
        self._channel.close()

    def _from_pool(self, name: str, amount: int, attributes: Bag) -> Decision:
        key = name, tuple(sorted((each, _hashable(value)) for each, value in attributes.items()))
        with self._lock:
            pool = self._pools.setdefault(key, Pool())
            taken = pool.take(amount, self._clock())
            wanted = 0 if taken else pool.wanted(self._clock())
        if wanted:
            asked = self._asked(attributes, {name: wanted}, True, uuid.uuid4().hex)
            if not asked.allowed:
                return asked
            with self._lock:
                pool.granted(wanted, asked.granted.get(name, 0), asked.valid.get(name, 0.0), self._clock())
                taken = pool.take(amount, self._clock())
        return _short(Decision(Status(), {name: amount if taken else 0}), name, amount)

    def _asked(self, attributes: Bag, quotas: Mapping[str, int], best_effort: bool, deduplication_id: str) -> Decision:
        try:
            response = self._called(attributes, quotas, best_effort, deduplication_id)
        except MixerUnavailableError as error:
            if self._fail_open:
                return Decision(Status(), dict(quotas))
            return Decision(Status(Code.UNAVAILABLE, str(error)), dict.fromkeys(quotas, 0))
        decision = _decision(response)
        self._keep(attributes, response, attrs.evolve(decision, granted={}))
        return decision

    def _called(self, attributes: Bag, quotas: Mapping[str, int], best_effort: bool, deduplication_id: str) -> Any:
        """The CheckResponse; a server that knows fewer global words is asked again with next to none."""
        for shared in dict.fromkeys((self._shared, 1)):
            request = messages.CheckRequest(
                attributes=compressed(attributes, shared),
                global_word_count=shared,
                deduplication_id=deduplication_id,
                quotas={name: {"amount": amount, "best_effort": best_effort} for name, amount in quotas.items()},
            )
            try:
                body = self._check(request.SerializeToString(), timeout=self._timeout)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT and "dictionary" in error.details():
                    continue
                raise MixerUnavailableError(f"{error.code().name}: {error.details()}") from error
            self._shared = shared
            return messages.CheckResponse.FromString(body)
        raise MixerUnavailableError("the server knows none of the global dictionaries")

    def _keep(self, attributes: Bag, response: Any, decision: Decision) -> None:
        precondition = response.precondition
        valid = precondition.valid_duration.ToTimedelta().total_seconds()
        uses = precondition.valid_use_count
        if valid <= 0 or not precondition.HasField("referenced_attributes"):
            return
        references = referenced.decode(precondition.referenced_attributes)
        with self._lock:
            left = uses if uses == UNLIMITED else max(uses - 1, 0)
            self._cache.put(attributes, decision, references, until=self._clock() + valid, uses=left)


def _decision(response: Any) -> Decision:
    precondition = response.precondition
    directive = precondition.route_directive
    return Decision(
        Status(Code(precondition.status.code), precondition.status.message),
        {name: each.granted_amount for name, each in response.quotas.items()},
        {name: each.valid_duration.ToTimedelta().total_seconds() for name, each in response.quotas.items()},
        RouteDirective(
            _edits(directive.request_header_operations),
            _edits(directive.response_header_operations),
            directive.direct_response_code,
            directive.direct_response_body,
        ),
    )


def _edits(operations: Any) -> tuple[HeaderEdit, ...]:
    names = tuple(HeaderOperation)
    return tuple(HeaderEdit(each.name, each.value, names[each.operation]) for each in operations)


def _short(decision: Decision, name: str, wanted: int) -> Decision:
    """A refusal, if less than wanted was granted."""
    if not decision.allowed or decision.granted.get(name, 0) >= wanted:
        return decision
    return attrs.evolve(decision, status=Status(Code.RESOURCE_EXHAUSTED, f"quota {name} is exhausted"))


def _hashable(value: Value) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value
