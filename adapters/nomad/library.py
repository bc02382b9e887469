"""python-nomad over our own connections: its calls for what it does well, our transport for what it does not.

Used for single reads (regions, the agent, versions of a job, the token itself) by `adapters.nomad`. Its own client
checks no certificate unless told to, and lets NOMAD_ADDR, NOMAD_TOKEN, NOMAD_REGION and NOMAD_NAMESPACE stand in for
what the caller left out; nothing of that is left here (docs/adr/0024-nomad-client.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import nomad.api.acl
import nomad.api.agent
import nomad.api.exceptions
import nomad.api.job
import nomad.api.regions
import requests

from adapters.api import AnswerError, refusal
from adapters.nomad.client import Client

TIMEOUT = 10


class Session:
    """The part of `requests.Session` that python-nomad reads with; it raises our ApiError where there is no success."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, url: str, params: Mapping[str, str] | None = None, **_: object) -> requests.Response:
        """One read. Certificates, tokens and time limits are the client's."""
        path = url.removeprefix(str(self._client.access.address))
        answer = self._client.send("GET", path, params, again=True)
        if answer.status >= 300:
            raise refusal(answer)
        made = requests.Response()
        made.status_code = answer.status
        made._content = answer.data
        return made


class Library:
    """The calls of python-nomad that we use, for one region, bound to a client of ours. Each raises an ApiError."""

    def __init__(self, client: Client, region: str = "", namespace: str = "") -> None:
        settings: dict[str, Any] = {
            "address": str(client.access.address),
            "timeout": TIMEOUT,
            "verify": True,
            "region": region or None,
            "namespace": namespace or None,
            "session": Session(client),
        }
        self._agent = nomad.api.agent.Agent(**settings)
        self._acl = nomad.api.acl.Acl(**settings)
        self._job = nomad.api.job.Job(**settings)
        self._regions = nomad.api.regions.Regions(**settings)

    def regions(self) -> tuple[str, ...]:
        """The names of all regions that the agent knows."""
        return tuple(_answered(self._regions.get_regions))

    def own_region(self) -> str:
        """The agent's own region; needs agent:read."""
        return str(_answered(self._agent.get_agent)["config"]["Region"])

    def job_versions(self, job: str) -> object:
        """What Nomad answers of a job's versions."""
        return _answered(lambda: self._job.get_versions(job))

    def own_token(self) -> object:
        """What Nomad answers of the token that we use; a DeniedError for one that is unknown or expired."""
        return _answered(self._acl.get_self_token)


def _answered(ask: Any) -> Any:
    try:
        return ask()
    except (nomad.api.exceptions.BaseNomadException, json.JSONDecodeError, KeyError, TypeError) as error:
        raise AnswerError(f"python-nomad: {error!r}") from error
