"""Claims at the backend: between boxes, without an answer, where there are none."""

import asyncio

import pytest
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from secondunit.daemon.automation.backend import Backend
from secondunit.daemon.wiring.backend import operators_session
from secondunit.testing.clock import ManualClock
from tests.unit.daemon.automation.poller.scene import Box, Online, rows


async def test_an_analysis_that_another_box_claimed_is_left_to_it(box: Box) -> None:
    box.online.claim_status = 409
    box.online.rows = rows("a")
    await box.poller.poll()
    assert await box.total() == 0 and box.online.claims == ["a"]
    box.online.claim_status = 200
    await box.poller.poll()
    assert await box.total() == 1


async def test_a_box_that_drains_takes_nothing_from_the_others(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 204
    box.queue.draining = True
    await box.poller.poll()
    assert box.online.claims == [] and box.poller.state.found == 1
    box.queue.draining = False
    await box.poller.poll()
    assert box.online.claims == ["a"] and await box.total() == 1


async def test_a_backend_without_claims_is_asked_for_one_only_once(box: Box) -> None:
    box.online.rows = rows("a", "b")
    await box.poller.poll()
    assert box.online.claims == ["a"] and await box.total() == 2


@pytest.mark.parametrize(("offers", "done"), [("once", 1), ("everybody", 2), ("none", 2)])
async def test_what_two_boxes_do_depends_on_the_claims_that_the_backend_grants(offers: str, done: int) -> None:
    online, clock, lines = Online(), ManualClock(), []
    online.rows, online.grants_once = rows("a", "b", "c"), offers == "once"
    online.claim_status = 204 if offers == "everybody" else 404
    async with TestServer(online.app()) as server, operators_session("test") as session:
        url = str(server.make_url("")).rstrip("/")
        boxes = [Box(online, Backend(session, url, None, clock, box=name), clock) for name in ("one", "twö\n")]
        with capture_logs() as lines:
            for _ in range(3):
                await asyncio.gather(*(box.poller.poll() for box in boxes))
        ids = [id for box in boxes for id in await box.jobs()]
    assert sorted(ids) == sorted(["a", "b", "c"] * done)
    told = [line["message"] for line in lines if line["event"] == "backend.no_claims"]
    assert len(told) == (2 if offers == "none" else 0) and all("does and pays each again" in text for text in told)


async def test_a_claim_without_an_answer_is_asked_for_again_before_it_is_done_without(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 500
    for _ in range(2):
        await box.poller.poll()
        assert await box.total() == 0
    await box.poller.poll()
    assert await box.total() == 1 and box.online.claims == ["a"] * 3


async def test_one_that_is_gone_does_not_mean_that_there_are_no_claims(box: Box) -> None:
    box.online.rows, box.online.claim_status = rows("a"), 204
    await box.poller.poll()
    box.online.rows, box.online.claim_status = rows("b"), 404
    await box.poller.poll()
    box.online.claim_status = 409
    await box.poller.poll()
    assert box.online.claims == ["a", "b", "b"] and list(await box.jobs()) == ["a"]
