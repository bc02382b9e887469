"""End users' tokens as attributes: what Envoy's jwt_authn filter left in dynamic metadata.

RequestAuthentication puts a verified token's payload under `envoy.filters.http.jwt_authn`, one entry a provider; the
attributes are Istio's `request.auth.*`. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from mixer.attributes import Value

FILTER = "envoy.filters.http.jwt_authn"


def add_claims(bag: dict[str, Value], filter_metadata: Mapping[str, Any]) -> None:
    """Adds `request.auth.*` of the first verified token; nothing without one."""
    if FILTER not in filter_metadata:
        return
    payloads = json_format.MessageToDict(filter_metadata[FILTER])
    claims = next((each for each in payloads.values() if isinstance(each, dict) and "iss" in each), None)
    if claims is None:
        return
    bag["request.auth.raw_claims"] = json.dumps(claims, separators=(",", ":"), sort_keys=True)
    bag["request.auth.claims"] = {name: _text(value) for name, value in claims.items()}
    if "sub" in claims:
        bag["request.auth.principal"] = f"{claims['iss']}/{claims['sub']}"
    if "aud" in claims:
        bag["request.auth.audiences"] = _text(claims["aud"])
    if "azp" in claims:
        bag["request.auth.presenter"] = _text(claims["azp"])


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_text(each) for each in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)
