"""Which of several replicas does what only one may do: `--leader-election consul:KEY`.

Used by `mesh_adapter.commands.start`. Proxies are served by every replica; leading is for work on shared things, such
as a new root of the mesh (`mesh_adapter.root_schedule`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, Protocol

from adapters.consul.election import Election
from adapters.consul.options import ConsulOptions
from adapters.options import OptionError, decode
from mesh_adapter.assembly import SetupError


class Leadership(Protocol):
    """`leads` may be asked from any thread, at any time: right before each piece of work."""

    @property
    def replica(self) -> str:
        """What this replica is called."""

    @property
    def leader(self) -> str:
        """Who leads, as far as is known; empty if nobody."""

    @property
    def trouble(self) -> str:
        """Why that may not be known; empty if it is."""

    def leads(self) -> bool: ...

    def start(self) -> None: ...

    def close(self) -> None:
        """Step back. May block for some seconds."""


class Alone:
    """The only replica there is."""

    trouble = ""

    def __init__(self) -> None:
        self.replica = self.leader = replica_name()

    def leads(self) -> bool:
        return True

    def start(self) -> None: ...

    def close(self) -> None: ...


def leadership(chosen: str, kinds: Mapping[str, Mapping[str, Any]]) -> Leadership:
    """What `--leader-election` names; `kinds` has the options by which Consul is reached. SetupError if it can't be."""
    if not chosen:
        return Alone()
    kind, _, key = chosen.partition(":")
    if kind != "consul" or not key.strip("/"):
        raise SetupError(f"--leader-election {chosen}: write consul:KEY, as in consul:mesh-adapter/leader")
    try:
        return Election(decode(ConsulOptions, {}, kinds.get("consul", {})), key.strip("/"), replica_name())
    except (OptionError, ValueError, OSError) as error:
        raise SetupError(f"--leader-election {chosen}: {error}") from error


def replica_name() -> str:
    """Host and process, which two replicas never share."""
    return f"{socket.gethostname()}:{os.getpid()}"
