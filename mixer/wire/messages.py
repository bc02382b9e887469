"""The messages of istio.mixer.v1 (mixer/v1/mixer.proto and attributes.proto of Istio 1.1 to 1.4).

Numbers and types are the protocol's constants. Messages that the .proto nests stand here beside their parents: names
of messages never show on the wire.
"""

from __future__ import annotations

from typing import Any

from mixer.wire import proto

PACKAGE = "istio.mixer.v1"
SERVICE = f"{PACKAGE}.Mixer"

_ENUMS = {
    "Condition": "CONDITION_UNSPECIFIED ABSENCE EXACT REGEX",
    "Operation": "REPLACE REMOVE APPEND",
    "RepeatedAttributesSemantics": "DELTA_ENCODING INDEPENDENT_ENCODING",
}

_MESSAGES = {
    "StringMap": "entries=1:map<sint32,sint32>",
    "CompressedAttributes": """
        words=1:string[] strings=2:map<sint32,sint32> int64s=3:map<sint32,int64> doubles=4:map<sint32,double>
        bools=5:map<sint32,bool> timestamps=6:map<sint32,google.protobuf.Timestamp>
        durations=7:map<sint32,google.protobuf.Duration> bytes=8:map<sint32,bytes> string_maps=9:map<sint32,StringMap>
    """,
    "QuotaParams": "amount=1:int64 best_effort=2:bool",
    "CheckRequest": """
        attributes=1:CompressedAttributes global_word_count=2:uint32 deduplication_id=3:string
        quotas=4:map<string,QuotaParams>
    """,
    "AttributeMatch": "name=1:sint32 condition=2:Condition regex=3:string map_key=4:sint32",
    "ReferencedAttributes": "words=1:string[] attribute_matches=2:AttributeMatch[]",
    "HeaderOperation": "name=1:string value=2:string operation=3:Operation",
    "RouteDirective": """
        request_header_operations=1:HeaderOperation[] response_header_operations=2:HeaderOperation[]
        direct_response_code=3:uint32 direct_response_body=4:string
    """,
    "PreconditionResult": """
        status=1:google.rpc.Status valid_duration=2:google.protobuf.Duration valid_use_count=3:int32
        referenced_attributes=5:ReferencedAttributes route_directive=6:RouteDirective
    """,
    "QuotaResult": """
        valid_duration=1:google.protobuf.Duration granted_amount=2:int64 referenced_attributes=5:ReferencedAttributes
    """,
    "CheckResponse": "precondition=2:PreconditionResult quotas=3:map<string,QuotaResult>",
    "ReportRequest": """
        attributes=1:CompressedAttributes[] repeated_attributes_semantics=4:RepeatedAttributesSemantics
        default_words=2:string[] global_word_count=3:uint32
    """,
    "ReportResponse": "",
}

_CLASSES = proto.classes(
    PACKAGE,
    _MESSAGES,
    _ENUMS,
    {"google.rpc.Status": "code=1:int32 message=2:string details=3:google.protobuf.Any[]"},
)

CompressedAttributes: Any = _CLASSES["CompressedAttributes"]
CheckRequest: Any = _CLASSES["CheckRequest"]
CheckResponse: Any = _CLASSES["CheckResponse"]
ReferencedAttributes: Any = _CLASSES["ReferencedAttributes"]
ReportRequest: Any = _CLASSES["ReportRequest"]
ReportResponse: Any = _CLASSES["ReportResponse"]
