"""SPIFFE ids: each MUST of the standard, and the convention of namespaces and accounts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel import identity
from citadel.identity import IdentityError, SpiffeId, TrustDomains

GOOD = (
    "spiffe://cluster.local",
    "spiffe://cluster.local/ns/default/sa/web",
    "spiffe://10.0.0.1/a",
    "spiffe://a_b-c.d/A.b_c-9/x",
    "spiffe://td/" + "a" * (2048 - len("spiffe://td/")),
)
BAD = {
    "": "begins with",
    "http://td/a": "begins with",
    "SPIFFE://td/a": "begins with",
    "spiffe:td/a": "begins with",
    "spiffe://": "trust domain is empty",
    "spiffe:///a": "trust domain is empty",
    "spiffe://TD/a": "upper case",
    "spiffe://t%64/a": "'%'",
    "spiffe://user@td/a": "'@'",
    "spiffe://td:80/a": "':'",
    "spiffe://[::1]/a": "':'",
    "spiffe://tdé/a": "'é'",
    "spiffe://td?": "'?'",
    "spiffe://td/a?b": "holds other than",
    "spiffe://td/a#b": "holds other than",
    "spiffe://td/": "ends with '/'",
    "spiffe://td/a/": "ends with '/'",
    "spiffe://td/a//b": "empty segment",
    "spiffe://td/./a": "'.'",
    "spiffe://td/a/..": "'..'",
    "spiffe://td/%61": "holds other than",
    "spiffe://td/a b": "holds other than",
    "spiffe://td/a\n": "holds other than",
    "spiffe://td/ü": "holds other than",
    "spiffe://td/" + "a" * 2048: "longer than 2048",
    "spiffe://" + "t" * 256 + "/a": "255",
}


@pytest.mark.parametrize("text", GOOD)
def test_an_id_of_the_standard_is_taken_and_written_the_same(text: str) -> None:
    assert str(identity.parse(text)) == text


@pytest.mark.parametrize(("text", "reason"), BAD.items(), ids=range(len(BAD)))
def test_what_is_no_id_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(IdentityError, match=re.escape(reason)):
        identity.parse(text)


@given(st.text(max_size=60))
def test_whatever_is_taken_is_written_as_it_was_read(rest: str) -> None:
    text = "spiffe://" + rest
    try:
        found = identity.parse(text)
    except IdentityError:
        return
    assert str(found) == text
    assert found.trust_domain == found.trust_domain.lower()


def test_namespace_and_account_by_istio_s_convention() -> None:
    found = identity.workload("cluster.local", "prod", "web-1.x_y")
    assert str(found) == "spiffe://cluster.local/ns/prod/sa/web-1.x_y"
    assert (found.namespace, found.service_account) == ("prod", "web-1.x_y")
    assert found.principal == "cluster.local/ns/prod/sa/web-1.x_y"


@pytest.mark.parametrize("path", ["", "/web", "/ns/a", "/ns/a/sa/b/c", "/sa/b/ns/a"])
def test_another_path_has_no_namespace(path: str) -> None:
    found = SpiffeId("td", path)
    assert (found.namespace, found.service_account) == ("", "")


@pytest.mark.parametrize(
    ("namespace", "account"), [("", "web"), ("default", ""), ("a/b", "web"), ("..", "web"), ("default", "a b")]
)
def test_names_that_would_change_the_path_are_refused(namespace: str, account: str) -> None:
    with pytest.raises(IdentityError):
        identity.workload("td", namespace, account)


def test_an_id_that_would_be_too_long_is_not_made() -> None:
    with pytest.raises(IdentityError, match="2048"):
        identity.workload("td", "a" * 2000, "b" * 100)


def test_an_alias_counts_as_the_mesh_s_own_trust_domain() -> None:
    domains = TrustDomains.of("new", ("old",))
    web = identity.workload("old", "default", "web")
    assert domains.localize(web) == identity.workload("new", "default", "web")
    assert domains.includes(web)
    assert [each.trust_domain for each in domains.alternatives(web)] == ["new", "old"]


def test_a_foreign_trust_domain_is_nobody_of_ours() -> None:
    domains = TrustDomains.of("new", ("old",))
    web = identity.workload("foreign", "default", "web")
    assert domains.localize(web) == web
    assert not domains.includes(web)
    assert domains.alternatives(web) == (web,)


def test_an_alias_has_to_be_a_trust_domain() -> None:
    with pytest.raises(IdentityError, match="upper case"):
        TrustDomains.of("new", ("Old",))
