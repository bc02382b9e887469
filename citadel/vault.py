"""Vault's PKI engine as the authority: the CA's keys never leave Vault, and leaves are signed by one role of one mount.

Signing goes by our own pooled connections, since hvac neither pools enough nor yields; tokens and everything rare go by
`vault_client`. The identity is set by us (`uri_sans`), the signing issuer is named in each request, and what comes back
is held against what was asked: a role that takes names from requests is found out before anybody gets its leaf.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
from cryptography import x509

from citadel import profile
from citadel.authority import AuthorityError, Issued, Signing
from citadel.csr import Csr, read_csr
from citadel.identity import SpiffeId
from citadel.profile import ProfileError
from citadel.vault_client import Login, VaultClient, read_issuers, refused
from citadel.vault_issuers import Issuers

log = logging.getLogger(__name__)

T = TypeVar("T")
MOUNT, ROLE = "mesh-pki", "mesh-adapter"
IN_FLIGHT = 16
"""Requests that Vault is given at once; more would wait there instead of here."""
QUEUE = 10_000
ATTEMPTS = 4
SECONDS = 10.0


def utc() -> datetime:
    return datetime.now(UTC)


class VaultAuthority:
    """`mount` is a PKI engine and `role` a role of it, both as `cert init-vault` makes them."""

    def __init__(
        self,
        addr: str,
        login: Login,
        *,
        mount: str = MOUNT,
        role: str = ROLE,
        ca_file: str = "",
        namespace: str = "",
        in_flight: int = IN_FLIGHT,
        clock: Callable[[], datetime] = utc,
    ) -> None:
        self.client = VaultClient(addr, login, ca_file=ca_file, namespace=namespace)
        self.mount = mount
        self.role = role
        self._clock = clock
        self._ca_file = ca_file
        self._free = asyncio.Semaphore(in_flight)
        self._in_flight = in_flight
        self._waiting = 0
        self._one = asyncio.Lock()
        self._known: Issuers | None = None
        self._chain: Signing | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        connector = aiohttp.TCPConnector(limit=self._in_flight, ssl=context, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=SECONDS))
        try:
            await self.refresh()
        except AuthorityError as error:
            if not error.retry:
                await self.close()
                raise
            log.warning("%s; trying again", error)

    async def refresh(self) -> None:
        await self._alone(self._look)

    async def sign(self, csr: str | bytes, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...] = ()) -> Issued:
        request = read_csr(csr)
        if self._waiting >= QUEUE:
            raise AuthorityError(f"{QUEUE} requests wait for Vault already", retry=True)
        self._waiting += 1
        try:
            async with self._free:
                return await self._persist(request, spiffe, ttl, names)
        finally:
            self._waiting -= 1

    def roots(self) -> tuple[x509.Certificate, ...]:
        return tuple(each.certificate for each in self._known.roots) if self._known else ()

    def signing(self) -> Signing | None:
        return self._chain

    @property
    def role_path(self) -> str:
        return f"{self.mount}/roles/{self.role}"

    def token_expires(self) -> datetime | None:
        """When the token does; None for one that does not, or before the first login."""
        return self.client.token.expires if self.client.token else None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        self.client.close()

    async def _persist(self, csr: Csr, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...]) -> Issued:
        """A few attempts, a random while apart; what lasts longer is for the caller's own patience."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._sign(csr, spiffe, ttl, names)
            except AuthorityError as error:
                if not error.retry:
                    raise
            await asyncio.sleep(random.uniform(0.5, 1.0) * 0.1 * 2**attempt)
        return await self._sign(csr, spiffe, ttl, names)

    async def _sign(self, csr: Csr, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...]) -> Issued:
        signing = await self._signing()
        body = self._body(csr, spiffe, ttl, names)
        status, answer = await self._post(body)
        if status == 403 and not await self._alone(lambda: self.client.check_token(self._clock())):
            status, answer = await self._post(body)
        what = f"write {self._path()}"
        if status >= 400:
            raise refused(what, status, "; ".join(map(str, answer.get("errors") or ())))
        try:
            leaf = x509.load_pem_x509_certificate(answer["data"]["certificate"].encode())
        except (KeyError, TypeError, ValueError, AttributeError):
            raise AuthorityError(f"Vault's answer to {what} holds no certificate") from None
        try:
            profile.check_leaf(leaf, csr.key, spiffe, names)
            if leaf.issuer != signing.chain[0].subject:
                raise ProfileError(f"it was signed by {leaf.issuer.rfc4514_string()!r}")
        except ProfileError as error:
            raise AuthorityError(
                f"Vault's role {self.role} makes certificates that are not the mesh's: {error}. Let `mesh-adapter cert "
                "init-vault` write the role"
            ) from None
        return Issued((leaf, *signing.chain[:-1]))

    def _body(self, csr: Csr, spiffe: SpiffeId, ttl: timedelta, names: tuple[str, ...]) -> bytes:
        addresses = [each for each in names if profile.is_address(each)]
        wanted = {
            "csr": csr.pem,
            "uri_sans": str(spiffe),
            "alt_names": ",".join(each for each in names if each not in addresses),
            "ip_sans": ",".join(addresses),
            "ttl": f"{max(1, round(ttl.total_seconds()))}s",
            "format": "pem",
        }
        return json.dumps(wanted).encode()

    def _path(self) -> str:
        issuer = self._known.default if self._known else "default"
        return f"{self.mount}/issuer/{issuer}/sign/{self.role}"

    async def _post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            raise AuthorityError("the authority was not started")
        headers = {"X-Vault-Token": self.client.secret, "X-Vault-Request": "true"}
        if self.client.namespace:
            headers["X-Vault-Namespace"] = self.client.namespace
        url = f"{self.client.addr}/v1/{self._path()}"
        try:
            async with self._session.post(url, data=body, headers=headers) as response:
                text = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = type(error).__name__
            raise AuthorityError(f"Vault can't be reached to write {self._path()}: {reason}", retry=True) from None
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = {}
        return status, answer if isinstance(answer, dict) else {}

    async def _signing(self) -> Signing:
        if self._chain is None:
            await self.refresh()
        if self._chain is None:
            raise AuthorityError("Vault was not reached yet", retry=True)
        return self._chain

    async def _alone(self, work: Callable[[], T]) -> T:
        """In a thread; hvac's session is for one at a time."""
        async with self._one:
            return await asyncio.to_thread(work)

    def _look(self) -> None:
        now = self._clock()
        self.client.keep_token(now)
        try:
            found = read_issuers(self.client, self.mount, self._known)
        except AuthorityError as error:
            if error.retry or self.client.check_token(now):
                raise
            found = read_issuers(self.client, self.mount, self._known)
        chain = found.chain(found.signer)
        for each in chain.chain:
            try:
                profile.check_signing(each, now)
            except ProfileError as error:
                raise AuthorityError(
                    f"{each.subject.rfc4514_string()!r} in Vault's mount {self.mount} can't sign: {error}; "
                    "run mesh-adapter cert rotate"
                ) from None
        self._known, self._chain = found, chain
