"""How much one visitor may ask for."""

import pytest
from auralise.dashboards import limits
from auralise.dashboards.limits import Allowance, Limiter, TooManyError

from auralise.errors import InvalidValueError


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_is_let_through_and_then_the_rate():
    clock = Clock()
    limiter = Limiter(Allowance(rate=2.0, burst=3, at_once=9), clock=clock)
    for _ in range(3):
        with limiter.request("ann"):
            pass
    with pytest.raises(TooManyError, match=r"in 0\.5 s") as caught:
        limiter.enter("ann")
    assert caught.value.seconds == 0.5
    clock.now = 0.5  # half a second at 2 per second: one more
    limiter.enter("ann")
    with pytest.raises(TooManyError):
        limiter.enter("ann")


def test_one_visitor_does_not_use_up_the_share_of_another():
    limiter = Limiter(Allowance(rate=1.0, burst=1, at_once=1), clock=Clock())
    limiter.enter("ann")
    limiter.enter("bob")
    with pytest.raises(TooManyError, match="under way already"):
        limiter.enter("ann")


def test_what_has_ended_makes_room():
    limiter = Limiter(Allowance(rate=1.0, burst=9, at_once=1), clock=Clock())
    for _ in range(3):
        limiter.enter("ann")
        limiter.leave("ann")


def test_visitors_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(limits, "REMEMBERED", 10)
    limiter = Limiter(Allowance(rate=1.0, burst=1, at_once=1), clock=Clock())
    for number in range(100):
        limiter.enter(str(number))
    assert len(limiter._visitors) == 10


def test_an_allowance_of_nothing_is_refused():
    with pytest.raises(InvalidValueError, match="must be positive"):
        Allowance(rate=0.0, burst=1, at_once=1)
