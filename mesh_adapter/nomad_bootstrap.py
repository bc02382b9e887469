"""Envoy's bootstrap for a task of Nomad, as the template that Nomad fills in where the allocation runs. Pure.

Called by the command `inject`. It is the bootstrap of `pilot.sidecar`, in which Nomad's variables stand for what is not
known before: addresses, chosen ports, the allocation's name, where the node is.
"""

from __future__ import annotations

import json
import re
from typing import Any

from adapters.nomad.beside import ADMIN, HEALTH, METRICS, OUTBOUND, Beside, Entry
from pilot.model.proxy import Upstream
from pilot.model.service import Locality
from pilot.sidecar.bootstrap import bootstrap
from pilot.sidecar.settings import EVERYWHERE, SidecarSettings, XdsAddress

CONSUL_NAMESPACE, NAMESPACE = "default", "${NOMAD_NAMESPACE}"
ALLOCATION = "${NOMAD_ALLOC_ID}"

_DEFAULTS = SidecarSettings(service="web")
_LABELS = {
    _DEFAULTS.admin_port: ADMIN,
    _DEFAULTS.health_port: HEALTH,
    _DEFAULTS.metrics_port: METRICS,
    _DEFAULTS.outbound_port: OUTBOUND,
}
_PORT_KEYS = ("port_value", "OUTBOUND_PORT")
_WHOLE = re.compile(r'"\$\{([\w.-]+)\}"')
_PART = re.compile(r"\$\{([\w.-]+)\}")


def template(beside: Beside, control_plane: XdsAddress) -> str:
    """The text of a template block; whatever looks like an action of one in the job's own words stays as it is."""
    document = _document(beside, control_plane)
    text = json.dumps(document, indent=1).replace("{{", '{{"{{"}}')
    text = _WHOLE.sub(r'{{ env "\1" | toJSON }}', text)
    return _PART.sub(r'{{ env "\1" }}', text) + "\n"


def _document(beside: Beside, control_plane: XdsAddress) -> dict[str, Any]:
    namespace = CONSUL_NAMESPACE if beside.consul else NAMESPACE
    domain = "service.consul" if beside.consul else f"{NAMESPACE}.service.nomad"
    settings = SidecarSettings(
        service=beside.service,
        namespace=namespace,
        instance=f"{beside.service}-{ALLOCATION}",
        upstreams=tuple(Upstream(each.host, each.port, each.bind_port) for each in beside.upstreams),
        labels=beside.labels,
        locality=Locality("${NOMAD_REGION}", "${NOMAD_DC}", "${node.class}"),
        xds_addr=control_plane,
        dns_domain=domain,
    )
    document = bootstrap(settings)
    node = document["node"]
    address = f"${{NOMAD_HOST_IP_{HEALTH}}}"
    node["id"] = f"sidecar~{address}~{settings.name}.{namespace}~{domain}"
    node["metadata"]["INBOUND"] = [_inbound(entry) for entry in beside.entries]
    xds = document["static_resources"]["clusters"][:1]
    _renumber({"node": node, "admin": document["admin"], "rest": _without(document["static_resources"], xds)}, beside)
    return document


def _without(resources: dict[str, Any], xds: list[Any]) -> list[Any]:
    """All but the control plane's cluster: its port is another machine's."""
    return [each for each in (*resources["clusters"], *resources["listeners"]) if each not in xds]


def _inbound(entry: Entry) -> dict[str, str]:
    return {
        "port": entry.port,
        "listen": entry.listen,
        "address": EVERYWHERE[4],
        "protocol": entry.protocol.value,
        "service": entry.service,
    }


def _renumber(part: Any, beside: Beside) -> None:
    """Envoy's own ports, where they are Nomad's choice; protobuf's JSON takes a number in quotes as well."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in _PORT_KEYS and value in _LABELS and not beside.own_network:
                part[key] = beside.ports[_LABELS[value]]
            else:
                _renumber(value, beside)
    elif isinstance(part, list):
        for each in part:
            _renumber(each, beside)
