"""Which reports are made."""

from __future__ import annotations

from mixer.expression import compile_expression
from mixer.sampling import Sampler, SamplingPlan
from mixer.vocabulary import ISTIO


def test_a_share_is_taken_by_the_hash_of_a_value_always_the_same_ones() -> None:
    program = compile_expression("request.id", ISTIO)
    plan = SamplingPlan(share=2_500, expression=program)
    bags = [{"request.id": f"id-{number}"} for number in range(4_000)]
    taken = [Sampler(plan).takes(bag, 0.0) for bag in bags]
    assert taken == [Sampler(plan).takes(bag, 0.0) for bag in bags]
    assert 850 < sum(taken) < 1_150


def test_a_share_without_an_expression_is_taken_by_chance() -> None:
    sampler = Sampler(SamplingPlan(share=5_000), seed=1)
    assert 1_800 < sum(sampler.takes({}, 0.0) for _ in range(4_000)) < 2_200
    assert not any(Sampler(SamplingPlan(share=0)).takes({}, 0.0) for _ in range(100))
    assert all(Sampler(SamplingPlan(share=10_000)).takes({}, 0.0) for _ in range(100))


def test_after_the_free_ones_one_in_so_many_until_the_window_ends() -> None:
    sampler = Sampler(SamplingPlan(window=10.0, free=3, one_in=5))
    assert [sampler.takes({}, 0.0) for _ in range(13)] == [True] * 3 + ([False] * 4 + [True]) * 2
    assert [sampler.takes({}, 10.0) for _ in range(4)] == [True, True, True, False]
