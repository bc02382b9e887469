"""A platform that suddenly tells of nothing is not believed at once, whatever its kind."""

from __future__ import annotations

import pytest

from adapters.platform import Delete, Event, Fresh, Problem, Stale, Synced, Upsert
from adapters.screen import WINDOW, Limits, Screen
from pilot.model.service import Endpoint, Port, Protocol, Service, ServiceKey

HTTP = (Port("http", 80, Protocol.HTTP),)


def key(name: str) -> ServiceKey:
    return ServiceKey("default", name)


def service(name: str, *addresses: str) -> Service:
    return Service(key(name), HTTP, tuple(Endpoint(a, (("http", 8080),), f"{name}-{a}") for a in addresses))


def addresses(count: int) -> tuple[str, ...]:
    return tuple(f"10.0.0.{number}" for number in range(count))


class Heard:
    """What comes out of a screen, folded as the merge does."""

    def __init__(self, limits: Limits, *services: Service) -> None:
        self.screen = Screen(limits)
        self.services: dict[str, set[str]] = {}
        self.stale = ""
        self.events: list[Event] = []
        for each in services:
            self.tell(Upsert(each), at=0.0)
        self.tell(Synced(), at=0.0)

    def tell(self, *events: Event, at: float) -> None:
        for event in events:
            self._fold(list(self.screen.take(event, at)))

    def tick(self, at: float) -> None:
        self._fold(list(self.screen.tick(at)))

    def _fold(self, events: list[Event]) -> None:
        for event in events:
            self.events.append(event)
            match event:
                case Upsert(service):
                    self.services[service.host] = {each.address for each in service.endpoints}
                case Delete(key):
                    del self.services[key.host]
                case Stale(reason):
                    self.stale = reason
                case Fresh():
                    self.stale = ""


LIMITS = Limits(hold=300.0, share=0.5, count=4)


def test_the_last_of_everything_is_held_until_the_platform_stayed_with_its_word() -> None:
    heard = Heard(LIMITS, service("web", "10.0.0.1"), service("db", "10.0.0.2"))
    heard.tell(Delete(key("web")), Delete(key("db")), at=10.0)
    assert heard.services == {"web": {"10.0.0.1"}, "db": {"10.0.0.2"}}
    assert heard.stale.startswith("suspect: 2 endpoints of 2 services")
    assert (heard.screen.held, heard.screen.next_due()) == (2, 310.0)
    heard.tick(309.9)
    assert heard.stale
    heard.tick(310.0)
    assert (heard.services, heard.stale, heard.screen.held) == ({}, "", 0)


def test_more_than_a_share_at_once_is_held_and_less_is_believed() -> None:
    heard = Heard(LIMITS, service("web", *addresses(10)))
    heard.tell(Upsert(service("web", *addresses(5))), at=10.0)
    assert len(heard.services["web"]) == 5
    heard.tell(Upsert(service("web", *addresses(4))), at=11.0)
    assert (len(heard.services["web"]), heard.screen.held) == (10, 6)


def test_few_are_believed_whatever_their_share() -> None:
    heard = Heard(LIMITS, service("web", *addresses(4)))
    heard.tell(Upsert(service("web", "10.0.0.0")), at=10.0)
    assert (heard.services["web"], heard.stale) == ({"10.0.0.0"}, "")


def test_losses_that_are_spread_out_are_believed() -> None:
    heard = Heard(LIMITS, service("web", *addresses(10)))
    for step in range(9):
        heard.tell(Upsert(service("web", *addresses(9 - step))), at=10.0 + step * 3 * WINDOW / 2)
    assert (heard.services["web"], heard.stale) == ({"10.0.0.0"}, "")


def test_a_rolling_update_loses_nothing() -> None:
    heard = Heard(LIMITS, service("web", *addresses(10)))
    for step in range(10):
        old, new = addresses(10)[step + 1 :], tuple(f"10.1.0.{number}" for number in range(step + 1))
        heard.tell(Upsert(service("web", *old, *new)), at=10.0 + step / 10)
        assert heard.services["web"] == {*old, *new}
    assert heard.stale == ""


def test_what_returns_is_let_go_and_counts_as_usual_again() -> None:
    heard = Heard(LIMITS, service("web", *addresses(3)))
    heard.tell(Delete(key("web")), at=10.0)
    heard.tell(Upsert(service("web", "10.0.0.1")), at=20.0)
    assert (heard.services["web"], heard.screen.held) == (set(addresses(3)), 2)
    heard.tell(Upsert(service("web", *addresses(3))), at=30.0)
    assert (heard.stale, heard.events[-1]) == ("", Fresh())
    heard.tell(Upsert(service("web", *addresses(2))), at=40.0)
    assert heard.services["web"] == set(addresses(2))


def test_one_that_returns_under_another_identity_returns() -> None:
    heard = Heard(LIMITS, service("web", "10.0.0.1"))
    heard.tell(Delete(key("web")), at=10.0)
    other = Service(key("web"), HTTP, (Endpoint("10.0.0.1", (("http", 8080),), "another"),))
    heard.tell(Upsert(other), at=20.0)
    assert (heard.services["web"], heard.screen.held, heard.stale) == ({"10.0.0.1"}, 0, "")


def test_while_the_platform_is_away_its_silence_is_no_word() -> None:
    heard = Heard(LIMITS, service("web", "10.0.0.1"))
    heard.tell(Delete(key("web")), at=10.0)
    heard.tell(Stale("refused"), at=20.0)
    assert heard.stale.startswith("refused; suspect")
    heard.tick(1000.0)
    assert "web" in heard.services
    heard.tell(Fresh(), at=1000.0)
    assert (heard.screen.next_due(), heard.stale.startswith("suspect")) == (1300.0, True)


def test_what_is_held_is_let_go_when_nothing_is_to_be_held_any_more() -> None:
    heard = Heard(LIMITS, service("web", "10.0.0.1"))
    heard.tell(Delete(key("web")), at=10.0)
    heard._fold(list(heard.screen.limit(Limits(hold=0.0), 11.0)))
    assert (heard.services, heard.stale) == ({}, "")


def test_nothing_is_held_where_everything_is_believed() -> None:
    heard = Heard(Limits(hold=0.0), service("web", "10.0.0.1"))
    heard.tell(Delete(key("web")), Delete(key("unknown")), at=10.0)
    assert (heard.services, heard.stale) == ({}, "")


@pytest.mark.parametrize(
    ("told_again", "left"), [((), {"web", "db"}), (("web",), {"web"}), (("web", "db"), {"web", "db"})]
)
def test_what_a_watch_that_began_anew_does_not_tell_again_is_gone(told_again: tuple[str, ...], left: set[str]) -> None:
    """Unless it tells of nothing at all, which is not believed."""
    heard = Heard(LIMITS, service("web", "10.0.0.1"), service("db", "10.0.0.2"))
    heard.screen.restarted()
    heard.tell(*(Upsert(service(name, "10.0.0.9")) for name in told_again), at=10.0)
    assert set(heard.services) == {"web", "db"}
    heard.tell(Synced(), at=10.0)
    assert set(heard.services) == left
    assert heard.events.count(Synced()) == 1


def test_problems_pass_through() -> None:
    heard = Heard(LIMITS)
    heard.tell(Problem("here", "odd"), at=1.0)
    assert heard.events[-1] == Problem("here", "odd")
