"""Rules that change while checks flow: each check is judged by one configuration, whole, and none is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import grpc
import pytest
import yaml

from mixer.wire import messages
from mixer.wire.compressed import compressed
from tests.servers.mixer import Mixer

pytestmark = pytest.mark.integration

RULES, MATCHING, CHANGES = 300, 10, 5


def documents(generation: int) -> str:
    """The rules of one generation; every one that matches says which it is."""
    rules = [
        {
            "apiVersion": "config.istio.io/v1alpha2",
            "kind": "rule",
            "metadata": {"name": f"rule-{number:03}", "namespace": "istio-system"},
            "spec": {
                "match": f'request.path == "/{number % (RULES // MATCHING)}"',
                "requestHeaderOperations": [{"name": f"x-{number}", "values": [f'"{generation}"']}],
            },
        }
        for number in range(RULES)
    ]
    return yaml.dump_all(rules, Dumper=yaml.CSafeDumper)


class Asker(threading.Thread):
    """Asks one thing after the other until it is told to stop."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.enough = threading.Event()
        self.seen: list[frozenset[str]] = []
        self.counts: set[int] = set()
        self.lost: list[str] = []

    def run(self) -> None:
        body = messages.CheckRequest(attributes=compressed({"request.path": "/7"})).SerializeToString()
        with grpc.insecure_channel(self.address) as channel:
            check = channel.unary_unary(f"/{messages.SERVICE}/Check")
            while not self.enough.is_set():
                try:
                    answer = messages.CheckResponse.FromString(check(body, timeout=10))
                except grpc.RpcError as error:
                    self.lost.append(str(error))
                    continue
                operations = answer.precondition.route_directive.request_header_operations
                self.seen.append(frozenset(each.value for each in operations))
                self.counts.add(len(operations))


def test_no_check_is_judged_by_half_a_configuration_or_lost(tmp_path: Path) -> None:
    mixer = Mixer(tmp_path)
    mixer.write("rules.yaml", documents(0))
    mixer.start()
    askers = [Asker(mixer.address) for _ in range(2)]
    try:
        for each in askers:
            each.start()
        for generation in range(1, CHANGES + 1):
            aside = tmp_path / "next"
            aside.write_text(documents(generation), encoding="utf-8")
            aside.rename(mixer.config / "rules.yaml")
            deadline = time.monotonic() + 60
            while frozenset({str(generation)}) not in askers[0].seen[-50:]:
                assert time.monotonic() < deadline, f"generation {generation} did not come into force"
                time.sleep(0.02)
    finally:
        for each in askers:
            each.enough.set()
        for each in askers:
            each.join(30)
        mixer.process.stop()
    for each in askers:
        assert each.lost == []
        assert each.counts == {MATCHING}
        assert {len(values) for values in each.seen} == {1}, "a check saw rules of two generations"
