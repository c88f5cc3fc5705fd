"""A receiver that is down is asked now and then, by one delivery, and costs the others nothing."""

from datetime import timedelta

from secondunit.daemon.delivery.host_limits import HostLimits
from secondunit.daemon.delivery.policy import (
    TryLater,
)
from secondunit.handlers.tools.circuit_breaker import THRESHOLD
from secondunit.testing.clock import START
from tests.unit.daemon.delivery.dispatcher.scene import DOWN, OK, FakeSender, Scene, running


async def test_a_failing_host_gets_one_probe_at_a_time_with_growing_pauses() -> None:
    async with running(Scene(FakeSender(a=[DOWN]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        assert len(scene.sender.tries) == THRESHOLD
        assert scene.sender.most_at_once == 1
        await scene.clock.advance(600)
        # 1 + 2 + 4 ... seconds: about ten probes; sixty deliveries on their own would have tried hundreds of times
        assert THRESHOLD + 6 <= len(scene.sender.tries) <= THRESHOLD + 12


async def test_waiting_for_the_breaker_is_no_try() -> None:
    async with running(Scene(FakeSender(a=[DOWN]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        await scene.clock.advance(60)
        attempts = [(await scene.outbox.of_job(f"j{n}"))[0].attempts for n in range(60)]
        assert sum(attempts) == len(scene.sender.tries)
        assert attempts.count(0) > 30


async def test_the_waiting_ones_go_on_as_soon_as_the_breaker_lets_them() -> None:
    hour = TryLater("answered 503", 503, timedelta(hours=1))
    async with running(Scene(FakeSender(a=[hour] * THRESHOLD + [OK]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        await scene.clock.advance(1)
        await scene.clock.settle()
        assert (await scene.outbox.counts()) == {"delivered": 60 - THRESHOLD, "pending": THRESHOLD}


async def test_one_that_never_got_its_turn_dies_with_its_lifetime() -> None:
    sender = FakeSender(a=[DOWN])
    sender.lifetime = timedelta(hours=1)
    async with running(Scene(sender)) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        await scene.clock.advance(3600 + 400)
        assert (await scene.outbox.counts()) == {"dead": 60}
        untried = [row for n in range(60) for row in await scene.outbox.of_job(f"j{n}") if not row.attempts]
        assert {row.last_error for row in untried} == {"its host did not recover in time"}
    assert len(scene.dead) == len(set(scene.dead)) == 60


async def test_everything_goes_out_once_a_probe_arrives() -> None:
    async with running(Scene(FakeSender(a=[DOWN] * (THRESHOLD + 4) + [OK]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        await scene.clock.advance(300)
        assert (await scene.outbox.counts()) == {"delivered": 60}


async def test_a_host_that_answers_no_is_not_a_host_that_is_down() -> None:
    no = TryLater("answered 404", 404)
    async with running(Scene(FakeSender(a=[no] * 20 + [OK]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(21)))
        assert len(scene.sender.tries) == 21
        assert await scene.state("j20") == "delivered"


async def test_a_broken_host_does_not_close_the_lane_of_another() -> None:
    async with running(Scene(FakeSender(bad=[DOWN]))) as scene:
        await scene.ended(*(f"b{n}" for n in range(200)), host="bad")
        await scene.ended("j", host="good")
        assert await scene.state("j") == "delivered"
        assert scene.clock.now() == START


def test_one_that_waited_and_was_then_seen_in_the_outbox_is_not_sent_twice() -> None:
    limits = HostLimits()
    assert limits.admit("a", "first", 0.0, START) == "send"
    assert limits.admit("a", "second", 0.0, START) == "wait"
    limits.done("a", "first", alive=True, now=1.0)
    assert limits.admit("a", "second", 1.0, START) == "send"
    assert limits.next(1.0) is None


def test_lanes_of_hosts_that_are_long_forgotten_take_no_room() -> None:
    limits = HostLimits()
    for n in range(5000):
        assert limits.admit(f"host{n}", f"d{n}", float(n), START) == "send"
        limits.done(f"host{n}", f"d{n}", alive=False, now=float(n))
    assert len(limits._limits) <= 1001
