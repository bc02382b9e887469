"""Secrets that listeners show: of their own namespace, of others where a grant of theirs says so."""

from __future__ import annotations

from typing import Any

import pytest

from galley.config import ConfigObject
from galley.gateway_api.status import problems
from tests.unit.galley.gateway_api.objects import HTTP, condition, gateway, grant, translated

OWN = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "web"}]}}
FAR = {**OWN, "tls": {"certificateRefs": [{"name": "web", "namespace": "far"}]}}


def shown(*objects: ConfigObject[Any]) -> dict[str, tuple[str, ...]]:
    """Names of secrets by listener."""
    servers = {each.name: each.spec.servers[0].tls for each in translated(*objects).gateways}
    return {name: tls.credential_names if tls else () for name, tls in servers.items()}


def test_a_secret_of_the_gateways_own_namespace_needs_no_grant() -> None:
    assert shown(gateway(OWN)) == {"edge~https": ("kubernetes-gateway://default/web",)}


@pytest.mark.parametrize(
    "given",
    [
        grant("Gateway", kind="Secret"),
        grant("Gateway", kind="Secret", name="web"),
    ],
)
def test_one_of_another_namespace_is_shown_by_its_grant(given: ConfigObject[Any]) -> None:
    found = translated(ours := gateway(FAR), given)
    assert shown(ours, given) == {"edge~https": ("kubernetes-gateway://far/web",)}
    assert condition(found, ours, "ResolvedRefs", "https").holds


@pytest.mark.parametrize(
    "given",
    [
        (),
        (grant("HTTPRoute", kind="Secret"),),
        (grant("Gateway"),),
        (grant("Gateway", kind="Secret", name="other"),),
        (grant("Gateway", "elsewhere", kind="Secret"),),
    ],
)
def test_without_one_the_listener_alone_is_not_served_and_says_so(given: tuple[ConfigObject[Any], ...]) -> None:
    found = translated(ours := gateway(FAR, {**HTTP, "name": "plain"}), *given)
    assert shown(ours, *given) == {"edge~plain": ()}
    refs = condition(found, ours, "ResolvedRefs", "https")
    assert (refs.holds, refs.reason) == (False, "RefNotPermitted")
    assert not condition(found, ours, "Programmed", "https").holds
    assert condition(found, ours, "Programmed", "plain").holds
    told = " ".join(map(str, problems(found.statuses)))
    assert "add a ReferenceGrant in far from Gateway of default to Secret" in told
