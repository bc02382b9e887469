"""Istio's CSR API on the wire (security/v1alpha1/ca.proto): served by `csr_service`, called by the sidecar's agent."""

from __future__ import annotations

from citadel.protobuf import message_classes

SERVICE = "istio.v1.auth.IstioCertificateService"
_CLASSES = message_classes(
    "istio.v1.auth",
    {
        "IstioCertificateRequest": ("string csr = 1", "int64 validity_duration = 3"),
        "IstioCertificateResponse": ("repeated string cert_chain = 1",),
    },
)
Request, Response = _CLASSES["IstioCertificateRequest"], _CLASSES["IstioCertificateResponse"]
