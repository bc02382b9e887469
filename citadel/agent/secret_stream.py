"""One stream of Envoy's secret discovery, as a conversation without a socket: state of the world and delta. Pure.

xds_protocol.rst. `pilot.xds.protocol` speaks the same language for clusters and listeners, with the order between them
and everything that thousands of proxies need; one proxy's four secrets need none of it, and loading it would double
what the agent weighs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from citadel.agent.secrets import TYPE, Secret
from citadel.protobuf import message_classes

MOST_NAMES = 100
_CLASSES = message_classes(
    "mesh_adapter.discovery",
    {
        "Status": ("int32 code = 1", "string message = 2"),
        "Any": ("string type_url = 1", "bytes value = 2"),
        "Request": (
            "string version_info = 1",
            "repeated string resource_names = 3",
            "string type_url = 4",
            "string response_nonce = 5",
            "Status error_detail = 6",
        ),
        "Response": (
            "string version_info = 1",
            "repeated Any resources = 2",
            "string type_url = 4",
            "string nonce = 5",
        ),
        "DeltaRequest": (
            "string type_url = 2",
            "repeated string resource_names_subscribe = 3",
            "repeated string resource_names_unsubscribe = 4",
            "string response_nonce = 6",
            "Status error_detail = 7",
        ),
        "Resource": ("string version = 1", "Any resource = 2", "string name = 3"),
        "DeltaResponse": (
            "string system_version_info = 1",
            "repeated Resource resources = 2",
            "string type_url = 4",
            "string nonce = 5",
            "repeated string removed_resources = 6",
        ),
    },
)
Known = Mapping[str, Secret]


class SecretStream(Protocol):
    """`request` takes what Envoy says, `update` what there is after a change; both answer what to send, if anything.

    `refused` are names asked for that are not this workload's, `rejected` is Envoy's latest complaint; who runs the
    stream takes them away. DecodeError for bytes that are no request, ValueError for one that can't be meant.
    """

    refused: list[str]
    rejected: str

    def request(self, data: bytes, known: Known | None) -> bytes | None: ...

    def update(self, known: Known | None) -> bytes | None: ...


class SotwStream:
    """Each answer holds every secret that is subscribed to and there is."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.rejected = ""
        self._names: frozenset[str] | None = None
        self._nonce = 0
        self._told: dict[str, str] | None = None

    def request(self, data: bytes, known: Known | None) -> bytes | None:
        message = _checked(_CLASSES["Request"].FromString(data))
        if message.response_nonce and self._nonce and message.response_nonce != str(self._nonce):
            return None
        self.rejected = message.error_detail.message or self.rejected
        names = _names(message.resource_names)
        if names == self._names:
            return None
        self._names, self._told = names, None
        return self.update(known)

    def update(self, known: Known | None) -> bytes | None:
        if known is None or self._names is None:
            return None
        if self._told is None:
            self.refused.extend(sorted(self._names - known.keys()))
        found = [known[name] for name in sorted(self._names & known.keys())]
        versions = {each.name: each.version for each in found}
        if versions == self._told:
            return None
        self._told = versions
        self._nonce += 1
        message = _CLASSES["Response"](
            version_info=_together(found), type_url=TYPE, nonce=str(self._nonce), resources=[_any(e) for e in found]
        )
        return bytes(message.SerializeToString())


class DeltaStream:
    """Each answer holds what is new to Envoy; what is asked for and is not there is told as removed."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.rejected = ""
        self._nonce = 0
        self._told: dict[str, str] = {}
        self._names: set[str] = set()

    def request(self, data: bytes, known: Known | None) -> bytes | None:
        message = _checked(_CLASSES["DeltaRequest"].FromString(data))
        self.rejected = message.error_detail.message or self.rejected
        gone, come = _names(message.resource_names_unsubscribe), _names(message.resource_names_subscribe)
        for name in gone | come:
            self._told.pop(name, None)
        self._names = (self._names - gone) | come
        if len(self._names) > MOST_NAMES:
            raise ValueError(f"more than {MOST_NAMES} secrets are asked for")
        return self.update(known) if come else None

    def update(self, known: Known | None) -> bytes | None:
        if known is None:
            return None
        fresh = [
            known[name] for name in sorted(self._names & known.keys()) if self._told.get(name) != known[name].version
        ]
        missing = sorted(name for name in self._names - known.keys() if self._told.get(name) != "")
        if not fresh and not missing:
            return None
        self.refused.extend(missing)
        self._told.update({each.name: each.version for each in fresh} | dict.fromkeys(missing, ""))
        self._nonce += 1
        message = _CLASSES["DeltaResponse"](
            system_version_info=_together(fresh),
            type_url=TYPE,
            nonce=str(self._nonce),
            resources=[{"name": each.name, "version": each.version, "resource": _any(each)} for each in fresh],
            removed_resources=missing,
        )
        return bytes(message.SerializeToString())


def _checked(message: Any) -> Any:
    if message.type_url not in ("", TYPE):
        raise ValueError(f"secrets are served here, not {message.type_url[:200]!r}")
    return message


def _names(given: Any) -> frozenset[str]:
    if len(given) > MOST_NAMES:
        raise ValueError(f"more than {MOST_NAMES} secrets are asked for")
    return frozenset(given)


def _together(found: list[Secret]) -> str:
    return ".".join(sorted({each.version for each in found}))


def _any(found: Secret) -> dict[str, object]:
    return {"type_url": TYPE, "value": found.body}
