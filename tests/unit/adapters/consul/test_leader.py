"""The rules of an election: what is asked of Consul next, and that no two lead at one moment."""

from __future__ import annotations

from adapters.consul.leader import ASK_EVERY, Act, Candidacy

TTL = 10.0


def leading(now: float = 0.0) -> Candidacy:
    return Candidacy(TTL).created("s", asked=now).acquired(True, now)


def test_a_session_then_the_lock() -> None:
    start = Candidacy(TTL)
    assert start.act(0.0) is Act.CREATE
    made = start.created("s", asked=0.0)
    assert (made.act(0.1), made.leads(0.1)) == (Act.ACQUIRE, False)
    assert made.acquired(True, 0.2).leads(0.3)
    waiting = made.acquired(False, 0.2)
    assert (waiting.leads(0.3), waiting.due) == (False, 0.2 + ASK_EVERY)


def test_a_leader_renews_in_time_and_looks_whether_it_still_holds_the_lock() -> None:
    found = leading()
    assert found.due == TTL / 3
    assert found.act(found.due) is Act.RENEW
    again = found.renewed(asked=4.0)
    assert (again.act(4.1), again.leads(13.9)) == (Act.ACQUIRE, True)
    assert not again.acquired(False, 4.1).leads(4.2), "an operator gave the lock to another"


def test_a_leader_that_hears_nothing_leads_until_its_session_may_have_ended() -> None:
    found = leading().failed(5.0).failed(9.0)
    assert found.leads(TTL - 0.1)
    assert not found.leads(TTL)
    assert found.due == 9.0 + ASK_EVERY


def test_a_renewal_counts_from_when_it_was_asked_for() -> None:
    """Consul may have renewed it at once, and answered late."""
    assert not leading().renewed(asked=3.0).leads(3.0 + TTL)


def test_a_session_that_consul_does_not_know_leads_no_more() -> None:
    found = leading().lost(4.0)
    assert not found.leads(4.0)
    assert (found.act(4.0), found.due) == (Act.CREATE, 4.0)
