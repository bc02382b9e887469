"""Asks a running control plane, or an Envoy's admin interface, over HTTP. For the commands that show things."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

TIMEOUT = 10.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Not through the proxies of the environment: what is asked is on this machine or the operator's own network."""


def get_json(address: str, path: str, what: str, option: str, **query: str) -> Any:
    """JSON of `http://address/path?query`. ClickException that names `what` and `option` if there is none to be had."""
    base = address if address.startswith(("http://", "https://")) else f"http://{address}"
    url = f"{base.rstrip('/')}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    try:
        with _DIRECT.open(url, timeout=TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode(errors="replace").strip()
        raise click.ClickException(text or f"{url} answered {error.code}") from error
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise click.ClickException(
            f"{what} at {address} can't be reached: {reason}; is it running? see {option}"
        ) from error
    except (ValueError, http.client.HTTPException) as error:
        reason = f"{type(error).__name__}: {str(error).strip()[:200]}"
        raise click.ClickException(f"{url} did not answer with JSON: {reason}; see {option}") from error
