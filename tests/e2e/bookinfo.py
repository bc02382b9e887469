"""The services of Istio's Bookinfo sample, small: who answered, and what those that it asked answered, as JSON.

`python bookinfo.py NAME VERSION PORT OUTBOUND`, standard library only, run as a child process. What a service asks for
goes to the outbound port of its own sidecar, by the short names and the port of the sample, and hands on who the user
is. Timeouts and tries are the sample's: three seconds and two tries for reviews, ten seconds for ratings.
"""

from __future__ import annotations

import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USER = "end-user"
PORT = 9080


class Bookinfo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the peer's delayed acknowledgement holds the body back
    name, version, outbound = "", "", 0

    def do_GET(self) -> None:
        told: dict[str, Any] = {"instance": f"{self.name}-{self.version}"}
        if self.name == "productpage":
            told["details"] = self._ask("details", timeout=3)
            told["reviews"] = self._ask("reviews", timeout=3, tries=2)
        elif self.name == "reviews" and self.version != "v1":
            told["ratings"] = self._ask("ratings", timeout=10)
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _ask(self, service: str, *, timeout: float, tries: int = 1) -> Any:
        """What the service told, or the status or error that came instead."""
        headers = {"Host": f"{service}:{PORT}", USER: self.headers.get(USER, "")}
        for left in reversed(range(tries)):
            connection = http.client.HTTPConnection("127.0.0.1", self.outbound, timeout=timeout)
            try:
                connection.request("GET", f"/{service}/0", headers=headers)
                answer = connection.getresponse()
                body = answer.read()
            except OSError as error:
                if not left:
                    return type(error).__name__
            else:
                return json.loads(body) if answer.status == 200 else answer.status
            finally:
                connection.close()
        return None

    def log_message(self, *_: object) -> None:
        """Nothing: the test counts what arrives."""


def main(name: str, version: str, port: int, outbound: int) -> None:
    """Serves until the process is ended."""
    Bookinfo.name, Bookinfo.version, Bookinfo.outbound = name, version, outbound
    ThreadingHTTPServer(("127.0.0.1", port), Bookinfo).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
