"""The messages of adapters in processes of their own (mixer/adapter/model/v1beta1, mixer/template/* of Istio 1.1).

Each template has a service of its own, `TEMPLATE.HandleNameService`, whose messages are the same but for the instance.
Numbers are the protocol's constants. Where a .proto has the enum ValueType an int32 stands here: the bytes are equal.
Pure.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping
from typing import Any

import attrs

from mixer.attributes import ValueType
from mixer.quota import dimension_text
from mixer.template import Variety
from mixer.wire import proto

MODEL = "istio.mixer.adapter.model.v1beta1"
BACKEND = f"/{MODEL}.InfrastructureBackend/"
_POLICY = "istio.policy.v1beta1"
_NAME = "name=72295727:string"
_VALUES = f"map<string,{_POLICY}.Value>"
_IMPORTED = {
    "google.rpc.Status": "code=1:int32 message=2:string details=3:google.protobuf.Any[]",
    f"{_POLICY}.IPAddress": "value=1:bytes",
    f"{_POLICY}.Duration": "value=1:google.protobuf.Duration",
    f"{_POLICY}.TimeStamp": "value=1:google.protobuf.Timestamp",
    f"{_POLICY}.DNSName": "value=1:string",
    f"{_POLICY}.EmailAddress": "value=1:string",
    f"{_POLICY}.Uri": "value=1:string",
    f"{_POLICY}.Value": f"""
        string_value=1:string|value int64_value=2:int64|value double_value=3:double|value bool_value=4:bool|value
        ip_address_value=5:{_POLICY}.IPAddress|value timestamp_value=6:{_POLICY}.TimeStamp|value
        duration_value=7:{_POLICY}.Duration|value email_address_value=8:{_POLICY}.EmailAddress|value
        dns_name_value=9:{_POLICY}.DNSName|value uri_value=10:{_POLICY}.Uri|value
    """,
    f"{MODEL}.QuotaParams": "amount=1:int64 best_effort=2:bool",
    f"{MODEL}.QuotaRequest": f"quotas=1:map<string,{MODEL}.QuotaParams>",
}
_MODEL = {
    "CheckResult": "status=1:google.rpc.Status valid_duration=2:google.protobuf.Duration valid_use_count=3:int32",
    "ReportResult": "",
    "Result": "valid_duration=2:google.protobuf.Duration granted_amount=3:int64",
    "QuotaResult": "quotas=1:map<string,Result>",
    "ValidateRequest": "adapter_config=1:google.protobuf.Any inferred_types=2:map<string,google.protobuf.Any>",
    "ValidateResponse": "status=1:google.rpc.Status",
    "CreateSessionRequest": "adapter_config=1:google.protobuf.Any inferred_types=2:map<string,google.protobuf.Any>",
    "CreateSessionResponse": "session_id=1:string status=2:google.rpc.Status",
    "CloseSessionRequest": "session_id=1:string",
    "CloseSessionResponse": "status=1:google.rpc.Status",
}
_CLASSES = proto.classes(MODEL, _MODEL, {}, {"google.rpc.Status": _IMPORTED["google.rpc.Status"]})
CheckResult: Any = _CLASSES["CheckResult"]
ReportResult: Any = _CLASSES["ReportResult"]
QuotaResult: Any = _CLASSES["QuotaResult"]
ValidateRequest: Any = _CLASSES["ValidateRequest"]
ValidateResponse: Any = _CLASSES["ValidateResponse"]
CreateSessionRequest: Any = _CLASSES["CreateSessionRequest"]
CreateSessionResponse: Any = _CLASSES["CreateSessionResponse"]
CloseSessionRequest: Any = _CLASSES["CloseSessionRequest"]
CloseSessionResponse: Any = _CLASSES["CloseSessionResponse"]

_RESULTS = {Variety.CHECK: CheckResult, Variety.REPORT: ReportResult, Variety.QUOTA: QuotaResult}
_TIME, _IP = f"{_POLICY}.TimeStamp", f"{_POLICY}.IPAddress"


@attrs.frozen
class _Described:
    """A template's Handle method, the fields of its instances, and of messages inside them, by name."""

    method: str
    variety: Variety
    fields: str = ""
    types: str = ""
    inside: Mapping[str, str] = attrs.field(factory=dict)


_TEMPLATES = {
    "metric": _Described(
        "HandleMetric",
        Variety.REPORT,
        f"""value=1:{_POLICY}.Value dimensions=2:{_VALUES} monitored_resource_type=3:string
        monitored_resource_dimensions=4:{_VALUES}""",
        "value=1:int32 dimensions=2:map<string,int32> monitored_resource_dimensions=4:map<string,int32>",
    ),
    "logentry": _Described(
        "HandleLogEntry",
        Variety.REPORT,
        f"""variables=1:{_VALUES} timestamp=2:{_TIME} severity=3:string monitored_resource_type=4:string
        monitored_resource_dimensions=5:{_VALUES}""",
        "variables=1:map<string,int32> monitored_resource_dimensions=5:map<string,int32>",
    ),
    "tracespan": _Described(
        "HandleTraceSpan",
        Variety.REPORT,
        f"""trace_id=1:string span_id=2:string parent_span_id=3:string span_name=4:string start_time=5:{_TIME}
        end_time=6:{_TIME} span_tags=7:{_VALUES} httpStatusCode=8:int64 client_span=9:bool
        rewrite_client_span_id=10:bool source_name=11:string source_ip=12:{_IP} destination_name=13:string
        destination_ip=14:{_IP} request_size=15:int64 request_total_size=16:int64 response_size=17:int64
        response_total_size=18:int64 api_protocol=19:string""",
        "span_tags=7:map<string,int32>",
    ),
    "edge": _Described(
        "HandleEdge",
        Variety.REPORT,
        f"""timestamp=1:{_TIME} source_workload_namespace=10:string source_workload_name=11:string
        source_owner=12:string source_uid=13:string destination_workload_namespace=20:string
        destination_workload_name=21:string destination_owner=22:string destination_uid=23:string
        destination_service_namespace=24:string destination_service_name=25:string context_protocol=30:string
        api_protocol=31:string""",
    ),
    "reportnothing": _Described("HandleReportNothing", Variety.REPORT),
    "checknothing": _Described("HandleCheckNothing", Variety.CHECK),
    "listentry": _Described("HandleListEntry", Variety.CHECK, "value=1:string"),
    "apikey": _Described(
        "HandleApiKey",
        Variety.CHECK,
        f"api=1:string api_version=2:string api_operation=3:string api_key=4:string timestamp=5:{_TIME}",
    ),
    "authorization": _Described(
        "HandleAuthorization",
        Variety.CHECK,
        "subject=1:SubjectMsg action=2:ActionMsg",
        "subject=1:SubjectType action=2:ActionType",
        {
            "SubjectMsg": f"user=1:string groups=2:string properties=3:{_VALUES}",
            "ActionMsg": f"namespace=1:string service=2:string method=3:string path=4:string properties=5:{_VALUES}",
            "SubjectType": "properties=3:map<string,int32>",
            "ActionType": "properties=5:map<string,int32>",
        },
    ),
    "quota": _Described("HandleQuota", Variety.QUOTA, f"dimensions=1:{_VALUES}", "dimensions=1:map<string,int32>"),
}
TEMPLATES = frozenset(_TEMPLATES)
"""Templates whose instances can be handed to adapters of their own process."""


@attrs.frozen(eq=False)
class HandleService:
    """One template's service: the path of its method, and the classes of its messages."""

    path: str
    variety: Variety
    request: Any
    instance: Any
    inferred: Any
    result: Any


@functools.cache
def service(template: str) -> HandleService:
    """The service of a template in TEMPLATES; KeyError if it is none."""
    described = _TEMPLATES[template]
    given = "instances=1:InstanceMsg[]" if described.variety is Variety.REPORT else "instance=1:InstanceMsg"
    more = f"quota_request=4:{MODEL}.QuotaRequest" if described.variety is Variety.QUOTA else ""
    messages = {
        **described.inside,
        "InstanceMsg": f"{_NAME} {described.fields}",
        "Type": described.types,
        "Request": f"{given} adapter_config=2:google.protobuf.Any dedup_id=3:string {more}",
    }
    made = proto.classes(template, messages, {}, _IMPORTED)
    return HandleService(
        f"/{template}.{described.method}Service/{described.method}",
        described.variety,
        made["Request"],
        made["InstanceMsg"],
        made["Type"],
        _RESULTS[described.variety],
    )


def fill(message: Any, fields: Mapping[str, Any], types: Mapping[str, ValueType], within: str = "") -> None:
    """Writes an instance's fields, by their names in YAML, into its message."""
    for field in message.DESCRIPTOR.fields:
        name = _camel(field.name)
        value = fields.get(name)
        if value is None:
            continue
        target = getattr(message, field.name)
        if field.message_type is None:
            setattr(message, field.name, value)
        elif field.message_type.GetOptions().map_entry:
            for key, each in value.items():
                _set_value(target[key], each, types.get(f"{within}{name}.{key}"))
        elif field.message_type.full_name == f"{_POLICY}.Value":
            _set_value(target, value, types.get(within + name))
        elif field.message_type.full_name.startswith(_POLICY):
            _set_wrapped(target, value)
        else:
            target.SetInParent()
            fill(target, value, types, f"{within}{name}.")


def fill_types(message: Any, types: Mapping[str, ValueType], within: str = "") -> None:
    """Writes the types of an instance's fields into the message Type of its template."""
    for field in message.DESCRIPTOR.fields:
        name = within + _camel(field.name)
        if field.message_type is None:
            if name in types:
                setattr(message, field.name, _NUMBERS[types[name]])
        elif field.message_type.GetOptions().map_entry:
            for path, type_ in types.items():
                if path.startswith(f"{name}."):
                    getattr(message, field.name)[path[len(name) + 1 :]] = _NUMBERS[type_]
        else:
            fill_types(getattr(message, field.name), types, f"{name}.")


_NUMBERS = {type_: number for number, type_ in enumerate(ValueType, start=1)}
_MEMBERS = {
    ValueType.STRING: "string_value",
    ValueType.INT64: "int64_value",
    ValueType.DOUBLE: "double_value",
    ValueType.BOOL: "bool_value",
    ValueType.IP_ADDRESS: "ip_address_value",
    ValueType.TIMESTAMP: "timestamp_value",
    ValueType.DURATION: "duration_value",
    ValueType.EMAIL_ADDRESS: "email_address_value",
    ValueType.DNS_NAME: "dns_name_value",
    ValueType.URI: "uri_value",
}


def _set_value(message: Any, value: Any, type_: ValueType | None) -> None:
    """A policy.v1beta1.Value, which has no string map in Istio 1.1: those go as text."""
    member = _MEMBERS.get(type_ or _type_of(value))
    if member is None:
        message.string_value = dimension_text(value)
    elif member.split("_", 1)[0] in ("string", "int64", "double", "bool"):
        setattr(message, member, value)
    else:
        _set_wrapped(getattr(message, member), value)


def _set_wrapped(message: Any, value: Any) -> None:
    match value:
        case datetime.datetime():
            message.value.FromDatetime(value.astimezone(datetime.UTC).replace(tzinfo=None))
        case datetime.timedelta():
            message.value.FromTimedelta(value)
        case _:
            message.value = value
    message.SetInParent()


def _type_of(value: Any) -> ValueType:
    match value:
        case bool():
            return ValueType.BOOL
        case int():
            return ValueType.INT64
        case float():
            return ValueType.DOUBLE
        case bytes():
            return ValueType.IP_ADDRESS
        case datetime.datetime():
            return ValueType.TIMESTAMP
        case datetime.timedelta():
            return ValueType.DURATION
        case str():
            return ValueType.STRING
        case _:
            return ValueType.STRING_MAP


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
