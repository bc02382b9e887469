"""Configuration at the edge of what is sensible: carried out, or kept from doing harm to the rest."""

from __future__ import annotations

import pytest

from tests.e2e.world import Mesh, Sidecar, eventually

pytestmark = pytest.mark.e2e

ROUTES = 10_000
EMPTY_SUBSET = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hollow}
spec:
  host: hollow
  subsets: [{name: v1, labels: {version: v1}}, {name: v9, labels: {version: v9}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hollow}
spec:
  hosts: [hollow]
  http:
  - match: [{uri: {prefix: /v9}}]
    route: [{destination: {host: hollow, subset: v9}}]
  - route: [{destination: {host: hollow, subset: v1}}]
"""


def test_ten_thousand_routes_in_one_virtual_service_are_carried_out(shared: Mesh, client: Sidecar) -> None:
    """The last of them too, and what comes after them."""
    crowded = shared.instance("crowded")
    client.wait_served_by("crowded", crowded)
    match = "match: [{{uri: {{exact: /r/{0}}}}}], directResponse: {{status: 418, body: {{string: '{0}'}}}}"
    routes = "".join(f"  - {{{match.format(number)}}}\n" for number in range(ROUTES))
    path = shared.write(
        "crowded.yaml",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: crowded}\n"
        f"spec:\n  hosts: [crowded]\n  http:\n{routes}  - route: [{{destination: {{host: crowded}}}}]\n",
    )
    last = f"/r/{ROUTES - 1}"
    eventually(lambda: client.get("crowded", last).text == str(ROUTES - 1), "the last route taken")
    assert client.get("crowded", "/r/0").text == "0"
    assert client.get("crowded", "/other").instance == "crowded"
    path.unlink()
    eventually(lambda: client.get("crowded", last).instance == "crowded", "the routes gone")


def test_a_subset_that_nobody_belongs_to_answers_503_and_harms_nobody(shared: Mesh, client: Sidecar) -> None:
    hollow = shared.instance("hollow", meta={"version": "v1"})
    shared.apply("hollow.yaml", EMPTY_SUBSET)
    eventually(lambda: client.get("hollow", "/v9").text == "no healthy upstream", "the empty subset empty")
    assert client.get("hollow", "/v9").status == 503
    assert client.shares("hollow", 40) == {hollow.name: 40}
    newcomer = shared.instance("hollow", "hollow-9", meta={"version": "v9"})
    eventually(lambda: client.get("hollow", "/v9").instance == newcomer.name, "the subset filled")
