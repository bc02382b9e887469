"""Kubeconfig files and what is wrong with them; plug-ins; the files of a pod."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kubeapi.access import Access, Api
from kubeapi.errors import DeniedError
from tests.contract.kubernetes_server import KubernetesServer

PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(count.read_text() + "x" if count.exists() else "x")
token = "token-%d" % len(count.read_text())
answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token}}
print(json.dumps(answer))
"""


def kubeconfig(folder: Path, server: str, user: dict[str, Any]) -> str:
    path = folder / "kubeconfig"
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("one", "two")]
    content = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": contexts,
        "current-context": "one",
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kubeconfig /none"):
        Access("/none").check()


@pytest.mark.parametrize("text", ["", "[]", "a: [", "7", "{}"])
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"kubeconfig {path}"):
        Access(str(path)).check()


def test_a_context_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1", {})
    Access(file, "two").check()
    with pytest.raises(ValueError, match=r"no context 'three': it has one, two"):
        Access(file, "three").check()


def test_a_plug_in_is_run_again_when_its_token_is_refused(tmp_path: Path) -> None:
    server = KubernetesServer()
    server.define("/api/v1/services")
    server.tokens = {"token-1"}
    server.start()
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    exec_plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(plugin), str(tmp_path / "count")],
        "interactiveMode": "Never",
    }
    api = Api(Access(kubeconfig(tmp_path, server.url, {"exec": exec_plugin})))
    try:
        api.get("/api/v1/services")
        server.tokens = {"token-2"}
        api.get("/api/v1/services")
        server.tokens = {"never"}
        with pytest.raises(DeniedError, match="kubeconfig"):
            api.get("/api/v1/services")
    finally:
        api.close()
        server.stop()


def test_a_kubeconfig_that_breaks_while_running_is_a_denial(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:1", {})
    access = Access(file)
    access.check()
    Path(file).write_text("")
    with pytest.raises(DeniedError, match=file):
        access.load()


def test_a_context_without_a_kubeconfig_in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert str(Access()) == "the pod's service account"
    with pytest.raises(ValueError, match="kubeconfig"):
        Access("", "one").check()
