"""The outbox is sent: at once, again until it arrives, in order per job, and no receiver holds up another."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from secondunit.daemon.delivery.dispatcher import Deliverer, DeliveryTried
from secondunit.daemon.delivery.host_limits import HostLimits, Widths
from secondunit.daemon.delivery.policy import (
    UNTOLD,
    Delivered,
    Gone,
    Sent,
    TryLater,
    backoff,
    receiver_works,
    resent,
    settle,
)
from secondunit.handlers.tools.circuit_breaker import THRESHOLD
from secondunit.queue.errors import StoreFull
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import Notice, Status, Target
from secondunit.queue.ports.deliveries import Try
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory_ports import MemoryOutbox
from secondunit.queue.value import replace
from secondunit.testing.clock import START, ManualClock
from secondunit.testing.jobs import NoJitter

DAY = timedelta(days=1)
OK = Delivered(200)
BUSY = TryLater("answered 503", 503)
DOWN = TryLater("connection refused")


def notice(job_id: str, host: str = "a", *, kind: str = "fake", at: datetime = START) -> Notice:
    return Notice(
        target=Target(kind, host),
        job_id=job_id,
        job_type="hls",
        status=Status.COMPLETED,
        epoch=1,
        at=at,
        result={"ok": True},
        error=None,
        duration=timedelta(seconds=2),
        source="api",
        labels={},
    )


class FakeSender:
    """Answers from a script by host (its last entry stays); a host that hangs answers once it is let go."""

    lifetime = DAY

    def __init__(self, **script: Sequence[Sent]) -> None:
        self.script = {host: list(answers) for host, answers in script.items()}
        self.tries: list[str] = []
        self.running: list[str] = []
        self.most_at_once = 0
        self.hanging: dict[str, asyncio.Event] = {}
        self.takes = 0.0
        self.clock = ManualClock()

    def host(self, delivery: Delivery) -> str:
        return delivery.notice.target.address

    def tells(self, delivery: Delivery) -> bool:
        return delivery.notice.status is not Status.FAILED

    def hang(self, host: str) -> asyncio.Event:
        self.hanging[host] = asyncio.Event()
        return self.hanging[host]

    async def send(self, delivery: Delivery) -> Sent:
        host = self.host(delivery)
        self.tries.append(delivery.id)
        self.running.append(host)
        self.most_at_once = max(self.most_at_once, len(self.running))
        try:
            if host in self.hanging:
                await self.hanging[host].wait()
            else:
                await self.clock.sleep(self.takes)
        finally:
            self.running.remove(host)
        answers = self.script.get(host, [OK])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Scene:
    """A deliverer over a memory outbox, on a clock that stands still."""

    def __init__(
        self, sender: FakeSender, *, limits: HostLimits | None = None, outbox: MemoryOutbox | None = None
    ) -> None:
        self.sender = sender
        self.outbox = outbox or MemoryOutbox()
        self.clock = ManualClock()
        self.tries: list[DeliveryTried] = []
        self.deliverer = self.another(limits)

    def another(self, limits: HostLimits | None = None) -> Deliverer:
        return Deliverer(
            self.outbox,
            {"fake": self.sender},
            self.clock,
            NoJitter(),
            emit=self._hear,
            limits=limits,
        )

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, DeliveryTried)
        self.tries.append(fact)

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        return [(tried.delivery.notice.target.kind, tried.outcome) for tried in self.tries]

    @property
    def dead(self) -> list[str]:
        return [tried.delivery.id for tried in self.tries if tried.outcome == "dead"]

    async def ended(self, *job_ids: str, host: str = "a", kind: str = "fake") -> None:
        for job_id in job_ids:
            self.outbox.add(notice(job_id, host, kind=kind, at=self.clock.now()))
        self.deliverer.wake()
        await self.clock.settle()

    async def state(self, job_id: str) -> str:
        return (await self.outbox.of_job(job_id))[0].state


@asynccontextmanager
async def running(scene: Scene, deliverer: Deliverer | None = None) -> AsyncIterator[Scene]:
    task = asyncio.create_task((deliverer or scene.deliverer).run())
    await scene.clock.settle()
    try:
        yield scene
        assert not task.done(), "the loop ended by itself"
    finally:
        task.cancel()
        await asyncio.wait({task})


def delivery(**fields: object) -> Delivery:
    return replace(Delivery("j-1", notice("j"), "pending", 0, START, START), **fields)  # type: ignore[arg-type]


# What a try makes of a delivery


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


# The loop


async def test_a_new_delivery_goes_out_without_any_time_passing() -> None:
    async with running(Scene(FakeSender())) as scene:
        await scene.ended("j")
        assert await scene.state("j") == "delivered"
        assert scene.clock.now() == START
    assert scene.outcomes == [("fake", "delivered")]


async def test_what_was_left_by_an_earlier_process_goes_out_at_start() -> None:
    scene = Scene(FakeSender())
    scene.outbox.add(notice("old"))
    async with running(scene):
        assert await scene.state("old") == "delivered"


async def test_a_failed_one_is_tried_again_after_1_2_and_4_seconds_under_the_same_id() -> None:
    async with running(Scene(FakeSender(a=[BUSY, DOWN, BUSY, OK]))) as scene:
        await scene.ended("j")
        for seconds, tries in ((0.9, 1), (0.1, 2), (1.9, 2), (0.1, 3), (3.9, 3), (0.1, 4)):
            await scene.clock.advance(seconds)
            await scene.clock.settle()
            assert scene.sender.tries == ["j-1"] * tries
        assert await scene.state("j") == "delivered"
    assert [outcome for _, outcome in scene.outcomes] == ["later"] * 3 + ["delivered"]


async def test_a_retry_comes_at_its_time_though_the_outbox_was_read_just_before() -> None:
    async with running(Scene(FakeSender(a=[BUSY, OK]))) as scene:
        await scene.ended("j")
        await scene.clock.advance(0.5)
        await scene.ended("other", host="b")
        await scene.clock.advance(0.5)
        assert scene.sender.tries == ["j-1", "other-1", "j-1"]


async def test_a_receiver_that_never_answers_well_is_given_up_after_a_day_and_that_is_seen() -> None:
    async with running(Scene(FakeSender(a=[DOWN]))) as scene:
        await scene.ended("j")
        await scene.clock.advance(DAY.total_seconds() - 1)
        assert await scene.state("j") == "pending" and scene.dead == []
        await scene.clock.advance(5)
        assert await scene.state("j") == "dead"
        tries = len(scene.sender.tries)
        assert 20 < tries < 60
        await scene.clock.advance(DAY.total_seconds())
        assert len(scene.sender.tries) == tries
    assert scene.dead == ["j-1"]
    assert scene.outcomes[-1] == ("fake", "dead")


async def test_a_jobs_second_delivery_waits_until_its_first_has_arrived() -> None:
    async with running(Scene(FakeSender(a=[BUSY, BUSY, OK]))) as scene:
        await scene.ended("j", "j")
        await scene.clock.advance(10)
        await scene.clock.settle()
    assert scene.sender.tries == ["j-1", "j-1", "j-1", "j-2"]


async def test_a_jobs_second_delivery_waits_while_its_first_is_being_sent() -> None:
    sender = FakeSender()
    hanging = sender.hang("a")
    async with running(Scene(sender)) as scene:
        await scene.ended("j", "j")
        await scene.clock.advance(5)
        assert sender.tries == ["j-1"]
        hanging.set()
        await scene.clock.settle()
        assert sender.tries == ["j-1", "j-2"]


async def test_a_hanging_receiver_delays_no_other() -> None:
    sender = FakeSender()
    sender.hang("slow")
    async with running(Scene(sender)) as scene:
        await scene.ended(*(f"s{n}" for n in range(300)), host="slow")
        await scene.ended("j", host="quick")
        assert await scene.state("j") == "delivered"
        assert scene.clock.now() == START
        assert sender.running == ["slow"]


async def test_a_crowd_of_hanging_receivers_delays_no_other() -> None:
    sender = FakeSender()
    async with running(Scene(sender)) as scene:
        for n in range(40):
            sender.hang(f"slow{n}")
            await scene.ended(*(f"s{n}-{m}" for m in range(8)), host=f"slow{n}")
        await scene.ended("j", host="quick")
        assert await scene.state("j") == "delivered"


async def test_a_retry_is_at_most_a_second_late_while_something_hangs() -> None:
    sender = FakeSender(a=[DOWN, OK])
    sender.hang("slow")
    async with running(Scene(sender)) as scene:
        await scene.ended("s", host="slow")
        await scene.ended("j")
        await scene.clock.advance(2)
        await scene.clock.settle()
        assert await scene.state("j") == "delivered"


async def test_a_host_that_has_answered_gets_several_at_once_and_an_unknown_one_just_one() -> None:
    sender = FakeSender()
    async with running(Scene(sender)) as scene:
        hanging = sender.hang("a")
        await scene.ended(*(f"j{n}" for n in range(10)))
        assert len(sender.running) == 1
        hanging.set()
        del sender.hanging["a"]
        await scene.clock.settle()
        assert sender.most_at_once == Widths().per_host
        assert len(sender.tries) == 10


async def test_never_more_at_once_than_allowed_in_all() -> None:
    sender = FakeSender()
    for n in range(9):
        sender.hang(f"h{n}")
    async with running(Scene(sender, limits=HostLimits(Widths(in_all=3)))) as scene:
        for n in range(9):
            await scene.ended(f"j{n}", host=f"h{n}")
        assert len(sender.running) == 3
        for event in sender.hanging.values():
            event.set()
        await scene.clock.settle()
        assert len(sender.tries) == 9
    assert sender.most_at_once == 3


class CountingOutbox(MemoryOutbox):
    """Counts its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    async def change(self, delivery_id: str, decide: Callable[[Delivery], Delivery], **fenced: Any) -> Delivery:
        self.writes += 1
        return await super().change(delivery_id, decide, **fenced)


async def test_a_burst_to_one_host_arrives_soon_each_once_and_with_few_writes() -> None:
    outbox = CountingOutbox()
    async with running(Scene(FakeSender(), outbox=outbox)) as scene:
        await scene.ended(*(f"j{n}" for n in range(1000)))
        for _ in range(100):
            await scene.clock.advance(0.1)
        assert (await outbox.counts()) == {"delivered": 1000}
    assert len(scene.sender.tries) == len(set(scene.sender.tries)) == 1000
    assert outbox.writes < 3000


async def test_a_burst_to_a_slow_host_goes_at_its_pace_and_with_few_writes() -> None:
    scene = Scene(FakeSender(), outbox=(outbox := CountingOutbox()))
    scene.sender.takes = 10
    scene.sender.clock = scene.clock
    async with running(scene):
        await scene.ended(*(f"j{n}" for n in range(100)))
        await scene.clock.advance(300)
        assert (await outbox.counts()) == {"delivered": 100}
    assert outbox.writes < 500


async def test_those_that_wait_for_their_turn_are_due_at_once_after_a_crash() -> None:
    sender = FakeSender()
    sender.hang("a")
    scene = Scene(sender)
    async with running(scene):
        await scene.ended(*(f"j{n}" for n in range(300)))
        await scene.clock.advance(30)
        rows = [row for n in range(300) for row in await scene.outbox.of_job(f"j{n}")]
        assert {(row.state, row.next_at) for row in rows} == {("pending", START)}
    sender.hanging.clear()
    before = scene.clock.now()
    async with running(scene, scene.another()):
        for _ in range(100):
            await scene.clock.settle()
        assert await scene.outbox.counts() == {"delivered": 300}
    assert scene.clock.now() == before


async def test_a_crowd_for_which_memory_has_no_room_is_sent_all_the_same() -> None:
    sender = FakeSender()
    gate = sender.hang("a")
    async with running(Scene(sender, limits=HostLimits(Widths(waiting=10)))) as scene:
        await scene.ended(*(f"j{n}" for n in range(300)))
        await scene.ended("other", host="b")
        assert await scene.state("other") == "delivered"
        sender.hanging.clear()
        gate.set()
        for _ in range(60):
            await scene.clock.advance(60)
        assert await scene.outbox.counts() == {"delivered": 301}
    assert len(sender.tries) == 301


async def test_what_needs_no_telling_is_done_without_a_try_and_closes_no_lane() -> None:
    async with running(Scene(FakeSender())) as scene:
        for n in range(60):
            scene.outbox.add(replace(notice(f"dead{n}"), status=Status.FAILED))
        await scene.ended("good")
        assert await scene.outbox.counts() == {"delivered": 61}
        assert scene.sender.tries == ["good-1"] and scene.clock.now() == START
        assert [tried.delivery.notice.job_id for tried in scene.tries] == ["good"], "a try is told that was none"
        [untold] = await scene.outbox.of_job("dead0")
        assert (untold.attempts, untold.last_error) == (0, UNTOLD)


async def test_what_needs_no_telling_does_not_wait_for_a_host_that_is_down() -> None:
    async with running(Scene(FakeSender(a=[DOWN]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        scene.outbox.add(replace(notice("dead"), status=Status.FAILED))
        await scene.ended("later", host="b")
        assert await scene.state("dead") == "delivered"


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


# The breaker


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


# By hand, at the end, and when things break


async def test_a_dead_delivery_that_is_asked_for_again_goes_out_at_once() -> None:
    async with running(Scene(FakeSender(a=[Gone("answered 410", 410), OK]))) as scene:
        await scene.ended("j")
        assert await scene.state("j") == "dead"
        await scene.clock.advance(3 * DAY.total_seconds())
        assert (await scene.deliverer.retry("j-1")).state == "pending"
        await scene.clock.settle()
        assert await scene.state("j") == "delivered"
    assert scene.sender.tries == ["j-1", "j-1"]


async def test_a_delivered_one_that_is_asked_for_again_is_sent_again_under_its_id() -> None:
    async with running(Scene(FakeSender())) as scene:
        await scene.ended("j")
        await scene.deliverer.retry("j-1")
        await scene.clock.settle()
        assert scene.sender.tries == ["j-1", "j-1"]


async def test_asking_again_passes_the_breaker() -> None:
    async with running(Scene(FakeSender(a=[DOWN]))) as scene:
        await scene.ended(*(f"j{n}" for n in range(60)))
        await scene.clock.advance(500)
        before = len(scene.sender.tries)
        await scene.deliverer.retry("j50-1")
        await scene.clock.settle()
        assert scene.sender.tries[before:] == ["j50-1"]


async def test_asking_again_for_a_jobs_second_delivery_does_not_let_it_overtake_its_first() -> None:
    sender = FakeSender()
    async with running(Scene(sender)) as scene:
        hanging = sender.hang("a")
        await scene.ended("another")
        await scene.ended("j")
        await scene.ended("j")
        first, second = await scene.outbox.of_job("j")
        await scene.deliverer.retry(first.id)
        await scene.deliverer.retry(second.id)
        hanging.set()
        del sender.hanging["a"]
        await scene.clock.settle()
        assert sender.tries[1:] == [first.id, second.id]


async def test_asking_again_for_what_is_unknown_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        await Scene(FakeSender()).deliverer.retry("nothing-1")


async def test_a_send_that_was_cut_off_is_sent_again_by_the_next_process() -> None:
    sender = FakeSender()
    sender.hang("a")
    scene = Scene(sender)
    async with running(scene):
        await scene.ended("j")
        assert sender.running == ["a"]
    assert await scene.state("j") == "pending"
    sender.hanging.clear()
    async with running(scene, scene.another()):
        assert await scene.state("j") == "delivered"
    assert sender.tries == ["j-1", "j-1"]


async def test_a_stop_still_sends_what_is_due_and_then_returns() -> None:
    scene = Scene(FakeSender())
    task = asyncio.create_task(scene.deliverer.run())
    await scene.clock.settle()
    for n in range(10):
        scene.outbox.add(notice(f"j{n}"))
    scene.deliverer.stop()
    await scene.clock.settle()
    assert task.done()
    await task
    assert (await scene.outbox.counts()) == {"delivered": 10}


async def test_a_stop_takes_nothing_new() -> None:
    sender = FakeSender()
    hanging = sender.hang("a")
    scene = Scene(sender)
    task = asyncio.create_task(scene.deliverer.run())
    await scene.ended("j")
    scene.deliverer.stop()
    await scene.clock.settle()
    await scene.ended("late", host="b")
    assert sender.tries == ["j-1"]
    hanging.set()
    await task
    assert await scene.state("j") == "delivered"
    assert await scene.state("late") == "pending"


async def test_a_stop_waits_for_a_hanging_send_no_longer_than_the_grace_time() -> None:
    sender = FakeSender()
    sender.hang("a")
    scene = Scene(sender)
    task = asyncio.create_task(scene.deliverer.run())
    await scene.ended("j")
    scene.deliverer.stop()
    await scene.clock.advance(9)
    assert not task.done()
    await scene.clock.advance(2)
    await task
    assert await scene.state("j") == "pending"


class FullDisk(MemoryOutbox):
    """An outbox on a disk without room, until there is some."""

    def __init__(self) -> None:
        super().__init__()
        self.full = True
        self.looks = 0

    async def due(self, now: datetime, limit: int, **which: Any) -> Sequence[Delivery]:
        self.looks += 1
        return await super().due(now, limit, **which)

    async def change(self, delivery_id: str, decide: Callable[[Delivery], Delivery], **fenced: Any) -> Delivery:
        if self.full:
            raise StoreFull
        return await super().change(delivery_id, decide, **fenced)


async def test_a_full_disk_does_not_send_a_delivery_again_and_again() -> None:
    outbox = FullDisk()
    async with running(Scene(FakeSender(), outbox=outbox)) as scene:
        await scene.ended("j")
        await scene.clock.advance(60)
        assert scene.sender.tries == ["j-1"]
        assert await scene.state("j") == "pending"
        outbox.full = False
        await scene.clock.advance(10)
        await scene.clock.settle()
        assert await scene.state("j") == "delivered"
    assert scene.sender.tries == ["j-1"]


async def test_a_full_disk_with_a_crowd_does_not_stop_the_loop_from_ending() -> None:
    sender, outbox = FakeSender(), FullDisk()
    sender.hang("a")
    scene = Scene(sender, outbox=outbox)
    task = asyncio.create_task(scene.deliverer.run())
    await scene.ended(*(f"j{n}" for n in range(200)))
    await scene.clock.advance(5)
    assert outbox.looks < 20
    scene.deliverer.stop()
    await scene.clock.advance(11)
    assert task.done()
    await task


async def test_a_kind_that_nothing_sends_waits_visibly_and_delays_no_other() -> None:
    async with running(Scene(FakeSender())) as scene:
        await scene.ended("b", kind="backend")
        await scene.ended("j")
        assert await scene.state("j") == "delivered"
        [waiting] = await scene.outbox.of_job("b")
        assert waiting.state == "pending"
        assert waiting.last_error == "nothing here sends backend deliveries"
        await scene.clock.advance(timedelta(days=8).total_seconds())
        assert await scene.state("b") == "dead"
