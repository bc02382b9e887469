"""Guards against other distributions that own a package of our name (`mixer` and `adapters` exist on PyPI)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

OURS = ("adapters", "galley", "pilot", "mixer", "citadel")


def foreign_packages() -> str:
    """A message that names packages imported from elsewhere than beside this one; empty when there are none."""
    home = Path(__file__).resolve().parent.parent
    found = []
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or Path(spec.origin).resolve().parent.parent != home:
            found.append(f"{name} ({spec.origin if spec else 'not found'})")
    if not found:
        return ""
    return (
        f"mesh-adapter: these packages are not ours: {', '.join(found)}. Another distribution of that name is "
        "installed in this environment: install mesh-adapter in an environment of its own (make install, pipx)"
    )
