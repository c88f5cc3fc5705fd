"""What failed or runs here is remembered: cooled down, passed over, kept over a restart."""

import asyncio

import pytest
from aiohttp import web

from secondunit.daemon.automation.polls import KEPT
from secondunit.queue.errors import Draining, QueueError, Saturated, StoreFull
from secondunit.queue.model import Status
from secondunit.queue.outcome import Completed
from secondunit.testing.jobs import BROKEN, TTL, held, settled
from tests.unit.daemon.automation.poller.scene import LIMIT, RESULT, Box, _asleep, row, rows


async def test_what_failed_here_cools_down_ever_longer_and_the_rest_is_not_blocked_by_it(box: Box) -> None:
    box.online.rows = rows("p1", "p2", "p3", "good")
    await box.poller.poll()
    await box.end(BROKEN)
    await box.arrived()
    await box.poller.poll()  # sees that three wait
    assert box.poller.state.waiting == 3 and await box.total() == 3
    await box.poller.poll()
    assert box.online.limits == [3, 3, 6] and "good" in await box.jobs()
    await box.end()
    ran = []
    for hour in range(1, 100):
        await box.clock.advance(3600)
        await box.poller.poll()
        if (await box.jobs())["p1"].status is Status.QUEUED:
            ran.append(hour)
        await box.end(BROKEN)
        await box.arrived()
    assert ran[:5] == [1, 3, 7, 15, 31] and set(map(int.__sub__, ran[5:], ran[4:])) == {24}


async def test_bad_and_refused_rows_at_the_head_do_not_block_the_rest(box: Box) -> None:
    box.online.rows = [row("../x"), row("r", "https://videos.example/refused"), row("s", "https://videos.example/refused"),
                       *rows("good")]  # fmt: skip
    await box.poller.poll()
    await box.poller.poll()
    await box.poller.poll()
    assert list(await box.jobs()) == ["good"]
    assert set(box.poller.quarantined) == {"r", "s"} and list(box.poller.live.values()) == ["good"]
    assert {poll.outcome for poll in box.poller.polls} == {"ok"} and sum(poll.taken for poll in box.poller.polls) == 1


@pytest.mark.parametrize("why", [StoreFull("the disk is full"), Saturated("1,000 wait"), Draining("it stops")])
async def test_where_the_queue_has_no_room_just_now_the_next_poll_asks_again(
    box: Box, monkeypatch: pytest.MonkeyPatch, why: QueueError
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise why

    box.online.rows = rows("a", "b")
    with monkeypatch.context() as full:
        full.setattr(box.queue, "submit", refuse)
        await box.poller.poll()
    assert box.online.claims == ["a"] and not box.poller.quarantined and not box.poller.state.waiting
    await box.poller.poll()
    assert [*await box.jobs()] == ["a", "b"]


async def test_what_came_of_the_last_polls_is_kept_newest_first(box: Box) -> None:
    box.online.rows = rows("a", "b")
    await box.poller.poll()
    box.online.answer = lambda _: web.Response(status=401)
    for _ in range(30):
        await box.poller.poll()
    assert len(box.poller.polls) == KEPT and {poll.outcome for poll in box.poller.polls} == {"refused"}
    assert box.poller.failures == 30 and "INTERNAL_API_KEY" in str(box.poller.polls[0].why)
    box.online.answer = None
    await box.poller.poll()
    assert (box.poller.polls[0].outcome, box.poller.polls[0].found, box.poller.failures) == ("ok", 2, 0)


async def test_a_restart_remembers_what_runs_what_failed_and_what_is_on_its_way(box: Box) -> None:
    box.online.answer = lambda _: web.json_response(rows("failed", "sent", "runs", "new"))
    box.online.rows = rows("failed", "sent")
    await box.poller.poll()
    jobs = await box.jobs()
    await box.store.claim({"analyze": 1}, 1, "boot", TTL, box.clock.now())
    first = await box.store.get(jobs["failed"].id)
    await box.store.change(first.id, settled(BROKEN, box.clock.now()), lease=held(first))
    [second] = await box.store.claim({"analyze": 1}, 1, "boot", TTL, box.clock.now())
    await box.store.change(second.id, settled(Completed(RESULT), box.clock.now()), lease=held(second))
    before = await box.total()
    again = box.another()
    task = asyncio.create_task(again.run())
    await _asleep(box.clock)
    task.cancel()
    taken = set(await box.jobs())
    assert await box.total() - before == len(taken) - len(jobs)
    assert (await box.jobs())["failed"].status is Status.FAILED and (await box.jobs())["sent"].status.ended
    assert len([job for job in (await box.jobs()).values() if not job.status.ended]) <= LIMIT
