"""The templates of Istio 1.1, by name; field names are those of its YAML."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

from mixer.attributes import ValueType
from mixer.template import Entries, Field, Message, Scalar, Template, Variety

ENTRY_POINTS = "mesh_adapter.templates"

_ANY = Scalar()
_STRING = Scalar((ValueType.STRING,))
_TIME = Scalar((ValueType.TIMESTAMP,))
_IP = Scalar((ValueType.IP_ADDRESS,))
_INT = Scalar((ValueType.INT64,))
_BOOL = Scalar((ValueType.BOOL,))
_MONITORED: dict[str, Field] = {"monitoredResourceType": _STRING, "monitoredResourceDimensions": Entries()}


def _strings(names: str) -> dict[str, Field]:
    return dict.fromkeys(names.split(), _STRING)


_PEER = """
    pod_uid:STRING pod_ip:IP_ADDRESS pod_name:STRING labels:STRING_MAP namespace:STRING service_account_name:STRING
    host_ip:IP_ADDRESS owner:STRING workload_uid:STRING workload_name:STRING workload_namespace:STRING
"""
_KUBERNETES_OUTPUTS = {
    f"{peer}_{name}": ValueType(type_)
    for peer in ("source", "destination")
    for name, _, type_ in (each.partition(":") for each in _PEER.split())
} | {"destination_container_name": ValueType.STRING}

_TRACESPAN: dict[str, Field] = {
    **_strings("traceId spanId parentSpanId spanName sourceName destinationName apiProtocol"),
    "startTime": _TIME,
    "endTime": _TIME,
    "spanTags": Entries(),
    "httpStatusCode": _INT,
    "clientSpan": _BOOL,
    "rewriteClientSpanId": _BOOL,
    "sourceIp": _IP,
    "destinationIp": _IP,
    "requestSize": _INT,
    "requestTotalSize": _INT,
    "responseSize": _INT,
    "responseTotalSize": _INT,
}

_EDGE: dict[str, Field] = {
    "timestamp": _TIME,
    **_strings(
        "sourceWorkloadNamespace sourceWorkloadName sourceOwner sourceUid destinationWorkloadNamespace"
        " destinationWorkloadName destinationOwner destinationUid destinationServiceNamespace destinationServiceName"
        " contextProtocol apiProtocol"
    ),
}

_ALL = (
    Template("metric", Variety.REPORT, {"value": _ANY, "dimensions": Entries(), **_MONITORED}),
    Template(
        "logentry", Variety.REPORT, {"variables": Entries(), "timestamp": _TIME, "severity": _STRING, **_MONITORED}
    ),
    Template("tracespan", Variety.REPORT, _TRACESPAN),
    Template("edge", Variety.REPORT, _EDGE),
    Template("reportnothing", Variety.REPORT),
    Template("quota", Variety.QUOTA, {"dimensions": Entries()}),
    Template("listentry", Variety.CHECK, {"value": Scalar((ValueType.STRING, ValueType.IP_ADDRESS))}),
    Template(
        "authorization",
        Variety.CHECK,
        {
            "subject": Message({**_strings("user groups"), "properties": Entries()}),
            "action": Message({**_strings("namespace service method path"), "properties": Entries()}),
        },
    ),
    Template("apikey", Variety.CHECK, {**_strings("api apiVersion apiOperation apiKey"), "timestamp": _TIME}),
    Template("checknothing", Variety.CHECK),
    Template(
        "kubernetes",
        Variety.ATTRIBUTE_GENERATOR,
        {**_strings("sourceUid destinationUid"), "sourceIp": _IP, "destinationIp": _IP, "destinationPort": _INT},
        _KUBERNETES_OUTPUTS,
    ),
)
TEMPLATES: Mapping[str, Template] = {each.name: each for each in _ALL}


def find_template(name: str) -> Template:
    """The template `name`, ours or a package's; LookupError that lists the known names if there is none."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    outside = importlib.metadata.entry_points(group=ENTRY_POINTS)
    found = next((entry for entry in outside if entry.name == name), None)
    if found is None:
        known = ", ".join(sorted({*TEMPLATES, *(entry.name for entry in outside)}))
        raise LookupError(f"unknown template {name!r}: known are {known}")
    template: Template = found.load()
    return template
