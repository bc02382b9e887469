"""Consul's word for a service: an ACL token that is bound to it, made by hand or by a login with an auth method.

Consul itself is asked whose token it is. It counts only if it is bound to exactly one service by a service identity,
which an auth method's binding rule of type `service` gives, and `consul acl token create -service-identity` too. What a
token may do by policies or roles says nothing of who its bearer is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from citadel.attest import Attested, AttestorAwayError, EvidenceError
from citadel.attest.http import PlatformApi

DEFAULT_NAMESPACE = "default"
_NOBODY = "00000000-0000-0000-0000-000000000000"


class ConsulAttestor:
    """A service's account is its name; its namespace that of Consul Enterprise, else `default`."""

    def __init__(
        self,
        addr: str = "http://127.0.0.1:8500",
        ca_file: str = "",
        namespace: str = DEFAULT_NAMESPACE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = PlatformApi("Consul", addr, ca_file)
        self._namespace = namespace
        self._clock = clock

    async def check(self) -> None:
        answer = await self._api.ask("GET", "/v1/acl/token/self", {"X-Consul-Token": _NOBODY})
        if answer.status == 401:
            raise AttestorAwayError(
                "Consul's ACLs are off: turn them on (acl { enabled = true }) to have services attested"
            )

    async def attest(self, evidence: str) -> Attested:
        if len(evidence) > 256 or not evidence.isascii() or not evidence.isprintable():
            raise EvidenceError("not the secret id of a Consul token")
        answer = await self._api.ask("GET", "/v1/acl/token/self", {"X-Consul-Token": evidence})
        if answer.status == 401:
            raise AttestorAwayError("Consul's ACLs are off, so that it knows no token")
        if answer.status != 200 or not isinstance(answer.json, dict):
            raise EvidenceError("Consul does not know the token, or it has expired")
        bound = [str(each.get("ServiceName") or "") for each in answer.json.get("ServiceIdentities") or ()]
        if len(bound) != 1 or not bound[0]:
            raise EvidenceError(
                f"the Consul token is bound to {len(bound)} services by service identities, and has to be bound to one"
            )
        return Attested(str(answer.json.get("Namespace") or self._namespace), bound[0])

    async def close(self) -> None:
        await self._api.close()
