from __future__ import annotations

import pytest

from pilot.sidecar.drain import active

ADMIN = """\
http.admin.downstream_cx_active: 1
http.admin.downstream_rq_active: 1
listener.admin.downstream_cx_active: 1
listener.admin.main_thread.downstream_cx_active: 1
listener.health.downstream_cx_active: 2
http.health.downstream_rq_active: 1
"""


@pytest.mark.parametrize(
    ("stats", "count"),
    [
        ("", 0),
        (ADMIN, 0),
        (
            "http.inbound_8080.downstream_cx_active: 2\nhttp.inbound_8080.downstream_rq_active: 1\n"
            "listener.0.0.0.0_15006.downstream_cx_active: 2\n",
            1,
        ),
        (
            "http.outbound|80||web.service.consul.downstream_cx_active: 1\n"
            "http.outbound|80||web.service.consul.downstream_rq_active: 0\n"
            "listener.127.0.0.1_8500.downstream_cx_active: 1\n",
            0,
        ),
        ("listener.127.0.0.1_5432.downstream_cx_active: 3\n", 3),
        ("listener.127.0.0.1_5432.worker_0.downstream_cx_active: 3\n", 0),
        ("http.inbound_8080.downstream_cx_active: 1\n", 0),
    ],
    ids=["nothing", "our own", "request", "idle http", "tcp", "counted per thread", "seen closing"],
)
def test_requests_and_tcp_connections_are_counted(stats: str, count: int) -> None:
    assert active(ADMIN + stats) == count
