"""Prints rules of who may, for HTTP and for connections alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from envoy_data_plane.envoy.extensions.path.match.uri_template import v3 as template_library

from pilot import ir
from pilot.envoy import codec
from pilot.envoy.strings import string_matcher
from pilot.ir import authorization as rule

_Template = codec.message(template_library.UriTemplateMatchConfig)
JWT = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
"""Where the filter for tokens leaves what the token says."""
_Print = Callable[[Any], dict[str, Any]]


def rules(value: rule.Rbac, found: Iterable[rule.RbacRule]) -> dict[str, Any]:
    """envoy.config.rbac.v3.RBAC."""
    policies = {
        each.name: {"permissions": [permission(each.permission)], "principals": [principal(each.principal)]}
        for each in found
    }
    return {"action": value.action.value, "policies": policies}


def filter_fields(value: rule.Rbac) -> dict[str, Any]:
    """The fields that the filter for HTTP and the one for connections have in common."""
    found: dict[str, Any] = {}
    if value.enforced:
        found["rules"] = rules(value, value.rules)
    if value.shadow:
        found["shadow_rules"] = rules(value, value.shadow)
        found["shadow_rules_stat_prefix"] = f"istio_dry_run_{value.action.value.lower()}_"
    return found


def permission(value: rule.Condition) -> dict[str, Any]:
    """envoy.config.rbac.v3.Permission."""
    return _print(value, permission, ("and_rules", "or_rules", "not_rule", "rules"))


def principal(value: rule.Condition) -> dict[str, Any]:
    """envoy.config.rbac.v3.Principal."""
    return _print(value, principal, ("and_ids", "or_ids", "not_id", "ids"))


def _print(value: rule.Condition, again: _Print, words: tuple[str, str, str, str]) -> dict[str, Any]:
    both, either, negated, inner = words
    if isinstance(value, rule.Always):
        return {"any": True} if value.holds else {negated: {"any": True}}
    if isinstance(value, rule.AllOf):
        return {both: {inner: [again(each) for each in value.parts]}}
    if isinstance(value, rule.AnyOf):
        return {either: {inner: [again(each) for each in value.parts]}}
    if isinstance(value, rule.Not):
        return {negated: again(value.part)}
    return _leaf(value)


def _leaf(value: Any) -> dict[str, Any]:
    if isinstance(value, rule.HeaderIs):
        return {"header": {"name": value.name, **_of_header(value.match)}}
    if isinstance(value, rule.PathIs):
        return {"url_path": {"path": _text(value.match)}}
    if isinstance(value, rule.PathFits):
        config = codec.pack(_Template(path_template=value.template))
        return {"uri_template": {"name": "envoy.path.match.uri_template.uri_template_matcher", "typed_config": config}}
    if isinstance(value, rule.PeerIs):
        return {"authenticated": {"principal_name": _text(value.match)}}
    if isinstance(value, rule.ServerNameIs):
        return {"requested_server_name": _text(value.match)}
    if isinstance(value, rule.TokenSays):
        return {"metadata": _claim(value)}
    address, _, length = value.subnet.partition("/")
    return {value.address.value: {"address_prefix": address, "prefix_len": {"value": int(length)}}}


def _of_header(match: ir.StringMatch) -> dict[str, Any]:
    return {"present_match": True} if match.kind is ir.MatchKind.PRESENT else {"string_match": _text(match)}


def _claim(value: rule.TokenSays) -> dict[str, Any]:
    text = {"string_match": _text(value.match)}
    path = [{"key": each} for each in (PAYLOAD, *value.claim)]
    return {
        "filter": JWT,
        "path": path,
        "value": {"or_match": {"value_matchers": [text, {"list_match": {"one_of": text}}]}},
    }


def _text(match: ir.StringMatch) -> dict[str, Any]:
    """PRESENT is any text but the empty one."""
    if match.kind is ir.MatchKind.PRESENT:
        return {"safe_regex": {"regex": "(?s).+"}}
    return {**string_matcher(match), **({"ignore_case": True} if match.ignore_case else {})}
