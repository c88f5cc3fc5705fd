"""One box polls: a frozen or unsure one takes nothing on, its successor knows what lives."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from aiohttp import web

from secondunit.queue.errors import DutyLost
from secondunit.queue.ports.duties import Candidate, Tenure
from tests.unit.daemon.automation.poller.scene import Box, rows


async def tenure(box: Box, boot: str, lasts: bool = True) -> Tenure:
    """The duty of a boot, taken whoever had it."""
    late = box.clock.now() + timedelta(days=len(boot))
    [duty] = await box.store.duties.take(["poller"], Candidate(boot, timedelta(seconds=6), late))
    assert duty.boot == boot
    return Tenure(duty, lambda: lasts)


async def test_a_box_that_was_frozen_in_a_poll_takes_nothing_on(box: Box) -> None:
    box.online.rows, box.online.hold = rows("a"), asyncio.Event()
    stale = asyncio.create_task(box.poller.run(await tenure(box, "a/1")))
    while not box.online.limits:
        await asyncio.sleep(0.01)
    await tenure(box, "another/1")
    box.online.hold.set()
    with pytest.raises(DutyLost):
        await stale
    assert await box.jobs() == {} and not box.poller.on_duty


async def test_who_is_not_sure_to_poll_any_more_claims_nothing_at_the_backend(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 204
    polling = asyncio.create_task(box.poller.run(await tenure(box, "a/1", lasts=False)))
    while not box.poller.polls:
        await asyncio.sleep(0.01)
    polling.cancel()
    assert box.online.claims == [] and await box.jobs() == {}


async def test_who_polls_no_more_knows_of_no_trouble_and_who_takes_over_knows_what_lives(box: Box) -> None:
    box.online.rows = rows("a")
    first = asyncio.create_task(box.poller.run())
    while not box.poller.polls:
        await asyncio.sleep(0.01)
    box.online.answer = lambda _: web.Response(status=503)
    assert box.poller.on_duty and len(box.poller.live) == 1
    await box.poller.poll()
    assert box.poller.state.down_since is not None
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    assert not box.poller.on_duty and box.poller.state.down_since is None and box.poller.state.answered_at is None
    box.online.answer = None
    second = box.another()
    task = asyncio.create_task(second.run())
    while not second.polls:
        await asyncio.sleep(0.01)
    assert list(second.live.values()) == ["a"] and await box.total() == 1
    task.cancel()
