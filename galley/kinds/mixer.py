"""What Mixer is configured with (policy/v1beta1/cfg.proto, config.istio.io): rules, handlers, instances, manifests.

Data only: read by `mixer.rules`, which alone knows expressions, adapters and templates; so types of expressions and
parameters of handlers are judged there. `fail_policy` is ours: Istio says it for a whole proxy only.
"""

from __future__ import annotations

import datetime
import enum
from typing import Annotated

import attrs

from galley.schema import Int64, OneOf, Struct, UInt32

ADAPTERS = (
    "bypass",
    "circonus",
    "cloudwatch",
    "denier",
    "dogstatsd",
    "fluentd",
    "kubernetesenv",
    "listchecker",
    "memquota",
    "noop",
    "opa",
    "prometheus",
    "rbac",
    "redisquota",
    "signalfx",
    "solarwinds",
    "stackdriver",
    "statsd",
    "stdio",
    "zipkin",
)
"""Kinds of Istio before `handler`: the adapter's name is the kind, its parameters are the spec."""
TEMPLATES = (
    "apikey",
    "authorization",
    "checknothing",
    "edge",
    "kubernetes",
    "listentry",
    "logentry",
    "metric",
    "quota",
    "reportnothing",
    "tracespan",
)
"""Kinds of Istio before `instance`: the template's name is the kind, its fields are the spec."""


class HeaderOperation(enum.Enum):
    """What becomes of a header."""

    REPLACE = "REPLACE"
    REMOVE = "REMOVE"
    APPEND = "APPEND"


class Denominator(enum.Enum):
    """What a share is counted in."""

    HUNDRED = "HUNDRED"
    TEN_THOUSAND = "TEN_THOUSAND"


class AttributeType(enum.Enum):
    """Types of attributes (policy/v1beta1/value_type.proto)."""

    VALUE_TYPE_UNSPECIFIED = "VALUE_TYPE_UNSPECIFIED"
    STRING = "STRING"
    INT64 = "INT64"
    DOUBLE = "DOUBLE"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    IP_ADDRESS = "IP_ADDRESS"
    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    URI = "URI"
    DNS_NAME = "DNS_NAME"
    DURATION = "DURATION"
    STRING_MAP = "STRING_MAP"


class FailPolicy(enum.Enum):
    """What a check comes to when its handler does not answer."""

    FAIL_OPEN = "FAIL_OPEN"
    FAIL_CLOSE = "FAIL_CLOSE"


@attrs.frozen
class AttributeInfo:
    """One declared attribute."""

    description: str = ""
    value_type: AttributeType = AttributeType.VALUE_TYPE_UNSPECIFIED


@attrs.frozen
class AttributeManifest:
    """Attributes that something produces, beyond Istio's own."""

    revision: str = ""
    name: str = ""
    attributes: tuple[tuple[str, AttributeInfo], ...] = ()


@attrs.frozen
class HeaderOperationTemplate:
    """A header of the request or the response that a passed check changes; the values are expressions."""

    name: str = ""
    values: tuple[str, ...] = ()
    operation: HeaderOperation = HeaderOperation.REPLACE


@attrs.frozen
class Action:
    """Which instances a handler is given. `name` is what header operations call its output by."""

    handler: str = ""
    instances: tuple[str, ...] = ()
    name: str = ""


@attrs.frozen
class FractionalPercent:
    """A share."""

    numerator: UInt32 = 0
    denominator: Denominator = Denominator.HUNDRED


@attrs.frozen
class RandomSampling:
    """A share of the reports; by the hash of an expression's value unless `use_independent_randomness`."""

    attribute_expression: str = ""
    percent_sampled: FractionalPercent | None = None
    use_independent_randomness: bool = False


@attrs.frozen
class RateLimitSampling:
    """After `max_unsampled_entries` within `sampling_duration`, one in `sampling_rate`."""

    sampling_duration: datetime.timedelta | None = None
    max_unsampled_entries: Int64 = 0
    sampling_rate: Int64 = 0


@attrs.frozen
class Sampling:
    """Which of the matching reports are made."""

    random: RandomSampling | None = None
    rate_limit: RateLimitSampling | None = None


@attrs.frozen
class RuleFailPolicy:
    """NetworkFailPolicy of mixer.v1, for the handlers of one rule; `timeout` is the deadline of each call."""

    policy: FailPolicy = FailPolicy.FAIL_CLOSE
    timeout: datetime.timedelta | None = None
    max_retry: UInt32 = 0
    base_retry_wait: datetime.timedelta | None = None
    max_retry_wait: datetime.timedelta | None = None


@attrs.frozen
class Rule:
    """When `match` holds, the handlers are given the instances."""

    match: str = ""
    actions: tuple[Action, ...] = ()
    request_header_operations: tuple[HeaderOperationTemplate, ...] = ()
    response_header_operations: tuple[HeaderOperationTemplate, ...] = ()
    sampling: Sampling | None = None
    fail_policy: RuleFailPolicy | None = None


@attrs.frozen
class Instance:
    """How a template's fields follow from attributes."""

    name: str = ""
    compiled_template: Annotated[str, OneOf("template")] = ""
    template: Annotated[str, OneOf("template")] = ""
    params: Struct | None = None
    attribute_bindings: tuple[tuple[str, str], ...] = ()


class AuthHeader(enum.Enum):
    """How a token stands in the Authorization header."""

    PLAIN = "PLAIN"
    BEARER = "BEARER"


@attrs.frozen
class OAuth:
    """A token from an OAuth server, by client credentials; `client_secret` is the path of a file."""

    client_id: str = ""
    client_secret: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    endpoint_params: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Tls:
    """TLS to an adapter, with a token."""

    ca_certificates: str = ""
    token_path: Annotated[str, OneOf("token_source")] = ""
    oauth: Annotated[OAuth | None, OneOf("token_source")] = None
    auth_header: Annotated[AuthHeader, OneOf("token_type")] = AuthHeader.PLAIN
    custom_header: Annotated[str, OneOf("token_type")] = ""
    server_name: str = ""


@attrs.frozen
class Mutual:
    """TLS to an adapter, with a client certificate; all are paths of files."""

    private_key: str = ""
    client_certificate: str = ""
    ca_certificates: str = ""
    server_name: str = ""


@attrs.frozen
class Authentication:
    """How an adapter knows us."""

    tls: Annotated[Tls | None, OneOf("auth_type")] = None
    mutual: Annotated[Mutual | None, OneOf("auth_type")] = None


@attrs.frozen
class Connection:
    """Where an adapter of its own process listens."""

    address: str = ""
    timeout: datetime.timedelta | None = None
    authentication: Authentication | None = None


@attrs.frozen
class Handler:
    """An adapter with its parameters: one of ours (`compiled_adapter`), or one of its own process (`adapter`)."""

    name: str = ""
    compiled_adapter: Annotated[str, OneOf("adapter")] = ""
    adapter: Annotated[str, OneOf("adapter")] = ""
    params: Struct | None = None
    connection: Connection | None = None


@attrs.frozen
class AdapterInfo:
    """The kind `adapter`: what an adapter of its own process takes. `config` is a base64 descriptor."""

    name: str = ""
    description: str = ""
    templates: tuple[str, ...] = ()
    config: str = ""
    session_based: bool = False


@attrs.frozen
class TemplateDescriptor:
    """The kind `template`: a base64 descriptor."""

    descriptor: str = ""
