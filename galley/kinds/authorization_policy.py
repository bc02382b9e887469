"""AuthorizationPolicy (security.istio.io, authorization_policy.proto): who may ask workloads for what.

Data only: read by planning and by `pilot.verdict`, built by `galley.decode` from the annotations. Values are exact,
`prefix*`, `*suffix`, or `*`, which asks only that there is one.
"""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.selector import TargetReference, WorkloadSelector
from galley.schema import Becomes, Wire


class Action(enum.Enum):
    """What becomes of a request that a rule matches. Of CUSTOM no authorizer is asked yet: it is denied."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    AUDIT = "AUDIT"
    CUSTOM = "CUSTOM"


@attrs.frozen
class Source:
    """Who asks: all fields that are said must hold."""

    principals: Annotated[tuple[str, ...], Becomes("`authenticated.principal_name`")] = ()
    not_principals: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()
    request_principals: Annotated[tuple[str, ...], Becomes("`metadata` of `envoy.filters.http.jwt_authn`")] = ()
    not_request_principals: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()
    namespaces: Annotated[tuple[str, ...], Becomes("`authenticated.principal_name`, a regular expression")] = ()
    not_namespaces: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()
    service_accounts: Annotated[tuple[str, ...], Becomes("`authenticated.principal_name`, a regular expression")] = ()
    not_service_accounts: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()
    trust_domains: Annotated[tuple[str, ...], Becomes("`authenticated.principal_name`, a regular expression")] = ()
    not_trust_domains: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()
    ip_blocks: Annotated[tuple[str, ...], Becomes("`direct_remote_ip`")] = ()
    not_ip_blocks: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()
    remote_ip_blocks: Annotated[tuple[str, ...], Becomes("`remote_ip`")] = ()
    not_remote_ip_blocks: Annotated[tuple[str, ...], Becomes("the same in `not_id`")] = ()


@attrs.frozen
class From:
    """One of those who may ask."""

    source: Source | None = None


@attrs.frozen
class Operation:
    """What is asked for: all fields that are said must hold."""

    hosts: Annotated[tuple[str, ...], Becomes("`header` `:authority`")] = ()
    not_hosts: Annotated[tuple[str, ...], Becomes("the same in `not_rule`")] = ()
    ports: Annotated[tuple[str, ...], Becomes("nothing: decided by the port of the listener")] = ()
    not_ports: Annotated[tuple[str, ...], Becomes("nothing: decided by the port of the listener")] = ()
    methods: Annotated[tuple[str, ...], Becomes("`header` `:method`")] = ()
    not_methods: Annotated[tuple[str, ...], Becomes("the same in `not_rule`")] = ()
    paths: Annotated[tuple[str, ...], Becomes("`url_path`, or `uri_template` where there are braces")] = ()
    not_paths: Annotated[tuple[str, ...], Becomes("the same in `not_rule`")] = ()


@attrs.frozen
class To:
    """One of the things that may be asked for."""

    operation: Operation | None = None


@attrs.frozen
class Condition:
    """An attribute, and the values that it may have, or may not."""

    key: Annotated[str, Becomes("which matcher")] = ""
    values: Annotated[tuple[str, ...], Becomes("its values")] = ()
    not_values: Annotated[tuple[str, ...], Becomes("the same in `not_id` or `not_rule`")] = ()


@attrs.frozen
class Rule:
    """One of `from`, one of `to` and all of `when`; what is not said holds."""

    from_: Annotated[tuple[From, ...], Wire("from")] = ()
    to: tuple[To, ...] = ()
    when: tuple[Condition, ...] = ()


@attrs.frozen
class ExtensionProvider:
    """An external authorizer by its name."""

    name: Annotated[str, Becomes("nothing yet: what the rules match is denied")] = ""


@attrs.frozen
class AuthorizationPolicy:
    """Rules for workloads with these labels, or routers of these Gateways; of a namespace, or of the mesh in its root
    namespace, without any."""

    selector: WorkloadSelector | None = None
    target_ref: Annotated[TargetReference | None, Becomes("routers of that Gateway")] = None
    target_refs: Annotated[tuple[TargetReference, ...], Becomes("routers of these Gateways")] = ()
    rules: tuple[Rule, ...] = ()
    action: Annotated[Action, Becomes("`RBAC.action`; DENY stands before ALLOW")] = Action.ALLOW
    provider: ExtensionProvider | None = None
