from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from galley.config import Config, ConfigObject
from galley.kinds.mesh_config import MeshConfig
from galley.kinds.peer_authentication import MutualTLS, MutualTLSMode, PeerAuthentication
from galley.kinds.selector import WorkloadSelector
from pilot.model.proxy import OutboundView
from pilot.model.security import Identity, PeerMode
from pilot.plan.mesh_tls import identities
from pilot.plan.peers import Peers
from pilot.plan.proxy import plan_services
from tests.unit.pilot.plan.world import endpoint, index, service, snapshot

STRICT, PERMISSIVE, DISABLE = PeerMode.STRICT, PeerMode.PERMISSIVE, PeerMode.DISABLE
APP = (("app", "web"),)


def rule(
    mode: str = "UNSET",
    *,
    name: str = "rule",
    namespace: str = "default",
    labels: Any = (),
    year: int = 0,
    ports: Any = (),
) -> ConfigObject[PeerAuthentication]:
    spec = PeerAuthentication(
        WorkloadSelector(labels) if labels else None,
        MutualTLS(MutualTLSMode(mode)),
        tuple((port, MutualTLS(MutualTLSMode(said))) for port, said in ports),
    )
    created = datetime(year, 1, 1, tzinfo=UTC) if year else None
    return ConfigObject("PeerAuthentication", namespace, name, spec, created=created)


def peers(*rules: ConfigObject[Any]) -> Peers:
    return Peers.of(Config.of(rules))


MESH = rule("STRICT", namespace="istio-system")


@pytest.mark.parametrize(
    ("rules", "mode"),
    [
        ((), PERMISSIVE),
        ((MESH,), STRICT),
        ((MESH, rule("DISABLE")), DISABLE),
        ((MESH, rule("UNSET")), STRICT),
        ((MESH, rule("DISABLE"), rule("PERMISSIVE", name="own", labels=APP)), PERMISSIVE),
        ((rule("DISABLE"), rule("UNSET", name="own", labels=APP)), DISABLE),
        ((rule("STRICT", labels=(("app", "other"),)),), PERMISSIVE),
        ((rule("STRICT", namespace="istio-system", labels=APP),), PERMISSIVE),
        ((rule("STRICT", name="a"), rule("DISABLE", name="b", year=2020)), DISABLE),
        ((rule("STRICT", name="z", year=2019), rule("DISABLE", name="b", year=2020)), STRICT),
        ((rule("STRICT", name="a"), rule("DISABLE", name="b")), STRICT),
    ],
)
def test_the_narrowest_level_that_says_something_counts_and_there_the_oldest(rules: Any, mode: PeerMode) -> None:
    assert peers(*rules).security("default", APP).mode_of(80) is mode


def test_a_port_has_its_own_mode_or_that_of_its_workload() -> None:
    found = peers(MESH, rule("UNSET", labels=APP, ports=((1, "DISABLE"), (2, "UNSET")))).security("default", APP)
    assert [found.mode_of(port) for port in (1, 2, 3)] == [DISABLE, STRICT, STRICT]


def test_nothing_that_differs_is_the_same_object() -> None:
    first = Peers.of(Config.of([MESH]))
    assert Peers.of(Config.of([MESH, *()]), first) is first
    assert Peers.of(Config.of([MESH, rule()]), first) is not first
    settings = ConfigObject("MeshConfig", "", "mesh", MeshConfig("prod.example"))
    assert Peers.of(Config.of([MESH, settings]), first).trust_domains == ("prod.example",)


def test_who_the_instances_may_be_under_every_name_of_the_mesh() -> None:
    web = service(endpoints=[endpoint(service_account="web"), endpoint(service_account="spiffe://far/x")])
    assert identities(web, ("a", "b")) == (
        "spiffe://a/ns/default/sa/web",
        "spiffe://b/ns/default/sa/web",
        "spiffe://far/x",
    )
    assert identities(service(endpoints=[endpoint()]), ("a",)) == ()


def test_a_policy_that_comes_alone_reaches_callers() -> None:
    labels = (("app", "web"), ("security.istio.io/tlsMode", "istio"))
    web = service(endpoints=[endpoint(labels=labels)])
    view = OutboundView(identity=Identity())

    def takes(*rules: ConfigObject[Any]) -> bool:
        (assignment,) = plan_services(type(before).of(snapshot(web, *rules), before), view).endpoints
        return assignment.localities[0].endpoints[0].takes_mesh_tls

    before = index(web)
    assert plan_services(before, view).clusters[0].tls_where_taken
    assert takes()
    assert not takes(rule("DISABLE", labels=APP))


def test_an_account_more_changes_more_than_endpoints() -> None:
    web = service(endpoints=[endpoint(service_account="a")])
    other = attrs.evolve(web, endpoints=(endpoint(service_account="b"),))
    assert not other.differs_in_endpoints_only(web)
