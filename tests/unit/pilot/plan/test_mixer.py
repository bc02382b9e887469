"""Which listeners ask and tell Mixer, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import attrs

from galley.config import Config
from pilot import ir
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.mixer import MixerNeeds
from pilot.model.proxy import Inbound, OutboundView, ProxyView, Upstream
from pilot.model.snapshot import Snapshot
from pilot.plan.index import Index
from pilot.plan.mixer import CLUSTER
from pilot.plan.proxy import plan_inbound, plan_mixer, plan_outbound, plan_upstreams
from pilot.xds.resource import CDS, LDS
from tests.unit.pilot.plan.world import endpoint, service

WEB = service("web.example", endpoints=[endpoint("10.0.0.1")])
ALL = MixerNeeds(
    check=True, deadline=timedelta(seconds=0.6), changes_requests=True, report=True, request_headers=("x-user",)
)


@attrs.frozen(eq=False)
class Rules:
    """Needs of whoever is asked for, and who was."""

    found: MixerNeeds = ALL
    addresses: tuple[tuple[str, int], ...] = (("127.0.0.1", 9091),)
    asked: list[Mapping[str, str]] = attrs.field(factory=list)

    def needs(self, known: Mapping[str, str]) -> MixerNeeds:
        self.asked.append(known)
        return self.found


def index(rules: Rules | None) -> Index:
    return Index.of(Snapshot(Catalog({WEB.key: WEB}), Config(), rules))


def mixers(plan: ir.Plan) -> list[ir.Mixer | None]:
    return [chain.filter.mixer for listener in plan.listeners for chain in listener.chains]


def test_what_comes_in_is_asked_for_and_told_with_what_is_known_of_the_service() -> None:
    rules = Rules()
    found = mixers(plan_inbound(index(rules), "default", (Inbound(8080, service="web.example"),)))
    assert all(each is not None and each.check and each.report for each in found)
    assert rules.asked == [
        {
            "context.reporter.kind": "inbound",
            "destination.namespace": "default",
            "destination.service.host": "web.example",
            "destination.service.name": "web",
            "destination.service.namespace": "default",
        }
    ]
    first = found[0]
    assert first is not None
    assert "destination.service.host=web.example" in first.attributes.split("&")
    assert (first.deadline, first.clear_route, first.request_headers) == (timedelta(seconds=0.6), True, ("x-user",))


def test_what_goes_out_is_told_and_not_asked_for() -> None:
    plans = (
        plan_outbound(index(Rules()), OutboundView()),
        plan_upstreams(index(Rules()), OutboundView(), (Upstream("web.example", 80, 9000),)),
    )
    for found in (each for plan in plans for each in mixers(plan)):
        assert found is not None
        assert (found.check, found.report) == (False, True)


def test_where_nothing_is_needed_nothing_is_asked() -> None:
    for rules in (None, Rules(MixerNeeds())):
        assert mixers(plan_inbound(index(rules), "default", (Inbound(8080),))) == [None, None]


def test_mixer_by_name_is_looked_up_and_by_address_is_not() -> None:
    (by_name,) = plan_mixer(index(Rules(addresses=(("mixer.example", 9091),)))).clusters
    (by_address,) = plan_mixer(index(Rules())).clusters
    assert (by_name.discovery, by_address.discovery) == (ir.Discovery.STRICT_DNS, ir.Discovery.STATIC)
    assert plan_mixer(index(None)).clusters == ()


def test_other_rules_reach_proxies_though_no_service_changed() -> None:
    generator = Generator()
    catalog, config = Catalog({WEB.key: WEB}), Config()
    view = ProxyView(inbound=(Inbound(8080),))
    generator.update(Snapshot(catalog, config))
    assert CLUSTER not in generator.resources(view)[CDS].resources
    before = generator.resources(view)[LDS]
    generator.update(Snapshot(catalog, config, Rules()))
    assert CLUSTER in generator.resources(view)[CDS].resources
    assert generator.resources(view)[LDS] is not before
