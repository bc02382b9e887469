"""The servers that other integration tests stand on: each starts on free ports and answers what it is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.consul import Consul
from tests.servers.envoy import Envoy, InvalidConfigError, validate
from tests.servers.http import RefusedError, call
from tests.servers.kube_apiserver import KubeApiserver
from tests.servers.nomad import Nomad
from tests.servers.ports import free_port
from tests.servers.process import Process, ServerFailedError
from tests.servers.redis import Redis
from tests.servers.tls import Authority
from tests.servers.vault import Vault

pytestmark = pytest.mark.integration

MANAGEMENT_TOKEN = "5b0a8c6e-3f0d-4f2b-9d5f-0d1f5a2f7c11"


def web_service(port: int = 8080) -> dict[str, object]:
    """A service registration in Consul's agent API."""
    return {"Name": "web", "Address": "127.0.0.1", "Port": port}


def test_consul_takes_a_service(consul: Consul) -> None:
    consul.put("/v1/agent/service/register", web_service())
    (entry,) = consul.get("/v1/health/service/web")
    assert entry["Service"]["Port"] == 8080


def test_two_consuls_know_nothing_of_each_other(tmp_path: Path) -> None:
    with Consul(tmp_path / "a") as one, Consul(tmp_path / "b") as other:
        one.put("/v1/agent/service/register", web_service())
        assert "web" in one.get("/v1/catalog/services")
        assert "web" not in other.get("/v1/catalog/services")


def test_two_federated_datacenters_see_each_other(tmp_path: Path) -> None:
    with Consul(tmp_path / "a") as primary, Consul(tmp_path / "b", datacenter="dc2", join=primary) as secondary:
        secondary.put("/v1/agent/service/register", web_service())
        (entry,) = primary.get("/v1/health/service/web?dc=dc2")
        assert entry["Node"]["Datacenter"] == "dc2"


def test_consul_with_access_control_denies_by_default(tmp_path: Path) -> None:
    with Consul(tmp_path, management_token=MANAGEMENT_TOKEN) as consul:
        assert consul.get("/v1/catalog/nodes")
        with pytest.raises(RefusedError) as refusal:
            consul.put("/v1/kv/secret", b"1", token="")
        assert refusal.value.status == 403


def test_consul_over_tls_is_trusted_by_its_authority_only(tmp_path: Path) -> None:
    certificate = Authority(tmp_path / "tls").issue("server.dc1.consul")
    with Consul(tmp_path / "consul", certificate=certificate) as consul:
        assert consul.url.startswith("https://")
        assert consul.get("/v1/status/leader")
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            call("GET", consul.url + "/v1/status/leader")


def test_a_persistent_consul_finds_its_data_again_after_a_crash(tmp_path: Path) -> None:
    with Consul(tmp_path, persistent=True) as consul:
        consul.put("/v1/kv/colour", b"blue")
        consul.kill()
        with pytest.raises(OSError, match="refused"):
            consul.get("/v1/kv/colour?raw")
        consul.start()
        assert consul.call("GET", "/v1/kv/colour?raw").text == "blue"
        consul.restart(empty=True)
        with pytest.raises(RefusedError) as refusal:
            consul.call("GET", "/v1/kv/colour?raw")
        assert refusal.value.status == 404


def test_a_consul_in_development_mode_will_not_pretend_to_keep_data(consul: Consul) -> None:
    with pytest.raises(ValueError, match="persistent=True"):
        consul.restart(empty=False)


def test_vault_issues_a_certificate(vault: Vault) -> None:
    vault.write("/sys/mounts/pki", {"type": "pki"})
    vault.write("/pki/root/generate/internal", {"common_name": "mesh"})
    vault.write("/pki/roles/workload", {"allow_any_name": True, "key_type": "ec", "key_bits": 256})
    issued = vault.write("/pki/issue/workload", {"common_name": "web.mesh", "ttl": "1h"})
    assert issued["data"]["certificate"].startswith("-----BEGIN CERTIFICATE-----")


def test_nomad_runs_a_task(nomad: Nomad) -> None:
    task = {"Name": "sleep", "Driver": "raw_exec", "Config": {"command": "/bin/sleep", "args": ["600"]}}
    task["Resources"] = {"CPU": 50, "MemoryMB": 16}
    nomad.run({"ID": "sleeper", "Datacenters": ["dc1"], "TaskGroups": [{"Name": "g", "Tasks": [task]}]})
    (allocation,) = nomad.wait_running("sleeper")
    assert allocation["TaskGroup"] == "g"


def test_nomad_runs_envoy_in_bridge_mode(nomad: Nomad) -> None:
    """An Envoy in a chroot and a network namespace, found by Nomad's own service discovery."""
    template = {"EmbeddedTmpl": json.dumps(direct_response_bootstrap(8080, "0.0.0.0")), "DestPath": "local/envoy.json"}
    task = {
        "Name": "envoy",
        "Driver": "exec",
        "Config": {
            "command": "/usr/local/bin/envoy",
            "args": ["--config-path", "local/envoy.json", "--disable-hot-restart"],
        },
        "Templates": [template],
        "Resources": {"CPU": 50, "MemoryMB": 256},
    }
    group = {
        "Name": "web",
        "Networks": [{"Mode": "bridge", "DynamicPorts": [{"Label": "http", "To": 8080}]}],
        "Services": [{"Name": "web", "PortLabel": "http", "Provider": "nomad"}],
        "Tasks": [task],
    }
    nomad.run({"ID": "web", "Datacenters": ["dc1"], "TaskGroups": [group]})
    nomad.wait_running("web")
    (service,) = nomad.get("/v1/service/web")
    url = f"http://{service['Address']}:{service['Port']}/"
    nomad.process.wait_until(lambda: call("GET", url).text == "hello", "routing to its task")


def test_kube_apiserver_takes_an_endpoint_slice(kube_apiserver: KubeApiserver) -> None:
    namespace = kube_apiserver.namespace("takes-an-endpoint-slice")
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    endpoint_slice = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"]}],
        "ports": [{"name": "http", "port": 8080}],
    }
    kube_apiserver.create(slices, endpoint_slice)
    (item,) = kube_apiserver.get(slices)["items"]
    assert item["endpoints"][0]["addresses"] == ["10.1.2.3"]


def test_kube_apiserver_says_its_version_and_keeps_strangers_out(kube_apiserver: KubeApiserver) -> None:
    assert kube_apiserver.get("/version")["gitVersion"] == "v1.34.4"
    with pytest.raises(RefusedError) as refusal:
        kube_apiserver.get("/api/v1/namespaces", token="a stranger's")
    assert refusal.value.status == 401


def test_redis_keeps_a_value(redis: Redis) -> None:
    assert redis.command("SET", "colour", "blue") == "OK"
    assert redis.command("GET", "colour") == "blue"


def direct_response_bootstrap(port: int, address: str = "127.0.0.1") -> dict[str, object]:
    """An Envoy that answers every request by itself."""
    hcm = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "hello"}}}
    manager = {
        "@type": f"type.googleapis.com/{hcm}",
        "stat_prefix": "direct",
        "http_filters": [{"name": "router", "typed_config": {"@type": router}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    listener = {
        "name": "direct",
        "address": {"socket_address": {"address": address, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


@pytest.mark.usefixtures("envoy_binary")
def test_envoy_answers_and_counts(tmp_path: Path) -> None:
    port = free_port()
    with Envoy(tmp_path, direct_response_bootstrap(port)) as envoy:
        envoy.wait_live()
        assert call("GET", f"http://127.0.0.1:{port}/").text == "hello"
        assert envoy.stats("http.direct.downstream_rq_2xx") == {"http.direct.downstream_rq_2xx": 1}
        assert "direct" in json.dumps(envoy.config_dump())


@pytest.mark.usefixtures("envoy_binary")
def test_envoy_tells_what_is_wrong_with_a_configuration() -> None:
    good = direct_response_bootstrap(free_port())
    validate(good)
    with pytest.raises(InvalidConfigError, match="no such field: 'colour'"):
        validate({**good, "colour": "blue"})


def test_a_server_that_ends_shows_its_log(tmp_path: Path) -> None:
    process = Process("quitter", ["sh", "-c", "echo out of luck; exit 3"], folder=tmp_path)
    process.start()
    with pytest.raises(ServerFailedError, match=r"exit code 3(.|\n)*out of luck"):
        process.wait_until(lambda: False, "ready")


def test_stopping_a_process_ends_its_descendants(tmp_path: Path) -> None:
    """A child in a session of its own, as Nomad's executors are, whose parent ignores SIGTERM."""
    script = "trap '' TERM; setsid sh -c 'echo $$ > child; exec sleep 600' & while :; do sleep 0.1; done"
    process = Process("parent", ["sh", "-c", script], folder=tmp_path)
    process.start()
    child = tmp_path / "child"
    process.wait_until(lambda: child.read_text().endswith("\n"), "started")
    process.stop(seconds=0.2)
    assert not process.running
    assert is_over(int(child.read_text()))


def is_over(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet reaped by the process that inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
