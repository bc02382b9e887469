"""Servers' configuration files: the defaults of a class here, with a test's own settings laid over them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

Settings = Mapping[str, object]


def overlaid(defaults: Settings, settings: Settings) -> dict[str, object]:
    """The defaults with the settings over them; mappings are merged, all else replaces what was there."""
    result = dict(defaults)
    for name, value in settings.items():
        below = result.get(name)
        result[name] = overlaid(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def write_json(path: Path, settings: Settings) -> Path:
    """Write a configuration file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    return path
