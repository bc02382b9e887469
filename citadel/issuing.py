"""Issues certificates to whoever was attested: the one door to the authority while the control plane runs.

The CSR service, SDS and the control plane's own listener ask here. It bounds how long leaves live, counts, looks after
the authority every few seconds, and tells listeners when the trusted roots changed. It decides no identity.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics_core import UntypedMetricFamily
from prometheus_client.registry import Collector

from citadel import rotation
from citadel.authority import Authority, AuthorityError, Issued
from citadel.csr import CsrError
from citadel.identity import SpiffeId, TrustDomains

log = logging.getLogger(__name__)

DEFAULT_TTL = timedelta(hours=24)
MAX_TTL = timedelta(days=90)
"""Both are Istio's own."""
REFRESH = 2.0
_COUNTERS = {
    "citadel_server_csr_count": "Certificate requests received.",
    "citadel_server_success_cert_issuance_count": "Certificates issued.",
    "citadel_server_csr_parsing_err_count": "Requests that could not be read, or hold a key that is not signed.",
    "citadel_server_csr_sign_err_count": "Requests that the authority did not sign.",
    "citadel_server_authentication_failure_count": "Callers without evidence of who they are, or with false evidence.",
    "citadel_server_id_extraction_err_count": "Certificates that name no identity of this mesh.",
}
"""Istio's names. They are exposed without `_total`, as Istio has them."""


@attrs.frozen
class Ttls:
    """How long leaves live: `default` where the caller does not say, never longer than `longest`."""

    default: timedelta = DEFAULT_TTL
    longest: timedelta = MAX_TTL

    def of(self, asked: timedelta) -> timedelta:
        """Zero asks for the default, as in Istio. ValueError for less than that."""
        if asked < timedelta():
            raise ValueError(
                f"a certificate can't live for {asked.total_seconds():g} s: ask for more than 0, or leave it out"
            )
        return min(asked or self.default, self.longest)


class Issuing(Collector):
    """`start` before anything else; all of it belongs to one event loop."""

    def __init__(
        self,
        authority: Authority,
        domains: TrustDomains,
        *,
        registry: CollectorRegistry,
        ttls: Ttls = Ttls(),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        every: float = REFRESH,
    ) -> None:
        self.authority = authority
        self.domains = domains
        self.ttls = ttls
        self._clock = clock
        self._every = every
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._listeners: list[Callable[[], None]] = []
        self._roots: tuple[x509.Certificate, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._alarms: dict[str, int] = {}
        self._away = ""
        registry.register(self)

    async def start(self) -> None:
        """AuthorityError if the authority can't sign and will not by itself."""
        await self.authority.start()
        self._compare()
        self._task = asyncio.get_running_loop().create_task(self._look_after())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.authority.close()

    async def issue(
        self, spiffe: SpiffeId, csr: str | bytes, ttl: timedelta = timedelta(), names: tuple[str, ...] = ()
    ) -> Issued:
        """A leaf for `spiffe`, in the mesh's own trust domain. CsrError, ValueError (`ttl`) or AuthorityError."""
        self.count("citadel_server_csr_count")
        life = self.ttls.of(ttl)
        try:
            issued = await self.authority.sign(csr, self.domains.localize(spiffe), life, names)
        except CsrError:
            self.count("citadel_server_csr_parsing_err_count")
            raise
        except AuthorityError:
            self.count("citadel_server_csr_sign_err_count")
            raise
        self.count("citadel_server_success_cert_issuance_count")
        return issued

    def roots(self) -> tuple[x509.Certificate, ...]:
        """What every workload is to trust, now."""
        return self._roots

    def on_roots(self, listener: Callable[[], None]) -> None:
        """`listener` is called after each change of `roots`, in the event loop."""
        self._listeners.append(listener)

    def count(self, name: str) -> None:
        """One more of Istio's citadel_server_… counters."""
        self._counts[name] += 1

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.authority.refresh()
            except AuthorityError as error:
                if str(error) != self._away:
                    log.warning("the certificate authority: %s; what is known of it stays in force", error)
                self._away = str(error)
            except Exception:
                log.exception("looking after the certificate authority failed; trying again")
            else:
                self._away = ""
            self._compare()

    def _compare(self) -> None:
        found = self.authority.roots()
        if found != self._roots:
            self._roots = found
            log.info(
                "%d roots are trusted now",
                len(found),
                extra={"roots": [each.subject.rfc4514_string() for each in found]},
            )
            for listener in self._listeners:
                listener()
        self._warn()

    def _warn(self) -> None:
        """Once for each tenth that matters of a certificate's life, and of the token's."""
        for use, begin, end in self._lives():
            level = rotation.alarm(begin, end, self._clock())
            if level > self._alarms.get(use, 0):
                log.warning("%s has passed %d %% of its life and ends at %s; nothing replaced it yet", use, level, end)
            self._alarms[use] = level

    def _lives(self) -> Iterator[tuple[str, datetime, datetime]]:
        signing = self.authority.signing()
        named = [("the signing certificate", signing.chain[0])] if signing else []
        named += [(f"the root {root.subject.rfc4514_string()!r}", root) for root in self._roots]
        for use, each in named:
            yield use, each.not_valid_before_utc, each.not_valid_after_utc

    def describe(self) -> Iterator[Metric]:
        """Nothing to check at registration: all names are known here."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for name, value in self._counts.items():
            metric = UntypedMetricFamily(name, _COUNTERS[name])
            metric.add_metric([], value)
            yield metric
        signing = self.authority.signing()
        ends = {
            "citadel_server_root_cert_expiry_timestamp": [each.not_valid_after_utc for each in self._roots],
            "citadel_server_cert_chain_expiry_timestamp": [e.not_valid_after_utc for e in signing.chain]
            if signing
            else [],
        }
        for name, each in ends.items():
            if each:
                yield _gauge(name, "When the first of them ends, in Unix seconds.", min(each).timestamp())
                left = (min(each) - self._clock()).total_seconds()
                yield _gauge(name.replace("_timestamp", "_seconds"), "How long until then.", left)
        token = getattr(self.authority, "token_expires", lambda: None)()
        if token is not None:
            yield _gauge("citadel_server_token_expiry_timestamp", "When the authority's token ends.", token.timestamp())
        yield _gauge("citadel_server_authority_away", "1 while the authority can't be asked.", float(bool(self._away)))
        yield _gauge("citadel_server_trusted_roots", "Roots that workloads are to trust.", len(self._roots))


def _gauge(name: str, text: str, value: float) -> Metric:
    found = GaugeMetricFamily(name, text)
    found.add_metric([], value)
    return found
