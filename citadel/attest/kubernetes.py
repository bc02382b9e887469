"""Kubernetes' word for a pod: the token of its service account, made for us, shown to the API server for review."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from citadel.attest import Attested, AttestorAwayError, EvidenceError, jws
from kubeapi.access import Access, Api
from kubeapi.errors import KubernetesError
from kubeapi.reading import parsed

AUDIENCE = "istio-ca"
"""What Istio's injector asks for in the projected token, so that a token for the API server is none for us."""
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
_PREFIX = "system:serviceaccount:"


class KubernetesAttestor:
    """Our own credentials (`kubeconfig`, or the pod's) need to create tokenreviews: the role system:auth-delegator."""

    def __init__(self, kubeconfig: str = "", context: str = "", audience: str = AUDIENCE) -> None:
        self._access = Access(kubeconfig, context)
        self._audience = audience
        self._api = Api(self._access)

    async def check(self) -> None:
        self._access.check()

    async def attest(self, evidence: str) -> Attested:
        jws.take_apart(evidence)
        status = (await self._review(evidence)).get("status") or {}
        if not status.get("authenticated"):
            raise EvidenceError(
                f"Kubernetes does not accept the token: {str(status.get('error') or 'not known')[:200]}"
            )
        if self._audience not in (status.get("audiences") or ()):
            raise EvidenceError(f"the token is not for {self._audience}: project one with that audience")
        user = str((status.get("user") or {}).get("username") or "")
        namespace, colon, account = user.removeprefix(_PREFIX).partition(":")
        if not user.startswith(_PREFIX) or not colon or not namespace or not account:
            raise EvidenceError("the token is not a service account's")
        return Attested(namespace, account)

    async def close(self) -> None:
        await asyncio.to_thread(self._api.close)

    async def _review(self, evidence: str) -> dict[str, Any]:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": evidence, "audiences": [self._audience]},
        }
        try:
            found: dict[str, Any] = parsed(await asyncio.to_thread(self._api.post, _REVIEWS, json.dumps(body).encode()))
            return found
        except KubernetesError as error:
            raise AttestorAwayError(f"Kubernetes can't be asked to review a token: {error}") from None
