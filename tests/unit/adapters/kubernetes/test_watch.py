"""Options that can't be are said before anything is watched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.kubernetes.options import KubernetesOptions


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "one", "context": {"cluster": "c", "user": "u"}}
    content = {"clusters": [cluster], "users": [{"name": "u", "user": {}}], "contexts": [context]}
    path.write_text(json.dumps(content | {"current-context": "one"}))
    return str(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": "Cluster Local"}, "domain is 'Cluster Local': write a DNS name"),
        ({"namespaces": ("shop", "Shop")}, "namespace is 'Shop'"),
        ({"namespaces": ("x" * 64,)}, "namespace is"),
        ({"empty_hold": -1.0}, "empty_hold is -1 s: write 0"),
        ({"context": "two"}, "has no context 'two': it has one"),
        ({"kubeconfig": "/none"}, "kubeconfig /none"),
    ],
)
def test_what_cannot_be_is_refused(kubeconfig: str, options: dict[str, object], message: str) -> None:
    given = KubernetesOptions(**({"kubeconfig": kubeconfig} | options))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        given.platform("kubernetes")


def test_a_platform_is_called_what_it_was_named(kubeconfig: str) -> None:
    assert KubernetesOptions(kubeconfig=kubeconfig).platform("blue").name == "blue"  # type: ignore[attr-defined]
