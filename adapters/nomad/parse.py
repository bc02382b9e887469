"""A job as an operator writes it, as the JSON of Nomad's API. HCL is read by Nomad itself, which alone knows all of it.

Called by the command `inject`.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from adapters.api import ApiError, refusal
from adapters.nomad.client import Client, access_of
from adapters.nomad.options import NomadOptions


class UnreadableJobError(ValueError):
    """A text that is no job; the message says what it is, or what Nomad says of it."""


def job(text: str, name: str, options: NomadOptions, variables: str = "") -> dict[str, Any]:
    """The job of a file called `name`. JSON, with or without "Job" around it, is read here; HCL is sent to Nomad.

    `variables` is the text of a variables file. Raises UnreadableJobError, or an ApiError with its reason.
    """
    found = _json(text, name) if text.lstrip().startswith("{") else _hcl(text, name, options, variables)
    inner = found.get("Job", found)
    if not isinstance(inner, dict) or not isinstance(inner.get("TaskGroups"), list):
        raise UnreadableJobError(
            f"{name}: no job of Nomad's API: it has no TaskGroups: give HCL, or JSON as of nomad job inspect"
        )
    return inner


def _json(text: str, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UnreadableJobError(f"{name}: not JSON: {error}") from error
    return found


def _hcl(text: str, name: str, options: NomadOptions, variables: str) -> dict[str, Any]:
    access = access_of(options)
    asked = {"JobHCL": text, "Variables": variables, "Canonicalize": False}
    body = json.dumps(asked).encode()
    with contextlib.closing(Client(access, 1)) as client:
        try:
            response = client.send("POST", "/v1/jobs/parse", body=body, headers={"Content-Type": "application/json"})
            if response.status == 400:
                said = response.data.decode(errors="replace").strip().replace("input.hcl", name)
                raise UnreadableJobError(f"{name}: Nomad can't read it: {said}")
            if response.status >= 300:
                raise refusal(response)
        except ApiError as error:
            raise type(error)(access.explained(error)) from error
    found: dict[str, Any] = json.loads(response.data)
    return found
