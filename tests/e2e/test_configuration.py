"""Documents that change while the mesh runs: a bad one is refused with its place, and what was good stays in force."""

from __future__ import annotations

import pytest

from tests.e2e.world import Mesh, Sidecar, eventually

pytestmark = pytest.mark.e2e

TO_V1 = """\
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: edited}
spec:
  hosts: [edited.service.consul]
  http:
  - route:
    - destination: {host: edited.service.consul, subset: v1}
"""
WRONG = TO_V1 + "      weight: 60\n    - {destination: {host: edited.service.consul, subset: v2}, weight: -10}\n"
UNREADABLE = TO_V1 + "  http: [\n"
SUBSETS = """\
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: edited}
spec:
  host: edited.service.consul
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""


def problems(shared: Mesh, place: str) -> list[str]:
    """Messages of the problems at this place."""
    return [each["message"] for each in shared.control.debug("problems")["configuration"] if place in each["where"]]


def wait_refused(shared: Mesh, place: str) -> None:
    """Until the log and /debug/problems tell of a problem at this place."""
    eventually(lambda: problems(shared, place) != [], f"a problem told at {place}")
    assert place in shared.control.log


def test_a_bad_document_is_refused_with_its_place_and_the_last_good_one_stays_in_force(
    shared: Mesh, client: Sidecar
) -> None:
    shared.apply("edited-subsets.yaml", SUBSETS)
    path = shared.apply("edited.yaml", TO_V1)
    v1 = shared.instance("edited", "edited-1", tags=("v1",))
    v2 = shared.instance("edited", "edited-2", tags=("v2",))
    client.wait_served_by("edited", v1)
    with client.load("edited") as load:
        for text, place in ((WRONG, f"{path}:10:"), (UNREADABLE, f"{path}:9")):
            path.write_text(text, encoding="utf-8")
            wait_refused(shared, place)
            client.wait_served_by("edited", v1)

        path.write_text(TO_V1.replace("subset: v1", "subset: v2"), encoding="utf-8")
        client.wait_served_by("edited", v2)
        assert problems(shared, str(path)) == []
    assert load.failures == []
    assert load.answered.keys() == {"edited-1", "edited-2"}
