"""The socket on which the agent serves the workload and its Envoy: a file, and who may open it is who may be it."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import attrs
import grpc
import grpc.aio

LONGEST_PATH = 107
"""Bytes of a socket's path that Linux takes (unix(7))."""
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 10),
    ("grpc.max_concurrent_streams", 100),
)


class SocketError(Exception):
    """The socket can't be made; the message says why, and the mend."""


@attrs.frozen
class LocalSocket:
    """`path` is for this user (mode 0600), or also for the group with the id `group` (0660)."""

    path: Path
    group: int | None = None

    async def serve(self, services: Sequence[grpc.GenericRpcHandler]) -> grpc.aio.Server:
        """A server that listens there, started. SocketError if it can't be, or if somebody else serves there."""
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise SocketError(f"{self.path} is longer than the {LONGEST_PATH} bytes of a socket's path: give a shorter")
        if _is_served(self.path):
            raise SocketError(f"{self.path} is served by another process: stop it, or give another path")
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(tuple(services))
        _make_folder(self.path.parent)
        mask = os.umask(0o177)
        try:
            self.path.unlink(missing_ok=True)
            server.add_insecure_port(f"unix:{self.path}")
            if self.group is not None:
                os.chown(self.path, -1, self.group)
                self.path.chmod(0o660)
        except (OSError, RuntimeError) as error:
            raise SocketError(f"{self.path} can't be listened on: {error}") from None
        finally:
            os.umask(mask)
        await server.start()
        return server


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise SocketError(f"{path} can't be made: {error.strerror}") from None
