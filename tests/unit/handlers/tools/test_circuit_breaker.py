"""Circuit breaker: open after failures in a row, for ever longer, and for as long as the other side asks."""

import random
from datetime import timedelta

import pytest

from secondunit.handlers.tools.circuit_breaker import PAUSES, THRESHOLD, CircuitBreaker
from secondunit.queue.retry import Backoff

NOW = 1000.0


def failed(times: int) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for number in range(times):
        breaker.failed(NOW, f"failure {number}")
    return breaker


def test_a_pause_doubles_from_ten_seconds_to_ten_minutes_and_stays_there() -> None:
    assert [PAUSES.wait(times).total_seconds() for times in range(8)] == [10, 20, 40, 80, 160, 320, 600, 600]
    assert PAUSES.wait(10_000) == timedelta(minutes=10)


def test_it_is_closed_until_there_are_so_many_failures_in_a_row() -> None:
    assert not CircuitBreaker().left(0.0), "also at the very beginning of a clock"
    before, after = failed(THRESHOLD - 1), failed(THRESHOLD)
    assert (before.left(NOW), before.tripped, before.failure) == (0.0, False, "failure 3")
    assert (after.left(NOW), after.tripped, after.why) == (10.0, True, "failure 4")


def test_it_is_open_to_the_moment_and_then_one_more_failure_opens_it_for_twice_as_long() -> None:
    breaker = failed(THRESHOLD)
    assert breaker.left(NOW + 9.5) == 0.5
    assert breaker.left(NOW + 10) == breaker.left(NOW + 99) == 0.0
    breaker.failed(NOW + 10)
    assert breaker.left(NOW + 10) == 20.0


def test_a_success_ends_the_row() -> None:
    breaker = failed(THRESHOLD - 1)
    breaker.succeeded()
    breaker.failed(NOW)
    assert (breaker.left(NOW), breaker.failures) == (0.0, 1)


def test_a_success_ends_no_pause_that_was_begun_but_letting_somebody_pass_does() -> None:
    breaker = failed(THRESHOLD)
    breaker.succeeded()
    assert (breaker.left(NOW), breaker.tripped) == (10.0, False)
    breaker.half_open()
    assert not breaker.left(NOW)


def test_a_probe_that_fails_opens_it_for_longer_than_before() -> None:
    breaker = failed(THRESHOLD)
    breaker.half_open()
    breaker.failed(NOW)
    assert breaker.left(NOW) == 20.0


def test_of_two_pauses_the_longer_one_holds_whichever_came_first_and_its_reason() -> None:
    for spans in ((60, 5), (5, 60)):
        breaker = CircuitBreaker()
        for span in spans:
            breaker.pause(NOW, timedelta(seconds=span), f"asked for {span} s")
        assert (breaker.left(NOW), breaker.why, breaker.failures) == (60.0, "asked for 60 s", 0)


def test_failures_do_not_shorten_a_pause_that_was_asked_for_and_have_their_own_reason() -> None:
    breaker = CircuitBreaker()
    breaker.pause(NOW, timedelta(hours=1), "asked for an hour")
    for _ in range(THRESHOLD):
        breaker.failed(NOW, "down")
    assert (breaker.left(NOW), breaker.why, breaker.failure) == (3600.0, "asked for an hour", "down")


def test_a_failure_for_good_opens_it_at_once_and_the_next_ones_for_longer() -> None:
    breaker = failed(1)
    breaker.failed(NOW, for_good=True)
    assert breaker.left(NOW) == 10.0
    breaker.failed(NOW, for_good=True)
    assert breaker.left(NOW) == 20.0


def test_a_back_off_with_jitter_takes_chance() -> None:
    backoff = Backoff(timedelta(seconds=10), timedelta(minutes=1), jitter=0.2)
    breaker = CircuitBreaker(1, backoff)
    breaker.failed(NOW, random=random.Random(7))
    expected = backoff.jittered(0, random.Random(7)).total_seconds()
    assert breaker.left(NOW) == pytest.approx(expected) and 10 < expected < 12
