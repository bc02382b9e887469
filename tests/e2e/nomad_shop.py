"""The programs of the jobs in `test_nomad_inject`; standard library only, so that a task starts in a moment.

`python nomad_shop.py PORT NAME` answers HTTP with its name; with a third argument, a port of 127.0.0.1, it asks there
for each answer and passes on what comes. Both end on SIGINT, Nomad's own signal, without finishing anything: that no
request is under way by then is up to the mesh.
"""

from __future__ import annotations

import http.client
import http.server
import json
import sys
import threading


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name = ""
    upstream = 0
    kept = threading.local()

    def do_GET(self) -> None:
        try:
            status, text = self._asked() if self.upstream else (200, json.dumps({"instance": self.name}))
        except (OSError, http.client.HTTPException) as error:
            self.kept.connection = None
            status, text = 502, json.dumps({"instance": self.name, "error": repr(error)})
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _asked(self) -> tuple[int, str]:
        connection = getattr(self.kept, "connection", None)
        if connection is None:
            connection = self.kept.connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=10)
        connection.request("GET", self.path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def log_message(self, *_: object) -> None:
        """Nothing: a line a request would be all that the log holds."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


if __name__ == "__main__":
    Answer.name = sys.argv[2]
    Answer.upstream = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    Server(("0.0.0.0", int(sys.argv[1])), Answer).serve_forever()
