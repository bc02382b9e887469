"""Each content is encoded once, and a resource says what it needs."""

from __future__ import annotations

import attrs

from pilot import ir
from pilot.envoy.emit import Emitter, encode
from pilot.envoy.routes import route_configuration
from pilot.xds.resource import CDS, EDS, LDS, RDS

CLUSTER = ir.Cluster("outbound|80||web.example", ir.Discovery.EDS, origin="DestinationRule default/web")
ROUTE = ir.Route("default", ir.RouteMatch(), ir.DirectResponse(204), origin="VirtualService default/web")


def listener(*managers: ir.HttpConnectionManager) -> ir.Listener:
    chains = tuple(ir.FilterChain(each) for each in managers)
    return ir.Listener("main", "127.0.0.1", 80, ir.Direction.OUTBOUND, chains)


def routes(name: str = "80") -> ir.RouteConfiguration:
    return ir.RouteConfiguration(name, (ir.VirtualHost("web", ("*",), (ROUTE,)),))


def test_equal_content_is_encoded_once_and_is_one_object() -> None:
    emitter = Emitter()
    one, other = emitter.emit([CLUSTER, attrs.evolve(CLUSTER)])
    assert one is other
    assert emitter.encoded == 1


def test_what_is_asked_for_in_every_generation_is_kept() -> None:
    emitter = Emitter()
    (first,) = emitter.emit([CLUSTER])
    for _ in range(3):
        emitter.next_generation()
        assert emitter.emit([CLUSTER]) == [first]
    assert emitter.encoded == 1


def test_what_a_whole_generation_did_without_is_dropped() -> None:
    emitter = Emitter()
    emitter.emit([CLUSTER])
    emitter.next_generation()
    emitter.next_generation()
    emitter.emit([CLUSTER])
    assert emitter.encoded == 2


def test_a_churn_of_endpoints_does_not_fill_memory() -> None:
    class Small(Emitter):
        ALLOWANCE = 4

    emitter = Small()
    emitter.emit([CLUSTER])
    emitter.emit(ir.LoadAssignment(f"c{number}") for number in range(2 * Small.ALLOWANCE + 2))
    encoded = emitter.encoded
    emitter.emit([CLUSTER])
    assert emitter.encoded == encoded + 1


def test_a_cluster_needs_its_load_assignment_unless_its_endpoints_are_inside() -> None:
    assert encode(CLUSTER).refers == ((EDS, CLUSTER.name),)
    assert encode(attrs.evolve(CLUSTER, discovery=ir.Discovery.STRICT_DNS)).refers == ()


def test_a_listener_needs_the_routes_that_it_names() -> None:
    named, inline = ir.HttpConnectionManager("a", "80"), ir.HttpConnectionManager("b", routes=routes())
    assert encode(listener(named, inline)).refers == ((RDS, "80"),)


def test_a_resource_has_its_type_its_name_and_the_object_that_made_it() -> None:
    values: list[ir.Cluster | ir.LoadAssignment | ir.Listener | ir.RouteConfiguration] = [
        CLUSTER,
        ir.LoadAssignment(CLUSTER.name),
        listener(),
        routes(),
    ]
    assert [(each.type_url, each.name, each.origin) for each in map(encode, values)] == [
        (CDS, CLUSTER.name, "DestinationRule default/web"),
        (EDS, CLUSTER.name, ""),
        (LDS, "main", ""),
        (RDS, "80", "VirtualService default/web"),
    ]


def test_the_version_follows_the_content() -> None:
    assert encode(CLUSTER).version == encode(attrs.evolve(CLUSTER)).version
    assert encode(CLUSTER).version != encode(attrs.evolve(CLUSTER, name="other")).version


def test_routes_are_the_same_message_whether_their_hosts_were_encoded_before_or_not() -> None:
    route = ir.Route("default", ir.RouteMatch(), ir.DirectResponse(200, "x" * 5000))
    hosts = tuple(ir.VirtualHost(name, (name,), (route,)) for name in ("a", "b"))
    emitter = Emitter()
    (before,) = emitter.emit([ir.RouteConfiguration("80", hosts)])
    changed = (hosts[0], ir.VirtualHost("b", ("b", "c"), (route,)))
    (after,) = emitter.emit([ir.RouteConfiguration("80", changed)])
    assert after.version != before.version
    for resource, whole in ((before, hosts), (after, changed)):
        message = route_configuration(ir.RouteConfiguration("80", whole))
        assert type(message).FromString(resource.body) == message
