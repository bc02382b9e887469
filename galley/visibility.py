"""Who sees an object of the configuration: `exportTo`, by Istio's rule. Pure; read by analysis and by planning."""

from __future__ import annotations

from typing import Any

from galley.config import ConfigObject


def exported(rule: ConfigObject[Any], namespace: str) -> bool:
    """Whether `namespace` may see the rule; everybody may where it says nothing, and nobody by `~`."""
    export_to = rule.spec.export_to
    return (
        not export_to
        or "*" in export_to
        or namespace in export_to
        or ("." in export_to and rule.namespace == namespace)
    )
