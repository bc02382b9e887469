"""Who may open a stream, and as whom: decided before anything that the proxy says is read.

The composition root gives the server a way to admit callers; `citadel` knows them. What a proxy then says of itself
has to agree with what it was admitted as: the namespace and the account that rules and secrets go by are never its own
word on a port that knows better.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import grpc

from pilot.model.proxy import NodeError, claimed_namespace
from pilot.xds.protocol import Node


class StreamError(Exception):
    """Ends the stream with a gRPC status; the text goes to the proxy."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


@attrs.frozen
class Admitted:
    """A caller; `known` if its identity was proven, which is then `namespace` and `service_account`."""

    address: str
    known: bool = False
    namespace: str = ""
    service_account: str = ""


Admit = Callable[[Any], Awaitable[Admitted]]
"""From a gRPC context to who calls; StreamError (UNAUTHENTICATED, UNAVAILABLE) for one that is not admitted."""


async def admit_all(context: Any) -> Admitted:
    """The plaintext port: whoever reaches it is let in, and believed."""
    return Admitted(context.peer())


def check_claims(node: Node, admitted: Admitted) -> None:
    """StreamError PERMISSION_DENIED if a known caller says it is somebody else. Others refuse misshapen nodes."""
    if not admitted.known:
        return
    try:
        namespace = claimed_namespace(node.id, node.metadata)
    except NodeError:
        return
    account = str(node.metadata.get("SERVICE_ACCOUNT") or admitted.service_account)
    if (namespace, account) != (admitted.namespace, admitted.service_account):
        raise StreamError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"node {node.id[:200]!r} says it is {account[:80]!r} of namespace {namespace[:80]!r}, and was admitted as "
            f"{admitted.service_account!r} of {admitted.namespace!r}: give it the id and metadata of what its "
            "certificate or token is for",
        )
