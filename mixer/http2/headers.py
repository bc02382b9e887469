"""Header blocks of gRPC calls, read once per different block.

A peer's HPACK table would make a block mean something else each time. So we ask it to keep none
(SETTINGS_HEADER_TABLE_SIZE 0): while the table is empty, equal blocks are equal headers, and a bounded memo takes the
place of decoding. Else the library's decoder does each (RFC 7541; RFC 9113, section 8).
Pure; one `HeaderReader` per connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs
import hpack

MAX_LIST = 16_384
"""Bytes of a header list that a caller may send, by the count of RFC 9113, section 6.5.2."""
_REMEMBERED = 256
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_FORBIDDEN = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
_PSEUDO = frozenset({":method", ":path", ":scheme", ":authority"})


class MalformedError(ValueError):
    """Headers that make the request malformed: the stream ends with PROTOCOL_ERROR (RFC 9113, section 8.1.1)."""


class CompressionError(ValueError):
    """A block that the decoder cannot follow: the connection ends with COMPRESSION_ERROR."""


@attrs.frozen(eq=False)
class RequestHeaders:
    """What a call's headers say."""

    path: str
    """`/istio.mixer.v1.Mixer/Check`."""
    metadata: Mapping[str, str]
    """All other headers; values of one name joined by a comma."""
    timeout: float | None
    """Seconds that the caller waits (`grpc-timeout`); None if it did not say."""
    content_length: int | None
    is_grpc: bool


class HeaderReader:
    """Reads the blocks of one connection, in order."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=MAX_LIST)
        self._memo: dict[bytes, RequestHeaders] = {}
        self._table_forbidden = False

    def table_forbidden(self) -> None:
        """The peer acknowledged that it has no table: it may not ask for one any more."""
        self._table_forbidden = True

    def read(self, block: bytes) -> RequestHeaders:
        """The headers of a request. Raises MalformedError, CompressionError."""
        entries = self._decoder.header_table.dynamic_entries
        stateless = not entries
        if stateless and (known := self._memo.get(block)) is not None:
            return known
        headers = parse(self._decode(block))
        if stateless and not entries and not _resizes(block) and len(self._memo) < _REMEMBERED:
            self._memo[block] = headers
        return headers

    def skip(self, block: bytes) -> None:
        """Follows the block of a stream that is refused. Raises CompressionError."""
        self._decode(block)

    def trailers(self, block: bytes) -> None:
        """Follows the trailers of a request. Raises MalformedError, CompressionError."""
        for name, _ in self._decode(block):
            if name.startswith(":"):
                raise MalformedError(f"pseudo-header {name} in trailers")

    def _decode(self, block: bytes) -> list[tuple[str, str]]:
        if self._table_forbidden and _resizes(block) and block[0] & 0x1F:
            raise CompressionError("a table larger than SETTINGS_HEADER_TABLE_SIZE allows")
        try:
            return [(_text(name), _text(value)) for name, value in self._decoder.decode(block, raw=True)]
        except hpack.HPACKError as error:
            raise CompressionError(str(error)) from error


def parse(fields: list[tuple[str, str]]) -> RequestHeaders:
    """A request's fields, held to RFC 9113, section 8.2 and 8.3. Raises MalformedError."""
    pseudo: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in fields:
        if name.startswith(":"):
            if metadata or name not in _PSEUDO or name in pseudo:
                raise MalformedError(f"pseudo-header {name} is unknown, late or there twice")
            pseudo[name] = value
        elif name != name.lower() or name in _FORBIDDEN or (name == "te" and value != "trailers"):
            raise MalformedError(f"header {name} may not stand in HTTP/2")
        else:
            metadata[name] = f"{metadata[name]},{value}" if name in metadata else value
    if not pseudo.get(":path") or ":method" not in pseudo or ":scheme" not in pseudo:
        raise MalformedError("a request needs :method, :scheme and :path")
    if authority := pseudo.get(":authority"):
        metadata.setdefault("host", authority)
    return RequestHeaders(
        path=pseudo[":path"],
        metadata=metadata,
        timeout=_timeout(metadata.get("grpc-timeout")),
        content_length=_content_length(metadata.get("content-length")),
        is_grpc=pseudo[":method"] == "POST" and metadata.get("content-type", "").startswith("application/grpc"),
    )


def _resizes(block: bytes) -> bool:
    """Whether the block begins with a table size update: reading it has an effect (RFC 7541, section 6.3)."""
    return bool(block) and block[0] & 0xE0 == 0x20


def _text(raw: str | bytes) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw


def _timeout(value: str | None) -> float | None:
    if value is None:
        return None
    read = _TIMEOUT.fullmatch(value)
    if read is None:
        raise MalformedError(f"grpc-timeout {value[:20]!r} is not a number of up to 8 digits and one of H M S m u n")
    return int(read[1]) * _UNITS[read[2]]


def _content_length(value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isascii() or not value.isdigit():
        raise MalformedError("content-length is not a number")
    return int(value)


def literal(name: str, value: str) -> bytes:
    """One field as a literal that touches no table and is not compressed (RFC 7541, section 6.2.2)."""
    return b"\x00" + _string(name.encode()) + _string(value.encode())


def _string(raw: bytes) -> bytes:
    if len(raw) < 127:
        return bytes((len(raw),)) + raw
    size, out = len(raw) - 127, bytearray(b"\x7f")
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out) + raw


RESPONSE = b"\x88" + literal("content-type", "application/grpc")
"""The headers of every answer: `:status: 200` by the static table."""
NOT_GRPC = literal(":status", "415") + literal("content-type", "text/plain")
NOT_GRPC_BODY = b"only gRPC is served here\n"
TRAILERS_OK = literal("grpc-status", "0")


def trailers(status: int, message: str) -> bytes:
    """How a call ended; the message is percent-encoded (gRPC over HTTP2, "Responses")."""
    if status == 0:
        return TRAILERS_OK
    told = "".join(chr(c) if 0x20 <= c <= 0x7E and c != 0x25 else f"%{c:02X}" for c in message.encode()[:1024])
    return literal("grpc-status", str(status)) + literal("grpc-message", told)
