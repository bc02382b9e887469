"""Order of units does not matter to the configuration in force; and nothing that is written raises."""

from __future__ import annotations

import datetime
import random

from hypothesis import given
from hypothesis import strategies as st

from galley.config import Config
from galley.document import Document, Loaded, Position, Unreadable
from galley.ingest.yaml_documents import read_documents
from galley.process import State, fold
from galley.validate import validate
from tests.unit.galley.documents import ROUTED, destination_rule, loaded, virtual_service

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

NAMES = st.sampled_from(["a", "b", "c"])
DOCUMENTS = st.one_of(
    st.builds(virtual_service, st.sampled_from([ROUTED, ROUTED + "exportTo: ['*']\n", "hosts: []\n"]), NAMES),
    st.builds(destination_rule, st.sampled_from(["host: x\n", "host: y\n", "hots: z\n"]), NAMES),
    st.just("kind: Unknown\nmetadata: {name: a}\n"),
)
UNITS = st.dictionaries(st.sampled_from(["1.yaml", "2.yaml", "3.yaml", "4.yaml"]), st.lists(DOCUMENTS, max_size=4))


def told(units: list[Loaded]) -> State:
    state = State()
    for unit in units:
        state = fold(state, unit, NOW)
    return state


def content(config: Config) -> list[tuple[str, str, object]]:
    return [(str(each), each.origin, each.spec) for each in config.objects()]


@given(UNITS, st.randoms(use_true_random=False))
def test_the_order_of_units_does_not_matter(units: dict[str, list[str]], shuffler: random.Random) -> None:
    events = [loaded("---\n".join(texts), unit) for unit, texts in units.items()]
    shuffled = list(events)
    shuffler.shuffle(shuffled)
    first, second = told(events), told(shuffled)
    assert content(first.config()) == content(second.config())
    assert first.problems() == second.problems()


@given(UNITS)
def test_telling_the_same_again_changes_nothing(units: dict[str, list[str]]) -> None:
    events = [loaded("---\n".join(texts), unit) for unit, texts in units.items()]
    once = told(events)
    twice = told([*events, *events])
    assert content(once.config()) == content(twice.config())
    assert once.problems() == twice.problems()


FIELDS = ["spec", "metadata", "name", "hosts", "http", "route", "match", "uri", "regex", "weight", "timeout", "subsets"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["3s", "a", "*", "("])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.integers(), inner, max_size=4)
    ),
)


@given(st.sampled_from(["VirtualService", "DestinationRule"]), VALUES, VALUES)
def test_validation_never_raises(kind: str, metadata: object, spec: object) -> None:
    body = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    verdict = validate(Document("u", body, {(): Position(1, 1)}))
    assert (verdict.object is None) == any(not problem.warning for problem in verdict.problems)
    assert all(str(problem).startswith("u:1:1  ") for problem in verdict.problems)


@given(st.binary() | st.text(alphabet="ab:-[]{},*&!?<'\"\n #|>%@~0").map(str.encode))
def test_reading_never_raises(data: bytes) -> None:
    assert isinstance(read_documents("u", data), Loaded | Unreadable)
