"""The outbox is sent: at once, again until it arrives, in order per job, and no receiver holds up another."""

from collections.abc import Callable
from typing import Any

from secondunit.daemon.delivery.host_limits import HostLimits, Widths
from secondunit.daemon.delivery.policy import (
    UNTOLD,
)
from secondunit.queue.model import Status
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.store import Delivery
from secondunit.queue.stores.memory_ports import MemoryOutbox
from secondunit.queue.value import replace
from secondunit.testing.clock import START
from tests.unit.daemon.delivery.dispatcher.scene import BUSY, DAY, DOWN, OK, FakeSender, Scene, notice, running


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


async def test_large_ones_are_read_a_page_at_a_time_and_all_go_out_at_once() -> None:
    async with running(Scene(FakeSender())) as scene:
        for n in range(4):
            scene.outbox.add(replace(notice(f"j{n}", f"host{n}"), result="x" * (PAGE_BYTES * 3 // 4)))
        scene.dispatcher.wake()
        await scene.clock.settle()
        assert await scene.outbox.counts() == {"delivered": 4}
        assert scene.clock.now() == START
