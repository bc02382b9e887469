"""Jobs for a Nomad under test: groups that serve HTTP by raw_exec, in the API's JSON form."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

SECOND = 1_000_000_000
ILL = "${NOMAD_ALLOC_DIR}/ill"
"""The file of an allocation of its own whose presence makes its check fail."""

_SERVE = """
import http.server, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ill = self.path == "/health" and os.path.exists(sys.argv[2])
        self.send_response(500 if ill else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def http_job(
    name: str,
    *,
    count: int = 1,
    checked: bool = False,
    ill: str = ILL,
    command: Sequence[str] = (),
    service: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A job with one group and one native service, all called `name`.

    `checked`: Nomad checks it, and finds it failing while the file `ill` is there. `command` is what it runs instead of
    a server of its own. `service`, `group` and `more` are further fields of these, and of the job.
    """
    registered: dict[str, Any] = {"Name": name, "PortLabel": "http", "Provider": "nomad"}
    if checked:
        check = {"Name": "c", "Type": "http", "Path": "/health", "Interval": SECOND, "Timeout": SECOND}
        registered["Checks"] = [check]
    runs = tuple(command) or (sys.executable, "-c", _SERVE, "${NOMAD_PORT_http}", ill)
    task = {
        "Name": "serve",
        "Driver": "raw_exec",
        "Config": {"command": runs[0], "args": list(runs[1:])},
        "Resources": {"CPU": 20, "MemoryMB": 30},
        "KillTimeout": SECOND,
    }
    made = {
        "Name": "g",
        "Count": count,
        "Networks": [{"DynamicPorts": [{"Label": "http"}]}],
        "Services": [registered | (service or {})],
        "RestartPolicy": {"Attempts": 10, "Delay": SECOND // 10, "Interval": 600 * SECOND, "Mode": "delay"},
        "Tasks": [task],
    }
    return {"ID": name, "Datacenters": ["dc1"], "TaskGroups": [made | (group or {})], **more}
