"""What a try makes of a delivery: done, dead, or tried again later and how much."""

import random
from datetime import timedelta

import pytest

from secondunit.daemon.delivery.policy import (
    Gone,
    Sent,
    TryLater,
    backoff,
    receiver_works,
    resent,
    settle,
)
from secondunit.queue.ports.deliveries import Try
from secondunit.testing.clock import START
from secondunit.testing.jobs import NoJitter
from tests.unit.daemon.delivery.dispatcher.scene import BUSY, DAY, DOWN, OK, delivery


def test_a_delivered_one_is_done() -> None:
    after = settle(delivery(last_error="answered 503"), OK, DAY, NoJitter(), START)
    assert (after.state, after.next_at, after.finished_at) == ("delivered", None, START)
    assert (after.attempts, after.last_status, after.last_error) == (1, 200, None)


def test_one_that_can_not_arrive_any_more_is_dead_at_once() -> None:
    after = settle(delivery(), Gone("answered 404", 404), DAY, NoJitter(), START)
    assert (after.state, after.next_at, after.last_status, after.last_error) == ("dead", None, 404, "answered 404")


def test_the_last_twenty_tries_are_kept_with_what_came_of_each() -> None:
    row, took = delivery(), timedelta(seconds=2)
    for n in range(24):
        row = settle(row, DOWN if n < 23 else OK, DAY, NoJitter(), START + n * timedelta(minutes=1), took)
    assert len(row.tries) == 20 and row.attempts == 24
    assert row.tries[0] == Try(START + timedelta(minutes=4) - took, took, None, "connection refused")
    assert row.tries[-1] == Try(START + timedelta(minutes=23) - took, took, 200, None)
    assert resent(row, START + DAY).tries == row.tries, "what was tried before stays to be seen"
    [long] = settle(delivery(), TryLater("x" * 9000, 500), DAY, NoJitter(), START).tries
    assert long.error == "x" * 500


def test_waits_double_from_a_second_up_to_an_hour() -> None:
    waits = [backoff(n, NoJitter()).total_seconds() for n in (1, 2, 3, 4, 12, 13, 500)]
    assert waits == [1, 2, 4, 8, 2048, 3600, 3600]


def test_chance_only_adds_up_to_a_fifth() -> None:
    dice = random.Random(1)  # it decides waits, no secrets
    waits = [backoff(1, dice).total_seconds() for _ in range(200)]
    assert 1 <= min(waits) < max(waits) <= 1.2


def test_a_receivers_wish_to_wait_counts_when_it_is_longer() -> None:
    asked = TryLater("answered 429", 429, timedelta(seconds=90))
    assert settle(delivery(), asked, DAY, NoJitter(), START).next_at == START + timedelta(seconds=90)
    assert settle(delivery(attempts=9), asked, DAY, NoJitter(), START).next_at == START + timedelta(seconds=512)


@pytest.mark.parametrize("attempts", [0, 20])
def test_no_wait_is_longer_than_an_hour_whoever_asks_for_it(attempts: int) -> None:
    asked = TryLater("the receiver answered 503", 503, timedelta(days=7))
    after = settle(delivery(attempts=attempts), asked, DAY, random.Random(1), START)
    assert after.next_at == START + timedelta(hours=1)


def test_what_went_wrong_holds_no_secret_of_a_url() -> None:
    for sent in (TryLater("https://u:s3cr3t@h/x?sig=s3cr3t: no"), Gone("https://h/x?s3cr3t")):
        assert "s3cr3t" not in repr(settle(delivery(), sent, DAY, NoJitter(), START))


def test_the_last_try_falls_on_the_end_of_the_lifetime_and_then_it_is_dead() -> None:
    late = START + DAY - timedelta(seconds=5)
    waiting = settle(delivery(attempts=20), DOWN, DAY, NoJitter(), late)
    assert (waiting.state, waiting.next_at) == ("pending", START + DAY)
    over = settle(waiting, DOWN, DAY, NoJitter(), START + DAY)
    assert (over.state, over.next_at, over.last_error) == ("dead", None, "connection refused")


def test_a_delivery_asked_for_again_is_as_new_under_its_old_id() -> None:
    now = START + timedelta(days=3)
    fresh = resent(delivery(state="dead", attempts=30, next_at=None, finished_at=START), now)
    assert (fresh.id, fresh.state, fresh.attempts, fresh.next_at, fresh.finished_at) == ("j-1", "pending", 0, now, None)
    assert settle(fresh, DOWN, DAY, NoJitter(), now).state == "pending"


@pytest.mark.parametrize(
    ("sent", "works"),
    [
        (OK, True),
        (BUSY, False),
        (DOWN, False),
        (TryLater("answered 429", 429), False),
        (TryLater("answered 404", 404), True),
        (Gone("gone", 410), True),
        (Gone("can't be written as JSON"), None),
    ],
)
def test_only_an_answer_or_its_lack_says_whether_a_receiver_works(sent: Sent, works: bool | None) -> None:
    assert receiver_works(sent) is works


def test_an_overloaded_or_broken_receiver_does_not_work_and_one_that_found_us_slow_does() -> None:
    works = {status for status in range(100, 600) if receiver_works(TryLater("", status))}
    assert works == {*range(100, 500)} - {429}
