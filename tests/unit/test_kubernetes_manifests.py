"""The manifests in deploy/kubernetes are what the registry and the command say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from mesh_adapter.commands.start import start

MANIFESTS = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("crds", MANIFESTS / "crds.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_definitions_and_rights_are_what_make_docs_would_write(generator: ModuleType) -> None:
    assert generator.CRDS.read_text() == generator.crds(), "run: make docs"
    assert generator.RBAC.read_text() == generator.rbac(), "run: make docs"


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Gateway", "gateways"),
        ("ServiceEntry", "serviceentries"),
        ("GatewayClass", "gatewayclasses"),
        ("AuthorizationPolicy", "authorizationpolicies"),
        ("Telemetry", "telemetries"),
        ("TLSRoute", "tlsroutes"),
    ],
)
def test_plurals(generator: ModuleType, kind: str, plural: str) -> None:
    assert generator.plural(kind) == plural


def test_the_deployment_starts_what_the_command_understands() -> None:
    (deployment, *_) = yaml.safe_load_all((MANIFESTS / "mesh-adapter.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["mesh-adapter", "start"]
    with start.make_context("start", list(container["args"])) as context:
        assert context.params["platform"] == ("kubernetes",)
        assert context.params["config"] == ("kubernetes:",)
