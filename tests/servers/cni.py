"""Gives back the container networks of tasks whose Nomad was ended before it could do so itself.

What it leaves is more than litter: a rule of iptables that still sends a host port to a task that is gone would catch
the traffic of the next task that gets this port. The CNI library notes each network that it makes in a folder, with
all that its plug-ins need to undo it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLUGINS = Path("/usr/lib/cni")
NOTES = Path("/var/lib/cni/results")
NETWORK_NAMESPACES = Path("/var/run/netns")


def release(allocation: str) -> None:
    """Undo the networks of an allocation and delete its network namespace; nothing happens when there are none."""
    namespace = NETWORK_NAMESPACES / allocation
    for note in NOTES.glob(f"*-{allocation}-*"):
        _undo(json.loads(note.read_text(encoding="utf-8")), namespace)
        note.unlink(missing_ok=True)
    if namespace.exists():
        subprocess.run(["ip", "netns", "delete", allocation], check=False, capture_output=True)


def _undo(note: Mapping[str, Any], namespace: Path) -> None:
    """Ask each plug-in, the last one first, to delete what it made (the CNI specification's DEL)."""
    network = json.loads(base64.b64decode(note["config"]))
    environment = {
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": note["containerId"],
        "CNI_IFNAME": note["ifName"],
        "CNI_NETNS": str(namespace) if namespace.exists() else "",
        "CNI_PATH": str(PLUGINS),
    }
    for plugin in reversed(network["plugins"]):
        asked = {**plugin, "name": network["name"], "cniVersion": network["cniVersion"], "prevResult": note["result"]}
        wanted = [name for name, can in plugin.get("capabilities", {}).items() if can]
        asked["runtimeConfig"] = {k: v for k, v in (note.get("capabilityArgs") or {}).items() if k in wanted}
        subprocess.run(
            [PLUGINS / plugin["type"]],
            input=json.dumps(asked).encode(),
            env={**os.environ, **environment},
            check=False,
            capture_output=True,
        )
