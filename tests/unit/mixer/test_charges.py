"""What requests cost, by QuotaSpecs bound to services."""

from __future__ import annotations

from typing import Any

import pytest

from galley.config import Config, ConfigObject
from mixer.attributes import Value
from mixer.charges import Charges
from mixer.rules import compile_rules
from tests.unit.mixer.configuration import accepted, rules_of

BAG: dict[str, Value] = {
    "destination.service.host": "pay.shop.example",
    "destination.service.name": "pay",
    "destination.service.namespace": "shop",
    "request.method": "POST",
    "request.path": "/pay/1",
}


def spec(*rules: dict[str, Any], name: str = "price") -> ConfigObject[Any]:
    return accepted("QuotaSpec", name, {"rules": list(rules)}, namespace="shop")


def binding(*services: dict[str, Any], specs: tuple[str, ...] = ("price",)) -> ConfigObject[Any]:
    told = {"services": list(services), "quotaSpecs": [{"name": each} for each in specs]}
    return accepted("QuotaSpecBinding", "bound", told, namespace="shop")


def charges(*objects: ConfigObject[Any]) -> Charges:
    rules = rules_of(*objects)
    assert not rules.problems, [str(each) for each in rules.problems]
    return rules.charges


def cost(name: str = "calls", charge: int = 1, **match: Any) -> dict[str, Any]:
    clauses = {key.replace("__", "."): value for key, value in match.items()}
    return {"quotas": [{"quota": name, "charge": charge}], **({"match": [{"clause": clauses}]} if clauses else {})}


@pytest.mark.parametrize(
    ("service", "meant"),
    [
        ({"service": "*"}, True),
        ({"service": "pay.shop.example"}, True),
        ({"service": "other.example"}, False),
        ({"name": "pay"}, True),
        ({"name": "pay", "namespace": "other"}, False),
        ({"name": "pay", "namespace": "shop", "domain": "example"}, True),
        ({"name": "pay", "namespace": "shop", "domain": "other"}, False),
    ],
)
def test_a_binding_means_a_service_by_host_or_by_name(service: dict[str, Any], meant: bool) -> None:
    assert charges(spec(cost()), binding(service)).of(BAG) == ({"calls": 1} if meant else {})


@pytest.mark.parametrize(
    ("match", "holds"),
    [({"exact": "POST"}, True), ({"prefix": "PO"}, True), ({"regex": "P.*"}, True), ({"regex": "P"}, False)],
)
def test_a_clause_matches_the_text_of_an_attribute(match: dict[str, str], holds: bool) -> None:
    found = charges(spec(cost(request__method=match)), binding({"service": "*"}))
    assert found.of(BAG) == ({"calls": 1} if holds else {})
    assert found.of({"destination.service.host": "x"}) == {}


def test_what_several_rules_charge_is_added_up() -> None:
    found = charges(spec(cost(charge=2), cost(charge=3), cost("bytes")), binding({"service": "*"}))
    assert found.of(BAG) == {"calls": 5, "bytes": 1}


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ((spec(cost(request__methd={"exact": "x"})),), "request.methd"),
        ((spec(cost(response__code={"exact": "200"})),), "INT64"),
        ((spec(cost()), binding({"service": "*"}, specs=("prize",))), "shop/prize, not found"),
    ],
)
def test_mistakes_are_told_and_charge_nothing(objects: tuple[ConfigObject[Any], ...], message: str) -> None:
    found = compile_rules(Config.of(objects))
    assert any(message in str(each) for each in found.problems), found.problems
    assert found.charges.of(BAG) == {}
