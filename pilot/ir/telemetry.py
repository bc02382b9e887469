"""What a proxy tells of the traffic that passes: lines and entries of logs, spans of traces."""

from __future__ import annotations

import enum
from datetime import timedelta

import attrs


class LogKind(enum.Enum):
    """Where entries go: a file, Envoy's access log service (of requests, of connections), a collector by OTLP."""

    FILE = "file"
    GRPC_HTTP = "http_grpc"
    GRPC_TCP = "tcp_grpc"
    OTLP = "open_telemetry"


@attrs.frozen(cache_hash=True)
class AccessLog:
    """`path` is of a file; `cluster` and `name` are of the others, `headers`, … of GRPC_HTTP.

    `text` or `json` (an object, as text) is the format of a file's lines, and the body or the attributes of an OTLP
    record; neither is Envoy's own. `condition` is CEL: what does not fulfil it is not told.
    """

    kind: LogKind
    path: str = ""
    cluster: str = ""
    name: str = ""
    text: str = ""
    json: str = ""
    condition: str = ""
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    response_trailers: tuple[str, ...] = ()
    filter_state: tuple[str, ...] = ()
    flush_interval: timedelta | None = None


class TagKind(enum.Enum):
    LITERAL = "literal"
    ENVIRONMENT = "environment"
    HEADER = "request_header"
    FORMAT = "value"


@attrs.frozen(cache_hash=True)
class SpanTag:
    """`value` is the text, the variable's or header's name, or the format; `default` stands for what is not there."""

    name: str
    kind: TagKind
    value: str
    default: str = ""


class Tracer(enum.Enum):
    ZIPKIN = "zipkin"
    OPENTELEMETRY = "opentelemetry"


@attrs.frozen(cache_hash=True)
class Tracing:
    """Spans of requests to a collector; `sampling` is the percentage of requests that nobody has decided about."""

    tracer: Tracer
    cluster: str
    authority: str
    sampling: float
    path: str = ""
    long_ids: bool = True
    tags: tuple[SpanTag, ...] = ()
    max_path_length: int = 0
    propagates: bool = True
    by_request_id: bool = True
    """Whether what was decided for a request goes on in its id."""
