"""`mesh-adapter inject`: the golden cases in `injected/`, and how the command answers.

A case is `job.json` and the command's `options.json`; what comes of them is `injected.json`, with the templates apart
(GROUP.tmpl) for people to read. `--update-golden` writes them anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from envoy_data_plane.envoy.config.bootstrap import v3 as library
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections import v3 as connections
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstreams
from google.protobuf import json_format

from adapters.nomad import beside
from adapters.nomad.inject import TASK
from mesh_adapter.cli import cli
from pilot.envoy import codec
from pilot.model.proxy import Inbound, Upstream, parse_proxy
from pilot.model.service import Locality, Protocol
from pilot.sidecar.settings import SidecarSettings

CASES = sorted((Path(__file__).parents[1] / "injected").iterdir())
ENVIRONMENT = {
    "NOMAD_ALLOC_ID": "a1b2",
    "NOMAD_GROUP_NAME": "web",
    "NOMAD_JOB_ID": "web",
    "NOMAD_NAMESPACE": "shop",
    "NOMAD_REGION": "global",
    "NOMAD_DC": "dc1",
    "NOMAD_HOST_IP_mesh_health": "10.0.0.9",
    "NOMAD_PORT_http": "8080",
    "NOMAD_PORT_grpc": "9090",
    "NOMAD_PORT_mesh_inbound_http": "21001",
    "NOMAD_PORT_mesh_outbound": "21002",
    "NOMAD_PORT_mesh_admin": "21003",
    "NOMAD_PORT_mesh_health": "21004",
    "NOMAD_PORT_mesh_metrics": "21005",
    "attr.unique.network.ip-address": "10.0.0.9",
    "node.class": 'odd "one"',
}


def inject(*arguments: str | Path, text: str | None = None, **variables: str) -> Result:
    return CliRunner().invoke(cli, ["inject", *map(str, arguments)], input=text, env=variables)


def files(case: Path) -> dict[str, str]:
    """What the case's golden files should hold."""
    result = inject(case / "job.json", *json.loads((case / "options.json").read_text()))
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    found = {}
    for group in made["Job"]["TaskGroups"]:
        (template,) = next(task for task in group["Tasks"] if task["Name"] == TASK)["Templates"]
        found[f"{group['Name']}.tmpl"] = template["EmbeddedTmpl"]
        template["EmbeddedTmpl"] = f"as in {group['Name']}.tmpl"
    return found | {"injected.json": json.dumps(made, indent=2) + "\n"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_printed_is_golden(case: Path, request: pytest.FixtureRequest) -> None:
    found = files(case)
    if request.config.getoption("--update-golden"):
        for name, text in found.items():
            (case / name).write_text(text, "utf-8")
    there = {path.name: path.read_text() for path in case.iterdir() if path.name not in ("job.json", "options.json")}
    assert found == there


def rendered(name: str) -> dict[str, Any]:
    """The bootstrap that Nomad would make of a case's template."""
    (case,) = [each for each in CASES if each.name == name]
    (text,) = [text for file, text in files(case).items() if file.endswith(".tmpl")]
    text = re.sub(r'\{\{ env "([^"]+)" \| toJSON \}\}', lambda found: json.dumps(ENVIRONMENT[found[1]]), text)
    text = re.sub(r'\{\{ env "([^"]+)" \}\}', lambda found: ENVIRONMENT[found[1]], text)
    document: dict[str, Any] = json.loads(text.replace('{{"{{"}}', "{{"))
    return document


@pytest.mark.parametrize("case", [case.name for case in CASES])
def test_the_template_becomes_a_bootstrap_by_the_api(case: str) -> None:
    message = codec.message(library.Bootstrap)
    for inside in (
        manager.HttpConnectionManager,
        router.Router,
        upstreams.HttpProtocolOptions,
        connections.DownstreamConnectionsConfig,
    ):
        codec.message(inside)
    json_format.ParseDict(rendered(case), message(), descriptor_pool=message.DESCRIPTOR.file.pool)


def test_the_ports_are_those_of_every_sidecar() -> None:
    usual = SidecarSettings(service="web")
    assert {
        beside.OUTBOUND: usual.outbound_port,
        beside.ADMIN: usual.admin_port,
        beside.HEALTH: usual.health_port,
        beside.METRICS: usual.metrics_port,
    } == beside.FIXED
    assert usual.inbound_port == beside.INBOUND_PORT


def test_the_control_plane_understands_who_asks() -> None:
    node = rendered("bridge")["node"]
    locality = Locality(*(node["locality"][part] for part in ("region", "zone", "sub_zone")))
    found = parse_proxy(node["id"], node["metadata"], locality)
    assert (found.address, found.name, found.namespace) == ("10.0.0.9", "web-a1b2", "shop")
    assert found.view.outbound.locality == Locality("global", "dc1", 'odd "one"')
    assert dict(found.view.outbound.labels) | {"version": "v1", "nomad.job": "web"} == dict(found.view.outbound.labels)
    assert found.view.inbound == (Inbound(port=8080, listen=15006, protocol=Protocol.HTTP, service="web"),)
    assert found.view.upstreams == (Upstream("db.default.service.nomad", 5432, 5432), Upstream("cart", 80, 9001))


def test_on_the_hosts_network_every_port_is_the_one_that_nomad_chose() -> None:
    document = rendered("host")
    found = parse_proxy(document["node"]["id"], document["node"]["metadata"])
    assert (found.view.inbound[0].listen, found.view.outbound.port) == (21001, 21002)
    listeners = [each["address"]["socket_address"]["port_value"] for each in document["static_resources"]["listeners"]]
    assert (document["admin"]["address"]["socket_address"]["port_value"], *listeners) == ("21003", "21004", "21005")
    xds, admin = [
        each["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
        for each in document["static_resources"]["clusters"]
    ]
    assert xds == {"address": "10.0.0.9", "port_value": 15010}
    assert admin["port_value"] == "21003"


def test_words_of_the_job_are_no_actions_of_a_template() -> None:
    assert rendered("consul")["node"]["metadata"]["LABELS"]["owner"] == "{{ us }}"


def test_what_was_printed_may_be_given_again() -> None:
    (case,) = [each for each in CASES if each.name == "bridge"]
    once = inject(case / "job.json", "--control-plane", "10.0.0.1:15010").stdout
    assert inject("-", "--control-plane", "10.0.0.1:15010", text=once).stdout == once
    assert inject("-", text=once, MESH_ADAPTER_CONTROL_PLANE="10.0.0.1:15010").stdout == once


def test_nothing_is_printed_when_a_group_is_refused() -> None:
    job = {"ID": "web", "TaskGroups": [{"Name": "g", "Services": [{"Name": "web", "PortLabel": "http"}]}]}
    result = inject("-", "--control-plane", "10.0.0.1:15010", text=json.dumps(job))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("job web, group g: it has no network: write network")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "stdin: not JSON"), ("{}", "no TaskGroups"), ('{"Job": []}', "no TaskGroups"), ("", "Connection refused")],
)
def test_what_is_no_job(text: str, reason: str) -> None:
    result = inject("-", "--control-plane", "10.0.0.1:15010", "--nomad-addr", "127.0.0.1:1", text=text)
    assert result.exit_code == 1
    assert reason in result.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "--control-plane"),
        (("--control-plane", "nowhere"), "--control-plane: 'nowhere' is not an address"),
        (("--control-plane", "a:1", "--driver", "podman"), "podman"),
    ],
)
def test_misuse(arguments: tuple[str, ...], reason: str) -> None:
    result = inject("-", *arguments, text="{}")
    assert result.exit_code == 2
    assert reason in result.stderr
