"""One golden case: what a mesh and its configuration are, and what one proxy is told of it, at both borders.

The folder's `input.yaml` holds `services` (the form of a static file, and what only other platforms and the merge tell:
`aliases`, an endpoint's `health`, `priority`, `network`, `gateways` and `account`, and a name as its address), `config`
(Istio documents), `credentials` (by NAMESPACE/NAME, for a proxy that proved who it is) and `proxy` (the node's
metadata, in small letters, and its `kind` where it is no sidecar).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import yaml
from envoy_data_plane.envoy.config.cluster import v3 as cluster_library
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint_library
from envoy_data_plane.envoy.config.listener import v3 as listener_library
from envoy_data_plane.envoy.config.route import v3 as route_library
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls_library

from galley.config import Config, ConfigObject
from galley.document import Document, Loaded
from galley.ingest.yaml_documents import read_documents
from galley.validate import validate
from mesh_adapter.checks import CHECKS
from pilot import ir
from pilot.envoy import codec
from pilot.generate import Generator
from pilot.model.catalog import Catalog
from pilot.model.credential import Credential
from pilot.model.proxy import ProxyView, parse_proxy
from pilot.model.service import Endpoint, Health, Locality, NetworkGateway, Port, Protocol, Service, ServiceKey
from pilot.model.service import labels as sorted_labels
from pilot.model.snapshot import Snapshot
from pilot.plan.index import Index
from pilot.plan.proxy import (
    plan_gateways,
    plan_inbound,
    plan_outbound,
    plan_services,
    plan_upstreams,
    reduce_view,
)
from pilot.plan.proxyless import plan_proxyless
from pilot.xds.resource import CDS, EDS, LDS, RDS, SDS
from tests.golden.plain import plain

FOLDER = Path(__file__).parent
INPUT = "input.yaml"
OUTPUTS = ("ir.yaml", "envoy.yaml")
TYPES: Mapping[str, tuple[str, Any]] = {
    "clusters": (CDS, codec.message(cluster_library.Cluster)),
    "endpoints": (EDS, codec.message(endpoint_library.ClusterLoadAssignment)),
    "listeners": (LDS, codec.message(listener_library.Listener)),
    "routes": (RDS, codec.message(route_library.RouteConfiguration)),
    "secrets": (SDS, codec.message(tls_library.Secret)),
}


@attrs.frozen
class Case:
    """What planning is given."""

    snapshot: Snapshot
    view: ProxyView


def folders() -> list[Path]:
    """The folder of every case."""
    return sorted(path.parent for path in FOLDER.glob(f"*/{INPUT}"))


def stale() -> list[Path]:
    """Files below this folder that no case has any use for."""
    wanted = {folder / name for folder in folders() for name in (INPUT, *OUTPUTS)}
    return sorted(path for path in FOLDER.glob("*/*.yaml") if path not in wanted)


def load(folder: Path) -> Case:
    """The case of that folder. ValueError says what is wrong with its input."""
    loaded = read_documents(INPUT, (folder / INPUT).read_bytes())
    if not isinstance(loaded, Loaded):
        raise ValueError(f"{loaded.where} {loaded.message}")
    (document,) = loaded.documents
    unknown = set(document.body) - {"services", "config", "proxy", "credentials"}
    if unknown:
        raise ValueError(f"{folder / INPUT}: unknown keys {sorted(unknown)}")
    services = [_service(**each) for each in document.body.get("services", ())]
    config = Config.of(_object(each) for each in document.body.get("config", ()))
    metadata = {key.upper(): value for key, value in document.body.get("proxy", {}).items()}
    node = f"{metadata.pop('KIND', 'sidecar')}~127.0.0.1~proxy.default~local"
    catalog = Catalog({service.key: service for service in services})
    given = document.body.get("credentials", {})
    credentials = {(ns, name): Credential(**each) for key, each in given.items() for ns, name in [key.split("/")]}
    view = parse_proxy(node, metadata).view
    view = attrs.evolve(view, outbound=attrs.evolve(view.outbound, secrets=bool(credentials)))
    return Case(Snapshot(catalog, config, credentials=credentials), view)


def expected(folder: Path) -> dict[str, str]:
    """What the case's output files say, by name; a file that is missing says nothing."""
    paths = [folder / name for name in OUTPUTS]
    return {path.name: path.read_text("utf-8") if path.exists() else "" for path in paths}


def actual(case: Case) -> dict[str, str]:
    """What its output files ought to say, by name."""
    return {"ir.yaml": _to_yaml(plain(plan(case))), "envoy.yaml": _to_yaml(resources(case))}


def plan(case: Case) -> ir.Plan:
    """All that the proxy is told, each type sorted by name."""
    index = Index.of(case.snapshot)
    view = reduce_view(index, case.view)
    parts = _parts(index, view)
    return ir.Plan(
        clusters=tuple(sorted((each for part in parts for each in part.clusters), key=lambda each: each.name)),
        endpoints=tuple(sorted((each for part in parts for each in part.endpoints), key=lambda each: each.cluster)),
        listeners=tuple(sorted((each for part in parts for each in part.listeners), key=lambda each: each.name)),
        api_listeners=tuple(
            sorted((each for part in parts for each in part.api_listeners), key=lambda each: each.name)
        ),
        routes=tuple(sorted((each for part in parts for each in part.routes), key=lambda each: each.name)),
        secrets=tuple(sorted({each.name: each for part in parts for each in part.secrets}.values(), key=str)),
    )


def _parts(index: Index, view: ProxyView) -> tuple[ir.Plan, ...]:
    if view.router:
        return (plan_services(index, view.outbound), plan_gateways(index, view.outbound, view.gateways, view.security))
    if view.proxyless:
        return (plan_proxyless(index, view.outbound),)
    return (
        plan_outbound(index, view.outbound),
        plan_upstreams(index, view.outbound, view.upstreams),
        plan_inbound(
            index,
            view.outbound.namespace,
            view.inbound,
            view.outbound.telemetry,
            view.security,
            view.outbound.identity,
        ),
    )


def resources(case: Case) -> dict[str, list[dict[str, Any]]]:
    """The bodies of all encoded resources, decoded again."""
    generator = Generator()
    generator.update(case.snapshot)
    served = generator.resources(case.view)
    return {
        name: [codec.to_json(message.FromString(each.body)) for each in served[type_url].resources.values()]
        for name, (type_url, message) in TYPES.items()
        if name != "secrets" or served[type_url].resources
    }


def _to_yaml(data: object) -> str:
    """Through JSON first, since the decoder's ordered mappings are not plain enough for YAML."""
    plainest = json.loads(json.dumps(data))
    text: str = yaml.dump(plainest, Dumper=yaml.CSafeDumper, sort_keys=False, width=120, allow_unicode=True)
    return text


def _object(body: Mapping[str, Any]) -> ConfigObject[Any]:
    verdict = validate(Document(INPUT, body, {}), CHECKS)
    if verdict.object is None:
        raise ValueError("\n".join(str(problem) for problem in verdict.problems))
    return verdict.object


def _service(
    name: str,
    ports: Iterable[Mapping[str, Any]],
    namespace: str = "default",
    endpoints: Iterable[Mapping[str, Any]] = (),
    aliases: Iterable[str] = (),
) -> Service:
    own = tuple(_port(**each) for each in ports)
    found = tuple(_endpoint(own, **each) for each in endpoints)
    return Service(ServiceKey(namespace, name), own, found, aliases=tuple(aliases))


def _port(name: str, port: int, protocol: str = "") -> Port:
    return Port(name, port, Protocol.parse(protocol) or Protocol.of_port_name(name))


def _endpoint(
    service_ports: tuple[Port, ...],
    address: str,
    port: int = 0,
    ports: Mapping[str, int] | None = None,
    labels: Mapping[str, str] | None = None,
    locality: str = "",
    weight: int = 1,
    healthy: bool = True,
    health: str = "",
    priority: int = 0,
    network: str = "",
    gateways: Iterable[Mapping[str, Any]] = (),
    account: str = "",
) -> Endpoint:
    listening = ports or {each.name: port for each in service_ports}
    return Endpoint(
        address=address,
        ports=tuple(listening.items()),
        instance=f"{address}:{','.join(map(str, listening.values()))}",
        labels=sorted_labels(labels or {}),
        locality=Locality.parse(locality),
        weight=weight,
        health=Health(health or ("HEALTHY" if healthy else "UNHEALTHY")),
        priority=priority,
        network=network,
        service_account=account,
        gateways=tuple(NetworkGateway(**each) for each in gateways),
    )
