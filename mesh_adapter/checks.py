"""Checks of documents that need more than galley may know: for the control plane and for `validate` alike."""

from __future__ import annotations

from galley.kind import Checks
from mesh_adapter.log_conditions import check_conditions
from pilot.envoy.patches.values import check_values

CHECKS: Checks = {"EnvoyFilter": check_values, "Telemetry": check_conditions}
