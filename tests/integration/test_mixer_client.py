"""The client library and the commands against a Mixer of its own process; the example of docs/mixer.md as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mixer.client import MixerClient
from mixer.status import Code
from tests.servers.mixer import COMMAND, Mixer
from tests.servers.ports import free_port

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "mixer.md"
RULES = """\
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: stop, namespace: istio-system}
spec: {compiledAdapter: denier, params: {status: {code: 7, message: not you}, validUseCount: 3}}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: nothing, namespace: istio-system}
spec: {compiledTemplate: checknothing}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: stop-mallory, namespace: istio-system}
spec:
  match: source.user == "mallory"
  actions: [{handler: stop, instances: [nothing]}]
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: many, namespace: istio-system}
spec:
  compiledAdapter: memquota
  params: {quotas: [{name: calls.instance.istio-system, maxAmount: 25, validDuration: 600s}]}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: calls, namespace: istio-system}
spec: {compiledTemplate: quota, params: {dimensions: {user: source.user | "nobody"}}}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: calls, namespace: istio-system}
spec: {actions: [{handler: many, instances: [calls]}]}
"""


def example(language: str) -> str:
    """The page's block of that language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def mixer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixer]:
    found = Mixer(tmp_path_factory.mktemp("mixer"))
    found.write("rules.yaml", example("yaml") + RULES)
    found.start()
    assert found.debug("problems")["configuration"] == []
    yield found
    found.process.stop()


def job(mixer: Mixer, hours: int, name: str, team: str = "vision") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", example("python"), str(hours), name],
        env={**os.environ, "TEAM": team, "MIXER": mixer.address},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def mixer_command(mixer: Mixer, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "mixer", *arguments, "--mixer-addr", mixer.address]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_job_starts_while_its_team_has_hours_and_takes_them_once(mixer: Mixer) -> None:
    assert job(mixer, 60, "train-1").stdout == "train-1 runs for 60 hours\n"
    assert job(mixer, 60, "train-1").returncode == 0, "started again under its name"
    refused = job(mixer, 60, "train-2")
    assert (refused.returncode, refused.stderr) == (1, "train-2 may not start: quota gpu-hours is exhausted\n")
    assert job(mixer, 60, "train-2", team="speech").returncode == 0


def test_a_verdict_is_used_again_as_often_as_mixer_says(mixer: Mixer) -> None:
    with MixerClient(mixer.address) as client:
        found = [client.check({"source.user": "mallory"}) for _ in range(4)]
        assert [each.cached for each in found] == [False, True, True, False]
        assert {each.status.code for each in found} == {Code.PERMISSION_DENIED}
        assert client.check({"source.user": "alice"}).allowed


def test_quota_taken_ahead_is_never_more_than_there_is(mixer: Mixer) -> None:
    with MixerClient(mixer.address, prefetch=True) as one, MixerClient(mixer.address, prefetch=True) as other:
        taken = sum(each.quota("calls", 1, {"source.user": "eve"}).allowed for _ in range(40) for each in (one, other))
    assert 15 <= taken <= 25


def test_what_mixer_does_not_answer_is_as_the_caller_says() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with MixerClient(nowhere, timeout=0.3) as closed, MixerClient(nowhere, timeout=0.3, fail_open=True) as opened:
        assert closed.check({}).status.code is Code.UNAVAILABLE
        assert opened.check({}).allowed
        assert opened.quota("calls", 5, {}).granted == {"calls": 5}
        closed.report({"source.user": "x"})
        closed.flush()
        assert closed.dropped_reports == 1


def test_the_commands_ask_take_and_tell(mixer: Mixer) -> None:
    refused = mixer_command(mixer, "check", "-a", "source.user=mallory")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["status"] == "PERMISSION_DENIED"
    assert mixer_command(mixer, "check", "-a", "source.user=alice").returncode == 0
    taken = mixer_command(mixer, "quota", "calls", "20", "-a", "source.user=zoe")
    assert (taken.returncode, json.loads(taken.stdout)["granted"]) == (0, {"calls": 20})
    rest = mixer_command(mixer, "quota", "calls", "20", "--best-effort", "-a", "source.user=zoe")
    assert (rest.returncode, json.loads(rest.stdout)["granted"]) == (0, {"calls": 5})
    assert mixer_command(mixer, "quota", "calls", "1", "-a", "source.user=zoe").returncode == 1
    assert mixer_command(mixer, "report", "-a", "response.code=200").stdout == "told\n"
    wrong = mixer_command(mixer, "check", "-a", "response.code=many")
    assert wrong.returncode == 1
    assert "response.code" in wrong.stderr
