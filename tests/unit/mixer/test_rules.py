"""What becomes of configuration: rules, and what is said of those that cannot be carried out."""

from __future__ import annotations

import pytest

from mixer.attributes import ValueType
from mixer.handler import ALIASES, HANDLERS
from mixer.ruleset import Phase
from tests.unit.mixer.configuration import accepted, handler, instance, rule, rules_of, sound

DENY = handler("deny", "denier", {"status": {"code": 7}})
NOTHING = instance("nothing", "checknothing")


@pytest.mark.parametrize("name", ["deny", "deny.handler", "deny.handler.istio-system", "deny.istio-system"])
def test_a_handler_is_found_by_each_of_its_names(name: str) -> None:
    assert sound(DENY, NOTHING, rule("r", "", name, ("nothing",))).handlers.keys() == {"deny.istio-system"}


def test_the_kinds_before_handler_and_instance_are_read() -> None:
    rules = sound(
        accepted("denier", "deny", {"status": {"code": 7}}, namespace="prod"),
        accepted("checknothing", "nothing", {}, namespace="prod"),
        rule("r", "", "deny.denier", ("nothing.checknothing.prod",), namespace="prod"),
    )
    (only,) = rules.rules
    (call,) = only.calls[Phase.CHECK]
    assert (call.handler, call.instance.type.template.name) == ("deny.prod", "checknothing")


def test_a_mistake_is_told_with_path_place_and_mend_and_the_others_stand() -> None:
    rules = rules_of(
        DENY,
        NOTHING,
        instance("count", "quota", {"dimensions": {"who": "source.nam"}}),
        handler("odd", "denier", {"status": {"code": 99}}),
        handler("odder", "nothing-of-the-sort"),
        rule("good", "", "deny", ("nothing",)),
        rule("typo", 'source.name == 3 && "x"', "deny", ("nothing",)),
        rule("no-handler", "", "nobody", ("nothing",)),
        rule("broken", "", "odd", ("count",)),
        rule("mismatch", "", "deny", ("log",)),
        instance("log", "logentry", {"severity": '"info"'}),
    )
    assert [each.name for each in rules.rules] == ["good"]
    assert sorted(f"{each.object}: {each.message} ({each.mend})" for each in rules.problems) == [
        "handler istio-system/odd: spec.params.status.code 99 refuses nothing (give a google.rpc code from 1 to 16)",
        "handler istio-system/odder: spec.compiledAdapter is an unknown adapter 'nothing-of-the-sort': known are "
        f"{', '.join(sorted({*HANDLERS, *ALIASES}))} (use a known one, or install its package)",
        "instance istio-system/count: spec.params.dimensions.who at 1:1: unknown attribute source.nam "
        "(did you mean source.name?)",
        "rule istio-system/broken: spec.actions[0].handler refers to 'odd', which has a mistake of its own "
        "(correct that first; until then the rule does not count)",
        "rule istio-system/broken: spec.actions[0].instances[0] refers to 'count', which has a mistake of its own "
        "(correct that first; until then the rule does not count)",
        "rule istio-system/mismatch: spec.actions[0].instances[0] is of template logentry, which denier does not take "
        "(it takes checknothing, listentry, quota; until then the rule does not count)",
        "rule istio-system/no-handler: spec.actions[0].handler refers to handler 'nobody', not found "
        "(there are deny, odd, odder in istio-system; until then the rule does not count)",
        "rule istio-system/typo: spec.match at 1:16: expected STRING, got INT64 (until then the rule does not count)",
    ]
    assert all(each.where.endswith(":1") for each in rules.problems)


def test_the_version_before_stays_in_force_with_its_handler() -> None:
    former = sound(DENY, NOTHING, rule("r", 'source.name == "a"', "deny", ("nothing",)))
    now = rules_of(NOTHING, rule("r", 'source.nam == "a"', "gone", ("nothing",)), former=former)
    assert [each.predicate and each.predicate.source for each in now.rules] == ['source.name == "a"']
    assert now.handlers["deny.istio-system"].params == former.handlers["deny.istio-system"].params
    assert "the version before stays in force" in now.problems[0].mend
    again = rules_of(NOTHING, rule("r", 'source.nam == "a"', "gone", ("nothing",)), former=now)
    assert again.handlers.keys() == {"deny.istio-system"}
    assert not rules_of(NOTHING, former=again).rules  # a rule that is gone is gone


def test_a_manifest_adds_attributes_and_cannot_change_those_of_istio() -> None:
    manifest = accepted(
        "attributemanifest",
        "mine",
        {"attributes": {"job.gpus": {"valueType": "INT64"}, "source.ip": {"valueType": "STRING"}}},
    )
    rules = rules_of(manifest, DENY, NOTHING, rule("r", "job.gpus > 4", "deny", ("nothing",)))
    assert rules.vocabulary.types["job.gpus"] is ValueType.INT64
    assert [each.message for each in rules.problems] == [
        'spec.attributes["source.ip"].valueType is IP_ADDRESS elsewhere'
    ]
    assert len(rules.rules) == 1


def test_what_no_part_uses_yet_is_said_so() -> None:
    spec = accepted("HTTPAPISpec", "api", {"apiKeys": [{"query": "key"}]})
    (problem,) = rules_of(spec).problems
    assert problem.warning
    assert "nothing uses it" in problem.message


def test_rules_of_the_root_namespace_come_first() -> None:
    rules = sound(
        DENY,
        NOTHING,
        *(
            rule(name, "", "deny.istio-system", ("nothing.istio-system",), namespace=namespace)
            for namespace, name in (("a", "x"), ("istio-system", "z"), ("istio-system", "y"), ("a", "b"))
        ),
    )
    assert [str(each) for each in rules.rules] == [
        "rule istio-system/y",
        "rule istio-system/z",
        "rule a/b",
        "rule a/x",
    ]


def test_what_stays_the_same_is_known_to_be_the_same() -> None:
    objects = (DENY, NOTHING, rule("r", 'source.name == "a"', "deny", ("nothing",)))
    one = sound(*objects)
    other = rules_of(*objects, former=one)
    assert other.vocabulary is one.vocabulary
    assert one.handlers["deny.istio-system"].signature == other.handlers["deny.istio-system"].signature
