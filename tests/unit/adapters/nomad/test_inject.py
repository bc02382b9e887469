"""What is put into a job's groups, what is taken out again, and what is refused with which reason."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from adapters.nomad.beside import Beside, RefusedError, Upstream, upstream
from adapters.nomad.inject import MARK, TASK, Envoy, inject
from pilot.model.service import Protocol

ENVOY = Envoy(image="envoy:test")
SECOND = 1_000_000_000


def job(*, service: Any = None, network: Any = None, group: Any = None, **more: Any) -> dict[str, Any]:
    """A job of one group in bridge mode with one service, as Nomad's parser gives it."""
    first = {"Name": "web", "Provider": "nomad", "PortLabel": "http", "Tags": None, "Meta": None, "Checks": None}
    net = {"Mode": "bridge", "DynamicPorts": [{"Label": "http", "To": 8080, "Value": 0}], "ReservedPorts": None}
    whole = {
        "Name": "g",
        "ShutdownDelay": None,
        "Networks": [net | (network or {})],
        "Services": [first | (service or {})],
        "Tasks": [{"Name": "serve", "Driver": "exec", "Config": {"command": "serve"}, "Lifecycle": None}],
    }
    return {"ID": "shop", "TaskGroups": [whole | (group or {})]} | more


def bootstrap(beside: Beside) -> str:
    return f"bootstrap of {beside.service}"


def injected(given: dict[str, Any], envoy: Envoy = ENVOY) -> dict[str, Any]:
    before = copy.deepcopy(given)
    made, refusals = inject(given, envoy, bootstrap)
    assert refusals == ()
    assert given == before, "the job that was given is another"
    return made


def group(given: dict[str, Any], index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = given["TaskGroups"][index]
    return found


def proxy(given: dict[str, Any], index: int = 0) -> dict[str, Any]:
    (found,) = [task for task in group(given, index)["Tasks"] if task["Name"] == TASK]
    return dict(found)


def seen(given: dict[str, Any]) -> list[Beside]:
    """What the bootstrap is made of, for each group."""
    found: list[Beside] = []

    def note(beside: Beside) -> str:
        found.append(beside)
        return ""

    _, refusals = inject(given, ENVOY, note)
    assert refusals == ()
    return found


def refused(given: dict[str, Any], envoy: Envoy = ENVOY) -> str:
    _, refusals = inject(given, envoy, bootstrap)
    return "; ".join(map(str, refusals))


def test_the_task_starts_before_the_application_and_outlives_it() -> None:
    made = injected(job())
    task = proxy(made)
    assert task["Lifecycle"] == {"Hook": "prestart", "Sidecar": True}
    assert task["Templates"][0]["EmbeddedTmpl"] == "bootstrap of web"
    assert task["Config"]["command"] == "/usr/local/bin/envoy"
    assert "${NOMAD_TASK_DIR}/envoy.json" in task["Config"]["args"]
    assert (task["Identity"], task["KillSignal"]) == ({"Env": False, "File": True}, "SIGTERM")
    assert group(made)["ShutdownDelay"] == 5 * SECOND
    assert [each["Name"] for each in group(made)["Tasks"]] == ["serve", TASK]


def test_peers_are_told_envoys_port_and_kept_away_until_it_is_ready() -> None:
    (service,) = group(injected(job()))["Services"]
    assert service["PortLabel"] == "http"
    assert service["Tags"] == ["sidecar-port=${NOMAD_HOST_PORT_mesh_inbound_http}"]
    assert [(check["PortLabel"], check["Path"]) for check in service["Checks"]] == [("mesh_health", "/healthz/ready")]
    labels = {port["Label"]: port["To"] for port in group(injected(job()))["Networks"][0]["DynamicPorts"]}
    assert labels == {"http": 8080, "mesh_inbound_http": 15006, "mesh_health": 15021, "mesh_metrics": 15090}


def test_a_service_of_consul_is_told_by_meta_and_canaries_too() -> None:
    meta = {"Provider": "consul", "Meta": {"team": "shop"}, "CanaryMeta": {"team": "test"}}
    (service,) = group(injected(job(service=meta)))["Services"]
    port = "${NOMAD_HOST_PORT_mesh_inbound_http}"
    assert service["Meta"] == {"team": "shop", "sidecar-port": port}
    assert service["CanaryMeta"] == {"team": "test", "sidecar-port": port}
    assert not service["Tags"]
    tagged = injected(job(service={"Tags": ["v1"], "CanaryTags": ["v2"]}))
    assert group(tagged)["Services"][0]["CanaryTags"] == ["v2", f"sidecar-port={port}"]


def test_an_address_of_the_allocation_itself_has_envoys_own_port() -> None:
    made = injected(job(service={"AddressMode": "alloc", "PortLabel": "9000"}))
    assert group(made)["Services"][0]["Tags"] == ["sidecar-port=15006"]
    assert seen(job(service={"AddressMode": "alloc", "PortLabel": "9000"}))[0].entries[0].port == "9000"


@pytest.mark.parametrize(
    "given",
    [
        job(),
        job(service={"Provider": "consul", "Meta": {"a": "b"}}),
        job(service={"AddressMode": "alloc", "Tags": ["v1"], "CanaryTags": ["v2"]}),
        job(network={"Mode": "host"}),
        job(group={"ShutdownDelay": SECOND}),
    ],
    ids=["nomad", "consul", "alloc", "host", "delay"],
)
def test_injecting_twice_is_injecting_once(given: dict[str, Any]) -> None:
    once = injected(given)
    assert injected(once) == once


def test_injecting_anew_renews_what_was_put_in() -> None:
    once = injected(job())
    renewed = Envoy(image="envoy:new", driver="docker", memory=200, shutdown_delay=9)
    assert injected(once, renewed) == injected(job(), renewed)
    group(once)["Services"] = []
    group(once)["Meta"] = {"mesh-inject": "false"}
    plain, refusals = inject(once, ENVOY, bootstrap)
    assert [task["Name"] for task in group(plain)["Tasks"]] == ["serve"]
    assert [port["Label"] for port in group(plain)["Networks"][0]["DynamicPorts"]] == ["http"]
    assert group(plain)["ShutdownDelay"] is None
    assert "no group has a service" in str(refusals[0])


def test_what_the_author_said_stays() -> None:
    made = injected(job(group={"ShutdownDelay": 30 * SECOND}))
    assert group(made)["ShutdownDelay"] == 30 * SECOND
    assert group(injected(made, Envoy("x", shutdown_delay=1)))["ShutdownDelay"] == 30 * SECOND


@pytest.mark.parametrize(
    ("driver", "said", "config"),
    [
        ("docker", "", {"image": "envoy:test"}),
        ("raw_exec", "", {"command": "/usr/local/bin/envoy"}),
        ("java", "exec", {"command": "/usr/local/bin/envoy"}),
    ],
)
def test_the_driver_is_the_applications_or_the_one_said(driver: str, said: str, config: dict[str, str]) -> None:
    tasks = [{"Name": "wait", "Driver": "podman", "Lifecycle": {"Hook": "prestart"}}, {"Name": "a", "Driver": driver}]
    task = proxy(injected(job(group={"Tasks": tasks}), Envoy("envoy:test", driver=said)))
    assert task["Driver"] == (said or driver)
    assert {key: value for key, value in task["Config"].items() if key != "args"} == config


def test_on_the_hosts_network_nomad_chooses_every_port() -> None:
    given = job(network={"Mode": "", "DynamicPorts": [{"Label": "http"}]})
    labels = [port["Label"] for port in group(injected(given))["Networks"][0]["DynamicPorts"]]
    own = ["mesh_health", "mesh_metrics", "mesh_admin", "mesh_outbound"]
    assert labels == ["http", "mesh_inbound_http", *own]
    (found,) = seen(given)
    assert (found.entries[0].listen, found.entries[0].port) == ("${NOMAD_PORT_mesh_inbound_http}", "${NOMAD_PORT_http}")
    assert found.ports["mesh_admin"] == "${NOMAD_PORT_mesh_admin}"


def test_all_services_of_a_group_share_one_envoy() -> None:
    ports = [{"Label": "http", "To": 8080, "HostNetwork": "public"}, {"Label": "grpc", "To": 9090}]
    services = [
        {
            "Name": "web",
            "Provider": "nomad",
            "PortLabel": "http",
            "Meta": {"mesh-upstreams": "db:5432@5432, cart:9001"},
        },
        {"Name": "web-alias", "Provider": "nomad", "PortLabel": "http"},
    ]
    task = {
        "Name": "serve",
        "Driver": "exec",
        "Services": [{"Provider": "nomad", "PortLabel": "grpc", "Tags": ["protocol=grpc", "v2"]}],
    }
    given = job(network={"DynamicPorts": ports}, group={"Services": services, "Tasks": [task]})
    (found,) = seen(given)
    assert [(each.label, each.listen, each.service, each.protocol) for each in found.entries] == [
        ("mesh_inbound_http", "15006", "web", Protocol.UNSPECIFIED),
        ("mesh_inbound_grpc", "15101", "shop-g-serve", Protocol.GRPC),
    ]
    assert found.upstreams == (Upstream("db", 5432, 5432), Upstream("cart", 80, 9001))
    assert dict(found.labels)["version"] == "v2"
    made = injected(given)
    added = {port["Label"]: port["HostNetwork"] for port in group(made)["Networks"][0]["DynamicPorts"][2:]}
    assert (added["mesh_inbound_http"], added["mesh_inbound_grpc"]) == ("public", "default")
    assert group(made)["Tasks"][0]["Services"][0]["Tags"][-1] == "sidecar-port=${NOMAD_HOST_PORT_mesh_inbound_grpc}"


def test_names_that_nomads_servers_replace() -> None:
    assert seen(job(service={"Name": "${JOB}-${TASKGROUP}"}))[0].service == "shop-g"
    assert seen(job(service={"Name": None}))[0].service == "shop-g"


def test_only_groups_with_a_service_or_upstreams_and_none_that_says_no() -> None:
    plain = {"Name": "batch", "Networks": [], "Services": None, "Tasks": [{"Name": "run", "Driver": "exec"}]}
    caller = group(job(group={"Name": "caller", "Services": None, "Meta": {"mesh-upstreams": "web:9001"}}))
    made = injected(job() | {"TaskGroups": [group(job()), plain, caller]})
    assert [[task["Name"] for task in each["Tasks"]] for each in made["TaskGroups"]] == [
        ["serve", TASK],
        ["run"],
        ["serve", TASK],
    ]
    assert "no group has a service" in refused(job(Meta={"mesh-inject": "false"}))
    assert proxy(injected(job(Meta={"mesh-inject": "false"}, group={"Meta": {"mesh-inject": "true"}})))


WINDOWS = [{"LTarget": "${attr.kernel.name}", "RTarget": "windows", "Operand": "="}]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (job(group={"Networks": None}), "it has no network: write network"),
        (job(group={"Networks": [{"Mode": "bridge"}, {"Mode": "host"}]}), "it has 2 networks: leave one"),
        (job(network={"Mode": "none"}), 'its network mode is "none"'),
        (job(network={"Mode": "weave"}), "its network mode is 'weave'"),
        (job(Constraints=WINDOWS), "it is for Windows"),
        (job(group={"Tasks": [{"Name": "t", "Driver": "win_iis"}]}), "driver win_iis is for Windows"),
        (job(service={"Connect": {"SidecarService": {}}}), "service web: it has a connect block"),
        (job(service={"PortLabel": ""}), "it has no port: give it the label"),
        (job(service={"PortLabel": "grpc"}), "port 'grpc' is not in the group's network: known are: http"),
        (job(service={"AddressMode": "driver"}), 'address_mode is "driver"'),
        (job(service={"Tags": ["sidecar-port=1"]}), "it says sidecar-port already"),
        (job(service={"Meta": {"sidecar-port": "1"}}), "it says sidecar-port already"),
        (job(service={"Meta": {"protocol": "smtp"}}), "protocol 'smtp' is not known: write http"),
        (
            job(service={"Meta": {"mesh-upstreams": "db"}}),
            "meta mesh-upstreams: 'db' is no upstream: write NAME:LOCALPORT",
        ),
        (
            job(service={"Meta": {"mesh-upstreams": "db:8080"}}),
            "upstream db is to have port 8080, which is port http's",
        ),
        (job(service={"Meta": {"mesh-upstreams": "db:15001"}}), "port 15001, which is Envoy's"),
        (job(service={"Meta": {"mesh-upstreams": "a:1,b:1"}}), "port 1, which is upstream a's"),
        (job(network={"DynamicPorts": [{"Label": "http", "To": 15021}]}), "leads to 15021, where Envoy listens"),
        (job(network={"DynamicPorts": [{"Label": "http"}, {"Label": "mesh_health"}]}), "label mesh_health is taken"),
        (
            job(network={"Mode": "host"}, service={"Meta": {"mesh-upstreams": "db:5432"}}),
            'takes port 5432 of the host, which others may have: write mode = "bridge", or reserve it',
        ),
        (job(group={"Tasks": [{"Name": TASK, "Driver": "exec"}]}), "it has a task mesh-proxy that is not ours"),
        (job(group={"Tasks": [{"Name": "t", "Driver": "podman"}]}), "by driver 'podman': say --driver exec"),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out(given: dict[str, Any], reason: str) -> None:
    said = refused(given)
    assert reason in said
    assert said.startswith("job shop, group g")


def test_a_static_port_of_the_host_may_be_an_upstreams() -> None:
    reserved = {"Mode": "host", "ReservedPorts": [{"Label": "db", "Value": 5432}]}
    assert proxy(injected(job(network=reserved, service={"Meta": {"mesh-upstreams": "db:5432"}})))


def test_every_group_is_refused_for_itself() -> None:
    _, refusals = inject(
        job() | {"TaskGroups": [group(job(service={"PortLabel": ""})), group(job(network={"Mode": "none"}))]},
        ENVOY,
        bootstrap,
    )
    assert len(refusals) == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web:9001", Upstream("web", 80, 9001)),
        ("web@9001", Upstream("web", 80, 9001)),
        ("db.shop.service.nomad:5432@5433", Upstream("db.shop.service.nomad", 5432, 5433)),
    ],
)
def test_upstreams(text: str, found: Upstream) -> None:
    assert upstream(text, "here") == found


@pytest.mark.parametrize("text", ["", "web", "web:0", "web:70000", ":80", "a b:80", "web:x@80", "web:80@", "{{x}}:80"])
def test_what_is_no_upstream(text: str) -> None:
    with pytest.raises(RefusedError, match="is no upstream"):
        upstream(text, "here")


def test_the_mark_is_what_an_injected_task_is_known_by() -> None:
    assert proxy(injected(job()))["Meta"] == {MARK: "shutdown_delay"}
