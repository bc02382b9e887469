"""SPIFFE's Workload API on the wire (spiffe.io's SPIFFE_Workload_API.md): the service's name and its messages.

Spoken twice: by the sidecar's agent to workloads, and by the control plane to agents, who bring a certificate there.
"""

from __future__ import annotations

from citadel.protobuf import message_classes

SERVICE = "SpiffeWorkloadAPI"
HEADER = ("workload.spiffe.io", "true")
"""Metadata that each call has to carry, so that no browser or proxy is talked into one."""

_CLASSES = message_classes(
    "mesh_adapter.workload",
    {
        "X509SVIDRequest": (),
        "X509SVID": (
            "string spiffe_id = 1",
            "bytes x509_svid = 2",
            "bytes x509_svid_key = 3",
            "bytes bundle = 4",
            "string hint = 5",
        ),
        "X509SVIDResponse": (
            "repeated X509SVID svids = 1",
            "repeated bytes crl = 2",
            "map<string, bytes> federated_bundles = 3",
        ),
        "X509BundlesRequest": (),
        "X509BundlesResponse": ("repeated bytes crl = 1", "map<string, bytes> bundles = 2"),
        "JWTSVIDRequest": ("repeated string audience = 1", "string spiffe_id = 2"),
        "JWTSVID": ("string spiffe_id = 1", "string svid = 2", "string hint = 3"),
        "JWTSVIDResponse": ("repeated JWTSVID svids = 1",),
        "JWTBundlesRequest": (),
        "JWTBundlesResponse": ("map<string, bytes> bundles = 1",),
        "ValidateJWTSVIDRequest": ("string audience = 1", "string svid = 2"),
        # claims is a google.protobuf.Struct, whose bytes are the same on the wire
        "ValidateJWTSVIDResponse": ("string spiffe_id = 1", "bytes claims = 2"),
    },
)
X509SVIDResponse = _CLASSES["X509SVIDResponse"]
X509BundlesResponse = _CLASSES["X509BundlesResponse"]
JWTSVIDRequest = _CLASSES["JWTSVIDRequest"]
JWTSVIDResponse = _CLASSES["JWTSVIDResponse"]
JWTBundlesResponse = _CLASSES["JWTBundlesResponse"]
ValidateJWTSVIDRequest = _CLASSES["ValidateJWTSVIDRequest"]
ValidateJWTSVIDResponse = _CLASSES["ValidateJWTSVIDResponse"]
