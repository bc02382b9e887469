"""Quota in stock: never more than was granted, asked for by what was used."""

from __future__ import annotations

import random

from mixer.client.prefetch import CLOSED, LEAST, Pool


def test_at_least_ten_are_asked_for_and_used_without_asking_again() -> None:
    pool = Pool()
    assert not pool.take(1, 0.0)
    assert pool.wanted(0.0) == LEAST
    pool.granted(LEAST, LEAST, 60.0, 0.0)
    assert all(pool.take(1, 0.1) for _ in range(LEAST))
    assert not pool.take(1, 0.1)


def test_more_is_asked_for_where_more_was_used() -> None:
    pool = Pool()
    for _ in range(40):
        pool.take(1, 0.5)
    assert pool.wanted(0.6) == 40
    assert pool.wanted(2.0) == LEAST


def test_after_a_shortage_nobody_asks_for_a_while() -> None:
    pool = Pool()
    pool.take(1, 0.0)
    pool.granted(10, 0, 60.0, 0.0)
    assert pool.wanted(CLOSED / 2) == 0
    assert pool.wanted(CLOSED) == LEAST


def test_a_grant_expires() -> None:
    pool = Pool()
    pool.granted(10, 10, 1.0, 0.0)
    assert pool.stock(0.9) == 10
    assert not pool.take(1, 1.0)


def test_never_is_more_used_than_was_granted() -> None:
    dice, pool, granted, used, now = random.Random(7), Pool(), 0, 0, 0.0
    for _ in range(2000):
        now += dice.random() / 50
        amount = dice.randint(1, 5)
        if pool.take(amount, now):
            used += amount
        elif wanted := pool.wanted(now):
            got = dice.randint(0, wanted)
            pool.granted(wanted, got, dice.random() * 2, now)
            granted += got
        assert used <= granted
    assert used > 1000
