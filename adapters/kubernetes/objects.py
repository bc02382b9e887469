"""What is kept of a Kubernetes object: only what becomes something in the mesh, so that other changes are none. Pure.

Called by the reflectors of `adapters.kubernetes.watch`, as `decode` of their resources; `adapters.kubernetes.convert`
makes services of the result. Fields are of core/v1 and discovery.k8s.io/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from kubeapi.resource import BrokenError, Json, Key
from pilot.model.service import Health, Labels, Locality, labels

SERVICE_NAME = "kubernetes.io/service-name"
EXPORT_TO = "networking.istio.io/exportTo"
NETWORK = "topology.istio.io/network"
LOCALITY = "istio-locality"
_REGIONS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_SUBZONE = "topology.istio.io/subzone"
LONGEST_KEY, LONGEST_VALUE = 317, 63
"""Of labels: a prefix of 253, a slash, a name of 63."""

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?", re.IGNORECASE)
_DNS_LABEL = re.compile(_LABEL)


@attrs.frozen
class ServicePort:
    """A port of a service. `speaks` is its appProtocol, else empty."""

    name: str
    number: int
    speaks: str = ""


@attrs.frozen
class ServiceObject:
    """A Service. `families` in its order of preference; `external_name` is empty unless it is an ExternalName."""

    key: Key
    ports: tuple[ServicePort, ...] = ()
    labels: Labels = ()
    cluster_ips: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    external_name: str = ""
    publishes_not_ready: bool = False
    export_to: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@attrs.frozen
class SliceEndpoint:
    """One endpoint of a slice. `pod` is None for one that is not a pod."""

    addresses: tuple[str, ...]
    health: Health
    ready: bool
    pod: Key | None = None
    node: str = ""
    zone: str = ""


@attrs.frozen
class Slice:
    """An EndpointSlice, of one address family (`IPv4`, `IPv6`, `FQDN`) and one set of ports."""

    key: Key
    service: Key | None
    family: str
    ports: tuple[tuple[str, int], ...]
    endpoints: tuple[SliceEndpoint, ...]
    faults: tuple[str, ...] = ()


@attrs.frozen
class Pod:
    """A Pod. `locality` is what its label says, None if it says nothing."""

    service_account: str
    node: str
    labels: Labels = ()
    network: str = ""
    locality: Locality | None = None
    faults: tuple[str, ...] = ()


def service(item: Json) -> ServiceObject:
    """BrokenError for a name or an external name that can't be a host."""
    metadata, spec = item["metadata"], item["spec"]
    faults: list[str] = []
    name = str(metadata["name"])
    if not _DNS_LABEL.fullmatch(name):
        raise BrokenError(f"{name[:80]!r} can't be part of a host name", "use lower case letters, digits and dashes")
    external = spec.get("type") == "ExternalName"
    external_name = str(spec.get("externalName") or "") if external else ""
    if external and not _DNS_NAME.fullmatch(external_name):
        raise BrokenError(f"externalName {external_name[:80]!r} is no host name", "write a name that DNS can resolve")
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return ServiceObject(
        key=(str(metadata.get("namespace") or ""), name),
        ports=tuple(_service_ports(spec.get("ports") or (), faults)),
        labels=_labels(metadata, faults),
        cluster_ips=tuple(str(ip) for ip in addresses if ip and ip != "None"),
        families=tuple(str(family) for family in spec.get("ipFamilies") or ()),
        external_name=external_name.rstrip("."),
        publishes_not_ready=bool(spec.get("publishNotReadyAddresses")),
        export_to=_export_to(metadata),
        faults=tuple(faults),
    )


def endpoint_slice(item: Json) -> Slice:
    """BrokenError for an address family that is not known."""
    metadata = item["metadata"]
    family = str(item.get("addressType"))
    if family not in ("IPv4", "IPv6", "FQDN"):
        raise BrokenError(f"addressType {family[:40]!r} is not known", "known are IPv4, IPv6, FQDN")
    namespace = str(metadata.get("namespace") or "")
    owner = (metadata.get("labels") or {}).get(SERVICE_NAME)
    faults: list[str] = []
    return Slice(
        key=(namespace, str(metadata["name"])),
        service=(namespace, str(owner)) if owner else None,
        family=family,
        ports=tuple(_slice_ports(item.get("ports") or (), faults)),
        endpoints=tuple(_endpoints(item.get("endpoints") or (), namespace, family, faults)),
        faults=tuple(faults),
    )


def pod(item: Json) -> Pod:
    """What a Pod says of the endpoint that it is."""
    metadata, spec = item["metadata"], item["spec"]
    faults: list[str] = []
    found = _labels(metadata, faults)
    own = dict(found)
    said = own.get(LOCALITY, "")
    return Pod(
        service_account=str(spec.get("serviceAccountName") or "default"),
        node=str(spec.get("nodeName") or ""),
        labels=found,
        network=own.get(NETWORK, ""),
        locality=Locality.parse(said if "/" in said else said.replace(".", "/")) if said else None,
        faults=tuple(faults),
    )


def node(item: Json) -> Locality:
    """Where a Node is."""
    own: Mapping[str, str] = item["metadata"].get("labels") or {}
    return Locality(_first(own, _REGIONS), _first(own, _ZONES), str(own.get(_SUBZONE) or ""))


def _service_ports(items: Iterable[Json], faults: list[str]) -> Iterable[ServicePort]:
    """Ports that TCP runs over; of two with one number or name, the first."""
    numbers: set[int] = set()
    names: set[str] = set()
    for item in items:
        if (item.get("protocol") or "TCP") != "TCP":
            continue
        name, number = str(item.get("name") or ""), int(item.get("port") or 0)
        if not 0 < number <= 65535:
            faults.append(f"port {name or number}: {number} is no port number")
        elif number in numbers or name in names:
            faults.append(f"port {name or number}: its name or number is another port's")
        else:
            yield ServicePort(name, number, str(item.get("appProtocol") or ""))
        numbers.add(number)
        names.add(name)


def _slice_ports(items: Iterable[Json], faults: list[str]) -> Iterable[tuple[str, int]]:
    for item in items:
        if (item.get("protocol") or "TCP") != "TCP" or item.get("port") is None:
            continue
        name, number = str(item.get("name") or ""), int(item["port"])
        if 0 < number <= 65535:
            yield name, number
        else:
            faults.append(f"port {name or number}: {number} is no port number")


def _endpoints(items: Iterable[Any], namespace: str, family: str, faults: list[str]) -> Iterable[SliceEndpoint]:
    for position, item in enumerate(items):
        try:
            found = _endpoint(item, namespace, family)
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            faults.append(f"endpoints[{position}]: {fault if isinstance(fault, BrokenError) else repr(fault)}")
        else:
            yield found


def _endpoint(item: Json, namespace: str, family: str) -> SliceEndpoint:
    addresses = tuple(str(address) for address in item["addresses"])
    bad = [address for address in addresses if not _is_address(address, family)]
    if bad or not addresses:
        said = f"{bad[0][:80]!r} is no {family} address" if bad else "no address"
        raise BrokenError(said, "")
    conditions = item.get("conditions") or {}
    ready = conditions.get("ready") is not False
    target = item.get("targetRef") or {}
    is_pod = target.get("kind") == "Pod" and target.get("name")
    return SliceEndpoint(
        addresses=addresses,
        health=_health(conditions, ready),
        ready=ready,
        pod=(str(target.get("namespace") or namespace), str(target["name"])) if is_pod else None,
        node=str(item.get("nodeName") or ""),
        zone=str(item.get("zone") or ""),
    )


def _health(conditions: Json, ready: bool) -> Health:
    """Nothing said of ready is ready, of serving as ready, of terminating is not (discovery/v1 EndpointConditions)."""
    serving = conditions.get("serving")
    if conditions.get("terminating") and (ready if serving is None else serving):
        return Health.DRAINING
    return Health.HEALTHY if ready else Health.UNHEALTHY


def _is_address(text: str, family: str) -> bool:
    if family == "FQDN":
        return _DNS_NAME.fullmatch(text) is not None
    if family == "IPv4":
        return re.fullmatch(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}", text) is not None
    return ":" in text and re.fullmatch(r"[0-9a-fA-F:.]{2,45}", text) is not None


def _labels(metadata: Json, faults: list[str]) -> Labels:
    found: dict[str, str] = {}
    for key, value in (metadata.get("labels") or {}).items():
        if len(key) > LONGEST_KEY or len(str(value)) > LONGEST_VALUE:
            faults.append(f"label {key[:80]!r} is too long ({len(key)} and {len(str(value))} characters)")
        else:
            found[key] = str(value)
    return labels(found)


def _export_to(metadata: Json) -> tuple[str, ...]:
    """Namespaces by Istio's annotation: `*` is all (empty here), `.` its own, `~` none."""
    said = [part.strip() for part in str((metadata.get("annotations") or {}).get(EXPORT_TO) or "").split(",")]
    own = str(metadata.get("namespace") or "")
    given = tuple(own if part == "." else part for part in said if part)
    return () if "*" in given else given


def _first(own: Mapping[str, str], keys: Iterable[str]) -> str:
    return next((str(own[key]) for key in keys if own.get(key)), "")
