"""Where requests come in: what redirects have to know of it."""

from __future__ import annotations

import attrs

DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class Entrance:
    """The scheme of requests, and the port; 0 is the usual one, or a Service's, which clients name themselves."""

    scheme: str = "http"
    port: int = 0
