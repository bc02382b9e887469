"""`kubernetesenv`, `consulenv`, `nomadenv`: attribute generators that say who is behind an address or a name.

Istio's kubernetesenv watched pods itself. Here the control plane's platforms have told the Catalog already, and the
Directory that is lent to handlers is asked; so all three know what any platform told, and differ by name only, for
configurations that say which one they mean.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import attrs

from galley.finding import Finding
from mixer.attributes import Value
from mixer.handler import HandlerType, Instance, Surroundings

_OUTPUTS = {
    "pod_uid": "uid",
    "pod_ip": "ip",
    "pod_name": "name",
    "labels": "labels",
    "namespace": "namespace",
    "service_account_name": "serviceAccount",
    "workload_uid": "workload.uid",
    "workload_name": "workload.name",
    "workload_namespace": "workload.namespace",
}
"""What the template `kubernetes` calls an attribute of a side. No platform tells the host's address and the owner."""


class Directory(Protocol):
    """`mixer.enrichment.Directory`: adds what is known of the source and the destination, and replaces nothing."""

    def enrich(self, bag: dict[str, Value]) -> None: ...


@attrs.frozen
class KubernetesParams:
    """Istio's, none of which has a use here."""

    kubeconfig_path: str = ""
    cluster_registries_namespace: str = ""
    cache_refresh_duration: datetime.timedelta | None = None


@attrs.frozen
class NoParams:
    """None."""


class EnvironmentHandler:
    """Answers at once."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def generate(self, instance: Instance) -> Mapping[str, Value]:
        bag: dict[str, Value] = {}
        for side in ("source", "destination"):
            bag |= _asked(side, instance.fields)
        if (port := instance.fields.get("destinationPort")) is not None:
            bag["destination.port"] = port
        self._directory.enrich(bag)
        return {
            f"{side}_{output}": bag[f"{side}.{name}"]
            for side in ("source", "destination")
            if f"{side}.uid" in bag  # only somebody who was found has one
            for output, name in _OUTPUTS.items()
            if f"{side}.{name}" in bag
        }

    async def close(self) -> None:
        return None


def _asked(side: str, fields: Mapping[str, Any]) -> dict[str, Value]:
    """What a side is looked up by: its address, and the name of a uid (`kubernetes://NAME.NAMESPACE`)."""
    asked: dict[str, Value] = {}
    if address := fields.get(f"{side}Ip"):
        asked[f"{side}.ip"] = address
    name, _, namespace = str(fields.get(f"{side}Uid", "")).partition("://")[2].rpartition(".")
    if name:
        asked |= {f"{side}.name": name, f"{side}.namespace": namespace}
    return asked


def _unused(params: KubernetesParams) -> Iterator[Finding]:
    for name, value in (
        ("kubeconfigPath", params.kubeconfig_path),
        ("clusterRegistriesNamespace", params.cluster_registries_namespace),
        ("cacheRefreshDuration", params.cache_refresh_duration),
    ):
        if value:
            mend = "remove it; the control plane's platform kubernetes says which cluster is watched"
            yield Finding((name,), "has no effect: what the platforms tell is used", mend, warning=True)


def _open(params: object, surroundings: Surroundings) -> EnvironmentHandler:
    directory = surroundings.services.get("directory")
    if directory is None:
        raise TypeError("no directory of workloads is lent to handlers here")
    return EnvironmentHandler(directory)


_TAKEN = frozenset({"kubernetes"})
KUBERNETESENV = HandlerType("kubernetesenv", _TAKEN, KubernetesParams, _open, _unused)
CONSULENV = HandlerType("consulenv", _TAKEN, NoParams, _open)
NOMADENV = HandlerType("nomadenv", _TAKEN, NoParams, _open)
