"""When a failed attempt is tried again."""

from datetime import timedelta
from typing import Literal

import pytest

from secondunit.queue.retry import JITTER, LONGEST_DELAY, Backoff, RetryPolicy
from secondunit.testing.jobs import NoJitter

SECOND = timedelta(seconds=1)


class Jitter(NoJitter):
    def __init__(self, drawn: float) -> None:
        self.drawn = drawn

    def random(self) -> float:
        return self.drawn


def waits(policy: RetryPolicy, attempts: int) -> list[float | None]:
    delays = [policy.delay(attempt, NoJitter()) for attempt in range(1, attempts + 1)]
    return [None if delay is None else delay.total_seconds() for delay in delays]


def test_exponential_waits_double() -> None:
    assert waits(RetryPolicy(5), 5) == [1, 2, 4, 8, 16]


def test_fixed_waits_stay() -> None:
    assert waits(RetryPolicy(3, "fixed", 5 * SECOND), 3) == [5, 5, 5]


@pytest.mark.parametrize("retries", [0, 1, 3, 10])
def test_there_are_as_many_retries_as_allowed_and_no_more(retries: int) -> None:
    given = waits(RetryPolicy(retries, "fixed"), retries + 3)
    assert [wait is not None for wait in given] == [True] * retries + [False] * 3


def test_no_wait_is_longer_than_six_hours() -> None:
    assert waits(RetryPolicy(10**6), 10**5)[-1] == LONGEST_DELAY.total_seconds() == 6 * 3600
    assert waits(RetryPolicy(1, "fixed", timedelta(days=3)), 1) == [6 * 3600]


@pytest.mark.parametrize("backoff", ["exponential", "fixed"])
def test_jitter_only_adds_and_at_most_a_fifth(backoff: Literal["exponential", "fixed"]) -> None:
    policy = RetryPolicy(8, backoff, 3 * SECOND)
    for attempt in range(1, 9):
        plain = policy.delay(attempt, NoJitter())
        assert plain is not None
        for drawn in (0.0, 0.25, 0.5, 0.999):
            delay = policy.delay(attempt, Jitter(drawn))
            assert delay == plain * (1 + JITTER * drawn)
            assert plain <= delay <= plain * 1.2


def test_a_retry_may_follow_at_once() -> None:
    assert waits(RetryPolicy(2, initial_delay=timedelta(0)), 3) == [0, 0, None]


def test_a_backoff_doubles_up_to_its_longest_however_often_it_is_asked() -> None:
    backoff = Backoff(SECOND, 5 * SECOND)
    assert [backoff.wait(times).total_seconds() for times in (0, 1, 2, 3, 10**9)] == [1, 2, 4, 5, 5]
    assert Backoff(SECOND * 0, SECOND).wait(9) == SECOND * 0
    assert Backoff(timedelta(days=1), timedelta(days=2)).wait(500) == timedelta(days=2), "nothing overflows"


@pytest.mark.parametrize(("drawn", "seconds"), [(0.0, 4.0), (0.5, 4.4), (1.0, 4.8)])
def test_jitter_only_adds_its_share(drawn: float, seconds: float) -> None:
    backoff = Backoff(SECOND, 9 * SECOND, jitter=0.2)
    assert backoff.jittered(2, Jitter(drawn)).total_seconds() == pytest.approx(seconds)
    assert Backoff(SECOND, 9 * SECOND).jittered(2, Jitter(drawn)) == 4 * SECOND
