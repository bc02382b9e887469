"""Who may: trees of conditions about a connection or a request, in the terms that Envoy's RBAC can tell.

A rule is a pair, since Envoy keeps apart what is asked for (`permission`) and who asks (`principal`).
"""

from __future__ import annotations

import enum

import attrs

from pilot.ir.routes import StringMatch


@attrs.frozen(cache_hash=True)
class Always:
    """Everything, or nothing."""

    holds: bool = True


@attrs.frozen(cache_hash=True)
class AllOf:
    parts: tuple[Condition, ...]


@attrs.frozen(cache_hash=True)
class AnyOf:
    parts: tuple[Condition, ...]


@attrs.frozen(cache_hash=True)
class Not:
    part: Condition


@attrs.frozen(cache_hash=True)
class HeaderIs:
    """A header of the request, `:authority` and `:method` among them."""

    name: str
    match: StringMatch


@attrs.frozen(cache_hash=True)
class PathIs:
    """The path, without query."""

    match: StringMatch


@attrs.frozen(cache_hash=True)
class PathFits:
    """The path by a template, in Envoy's own grammar."""

    template: str


@attrs.frozen(cache_hash=True)
class PeerIs:
    """A name in the certificate that the peer showed."""

    match: StringMatch


class Address(enum.Enum):
    """Which address: who connected, who asked as X-Forwarded-For has it, and where the connection was made to."""

    PEER = "direct_remote_ip"
    CLIENT = "remote_ip"
    DESTINATION = "destination_ip"


@attrs.frozen(cache_hash=True)
class AddressIs:
    address: Address
    subnet: str


@attrs.frozen(cache_hash=True)
class ServerNameIs:
    """The server name that a TLS client asked for."""

    match: StringMatch


@attrs.frozen(cache_hash=True)
class TokenSays:
    """A claim of a verified token: its text, or one of its texts where it is a list."""

    claim: tuple[str, ...]
    match: StringMatch


Condition = Always | AllOf | AnyOf | Not | HeaderIs | PathIs | PathFits | PeerIs | AddressIs | ServerNameIs | TokenSays


class RbacAction(enum.Enum):
    ALLOW = "ALLOW"
    DENY = "DENY"
    LOG = "LOG"


@attrs.frozen(cache_hash=True)
class RbacRule:
    """`name` tells the object and its rule, for logs: `ns[NAMESPACE]-policy[NAME]-rule[0]`."""

    name: str
    permission: Condition
    principal: Condition


@attrs.frozen(cache_hash=True)
class Rbac:
    """Rules of one action. Those of a trial run (`shadow`) are only counted and told in metadata."""

    action: RbacAction
    rules: tuple[RbacRule, ...] = ()
    shadow: tuple[RbacRule, ...] = ()
    enforced: bool = True
    """Whether `rules` count: a filter of trial runs alone has none, and no rules of ALLOW would let nobody in."""
