"""Nomad's word for a task: its workload identity, and the allocation that this names.

Nomad before 1.7 publishes no keys. So the token is shown to Nomad itself, as the token of a request that only the job
it names is permitted: reading the job's own variable. Nomad verifies signature and allocation to answer, and says
403 unless both are good (docs/adr). Then the allocation is looked at with a token of our own: it has to be wanted,
alive, of that job, and have that task. Nomad verifies tokens only while its ACLs are on, so that is checked each time.
"""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from citadel.attest import Attested, AttestorAwayError, EvidenceError, jws
from citadel.attest.http import Answer, PlatformApi, secret
from citadel.attest.jws import Token

AUDIENCE = "nomadproject.io"
"""Of the identity that Nomad since 1.7 takes at its own API; before it, tokens name no audience."""
_NOBODY = "00000000-0000-0000-0000-000000000000"
_ALIVE = ("pending", "running")


class NomadAttestor:
    """`token` needs the capability read-job in the namespaces of the mesh. A task's account is its job's name."""

    def __init__(
        self,
        addr: str = "http://127.0.0.1:4646",
        token: str = "",
        token_file: str = "",
        ca_file: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api = PlatformApi("Nomad", addr, ca_file)
        self._token, self._token_file = token, token_file
        self._clock = clock

    async def check(self) -> None:
        await self._refuse_open_nomad("default", "any")

    async def attest(self, evidence: str) -> Attested:
        token = jws.take_apart(evidence)
        token.check_time(self._clock())
        if token.audiences() and AUDIENCE not in token.audiences():
            raise EvidenceError(f"the token is for {', '.join(token.audiences())[:80]}, not for {AUDIENCE}")
        namespace, job = token.text("nomad_namespace"), token.text("nomad_job_id")
        await self._refuse_open_nomad(namespace, job)
        answer = await self._read_variable(namespace, job, evidence)
        if answer.status not in (200, 404):
            raise EvidenceError(
                "Nomad does not accept the token: its signature is not Nomad's, or its allocation has ended"
            )
        return Attested(namespace, await self._account(token, namespace, job))

    async def close(self) -> None:
        await self._api.close()

    async def _account(self, token: Token, namespace: str, job: str) -> str:
        found = await self._allocation(token, namespace)
        if found.get("JobID") != job or found.get("Namespace") != namespace:
            raise EvidenceError("the token's allocation is of another job")
        if found.get("ClientStatus") not in _ALIVE or found.get("DesiredStatus") != "run":
            raise EvidenceError("the token's allocation has ended, or is being stopped")
        of_job = found.get("Job") or {}
        groups = {each.get("Name"): each for each in of_job.get("TaskGroups") or ()}
        tasks = {each.get("Name") for each in (groups.get(found.get("TaskGroup")) or {}).get("Tasks") or ()}
        if token.text("nomad_task") not in tasks:
            raise EvidenceError("the token's task is not of its allocation")
        return str(of_job.get("ParentID") or job)

    async def _allocation(self, token: Token, namespace: str) -> dict[str, Any]:
        name = token.text("nomad_allocation_id")
        try:
            uuid.UUID(name)
        except ValueError:
            raise EvidenceError("the token's allocation is no allocation's id") from None
        ours = secret(self._token, self._token_file)
        answer = await self._api.ask(
            "GET", f"/v1/allocation/{name}?namespace={_quoted(namespace)}", {"X-Nomad-Token": ours} if ours else {}
        )
        if answer.status == 403:
            raise AttestorAwayError(
                "Nomad does not let us read allocations: give the attestor a token with the capability read-job in "
                f"namespace {namespace}"
            )
        if answer.status != 200 or not isinstance(answer.json, dict):
            raise EvidenceError("the token's allocation is not there any more")
        return answer.json

    async def _refuse_open_nomad(self, namespace: str, job: str) -> None:
        """A Nomad without ACLs lets everybody read, and so vouches for nobody."""
        answer = await self._read_variable(namespace, job, _NOBODY)
        if answer.status != 403:
            raise AttestorAwayError(
                "Nomad's ACLs are off, so that it verifies no token: turn them on (acl { enabled = true }) to have its "
                "workloads attested"
            )

    async def _read_variable(self, namespace: str, job: str, token: str) -> Answer:
        path = f"/v1/var/nomad/jobs/{_quoted(job)}?namespace={_quoted(namespace)}"
        return await self._api.ask("GET", path, {"X-Nomad-Token": token})


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
