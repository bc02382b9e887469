"""EnvoyFilters in generation: what is touched changes and nothing else, and what would break is left out by name."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from galley.config import Config, ConfigObject
from galley.decode import decode
from galley.kinds.envoy_filter import EnvoyFilter
from pilot.envoy.dump import resource_json
from pilot.generate import Generator
from pilot.model.proxy import Inbound, ProxyView
from pilot.model.snapshot import Snapshot
from pilot.xds.cache import diff
from pilot.xds.resource import CDS, EDS, LDS, ORDER, RDS, Resources
from tests.unit.pilot.envoy.patches.messages import ADDRESS, LUA, TCP_PROXY, manager
from tests.unit.pilot.plan.world import endpoint, service, snapshot

WORLD = snapshot(service(endpoints=[endpoint()]), service("shop.example", endpoints=[endpoint("10.0.0.2")]))
VIEW = ProxyView(inbound=(Inbound(8080, service="web.example"),))
OUT, IN = {"context": "SIDECAR_OUTBOUND"}, {"context": "SIDECAR_INBOUND"}


def envoy_filter(name: str, *patches: tuple[str, str, Any, dict[str, Any]]) -> ConfigObject[Any]:
    bodies = [
        {"applyTo": apply_to, "match": match, "patch": {"operation": operation, **({"value": value} if value else {})}}
        for apply_to, operation, value, match in patches
    ]
    spec, findings = decode(EnvoyFilter, {"configPatches": bodies})
    assert not findings, findings
    return ConfigObject("EnvoyFilter", "default", name, spec, origin=f"{name}.yaml:1")


def told(generator: Generator, *objects: ConfigObject[Any], view: ProxyView = VIEW) -> Resources:
    generator.update(Snapshot(WORLD.catalog, Config.of(objects)))
    return generator.resources(view)


def reasons(generator: Generator) -> dict[str, str]:
    return {each.source.removeprefix("EnvoyFilter default/"): each.text for each in generator.left_out}


def cluster(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "connect_timeout": "1s", **more}


def listener(name: str, *filters: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "address": ADDRESS, "filter_chains": [{"filters": list(filters)}]}


def timeout(name: str, value: str, service: str = "web.example") -> ConfigObject[Any]:
    return envoy_filter(
        name, ("CLUSTER", "MERGE", {"connect_timeout": value}, {**OUT, "cluster": {"service": service}})
    )


def test_only_what_a_patch_touches_changes_and_all_else_keeps_its_version() -> None:
    generator = Generator()
    before = told(generator)
    after = told(generator, timeout("a", "2s"))
    changes = {type_url: diff(before[type_url], after[type_url]) for type_url in ORDER}
    assert changes[CDS].changed == ("outbound|80||web.example",)
    assert not any(changes[each].changed or changes[each].removed for each in (EDS, LDS, RDS))
    assert after[CDS].resources["outbound|80||web.example"].caused_by == "EnvoyFilter default/a"
    assert before[CDS].resources["outbound|80||shop.example"] is after[CDS].resources["outbound|80||shop.example"]


def test_what_stays_the_same_is_not_encoded_again() -> None:
    generator = Generator()
    told(generator, timeout("a", "2s"))
    encoded = generator.encoded
    told(generator, timeout("a", "2s"), timeout("b", "3s", "shop.example"))
    assert generator.encoded - encoded == 1
    told(generator, timeout("a", "4s"), timeout("b", "3s", "shop.example"))
    assert generator.encoded - encoded == 2


def test_a_proxy_without_patches_is_planned_as_before() -> None:
    generator = Generator()
    elsewhere = attrs.evolve(VIEW, outbound=attrs.evolve(VIEW.outbound, namespace="far"))
    before = told(generator, view=elsewhere)
    assert told(generator, timeout("a", "2s"), view=elsewhere) == before


def test_endpoints_change_below_patched_clusters() -> None:
    generator = Generator()
    config = Config.of([timeout("a", "2s")])
    generator.update(Snapshot(WORLD.catalog, config))
    before = generator.resources(VIEW)
    moved = snapshot(
        service(endpoints=[endpoint("10.0.0.9")]), service("shop.example", endpoints=[endpoint("10.0.0.2")])
    )
    generator.update(Snapshot(moved.catalog, config))
    after = generator.resources(VIEW)
    assert all(after[each] is before[each] for each in (CDS, LDS, RDS))
    assert diff(before[EDS], after[EDS]).changed == ("outbound|80||web.example",)


def test_an_object_that_breaks_a_listener_is_left_out_of_it_alone() -> None:
    generator = Generator()
    objects = (
        envoy_filter("broken", ("HTTP_FILTER", "ADD", LUA, IN), ("CLUSTER", "MERGE", {"connect_timeout": "2s"}, IN)),
        envoy_filter("works", ("LISTENER", "MERGE", {"per_connection_buffer_limit_bytes": 7}, IN)),
    )
    found = told(generator, *objects)
    inbound = found[LDS].resources["virtualInbound"]
    assert resource_json(inbound)["per_connection_buffer_limit_bytes"] == 7
    assert inbound.patches == ("EnvoyFilter default/works",)
    assert resource_json(found[CDS].resources["inbound|8080||"])["connect_timeout"] == "2s"
    reason = "HTTP filter envoy.filters.http.router ends the chain and must be the last, but lua is"
    assert reasons(generator) == {"broken": f"is left out of listener virtualInbound: {reason}"}
    told(generator, objects[1])
    assert reasons(generator) == {}


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (
            ("LISTENER", "MERGE", {"name": "other"}, IN),
            "is left out of listener virtualInbound: it would be called other then",
        ),
        (
            ("LISTENER", "ADD", listener("virtualInbound", TCP_PROXY), OUT),
            "is left out of listener virtualInbound: there is a listener of that name already",
        ),
        (
            ("CLUSTER", "ADD", cluster("outbound|80||web.example"), OUT),
            "is left out of cluster outbound|80||web.example: there is a cluster of that name already",
        ),
        (
            ("CLUSTER", "ADD", cluster("inbound|8080||"), OUT),
            "is left out of cluster inbound|8080||: there is a cluster of that name already",
        ),
        (
            (
                "LISTENER",
                "ADD",
                {
                    **listener("a", TCP_PROXY),
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 15001}},
                },
                OUT,
            ),
            "is left out of listener a: another listener has that address already",
        ),
        (
            ("CLUSTER", "ADD", cluster("a", type="EDS", eds_cluster_config={"eds_config": {"ads": {}}}), OUT),
            "is left out of cluster a: it needs EDS 'a', which nothing plans",
        ),
        (
            (
                "NETWORK_FILTER",
                "MERGE",
                manager(rds={"route_config_name": "nowhere", "config_source": {"ads": {}}}, route_config=None),
                OUT,
            ),
            "is left out of listener virtualOutbound: it needs RDS 'nowhere', which nothing plans",
        ),
        (
            ("VIRTUAL_HOST", "ADD", {"name": "a", "domains": ["web.example"]}, OUT),
            "is left out of route configuration 15001: domain 'web.example' is in virtual host web.example:80 and in a",
        ),
    ],
)
def test_what_would_break_a_proxy_is_left_out_with_the_reason(patch: Any, reason: str) -> None:
    generator = Generator()
    plain = told(generator)
    found = told(generator, envoy_filter("broken", patch))
    assert reasons(generator) == {"broken": reason}
    assert all(found[type_url].version == plain[type_url].version for type_url in ORDER)


def test_the_same_cluster_for_both_directions_is_one() -> None:
    generator = Generator()
    patches = (("CLUSTER", "ADD", cluster("both"), OUT), ("CLUSTER", "ADD", cluster("both"), IN))
    assert "both" in told(generator, envoy_filter("a", *patches))[CDS].resources
    assert reasons(generator) == {}


def test_for_any_context_additions_are_outbound() -> None:
    generator = Generator()
    found = told(generator, envoy_filter("a", ("CLUSTER", "ADD", cluster("once"), {})))
    assert "once" in found[CDS].resources
    assert reasons(generator) == {}
