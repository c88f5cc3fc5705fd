from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from secondunit.daemon.automation.backend import REFUSED_PAUSE, BackendSender
from secondunit.daemon.delivery.dispatcher import DeliveryTried
from secondunit.daemon.delivery.policy import Delivered, Gone, TryLater
from secondunit.queue.outcome import Completed
from secondunit.queue.value import replace
from secondunit.testing.jobs import BROKEN, TTL, held, settled
from tests.unit.daemon.automation.poller.scene import RESULT, Box, rows


async def test_a_result_goes_back_with_its_key_and_epoch_and_the_same_at_every_try(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    assert await box.deliver() == [Delivered(204)]
    await box.deliver()
    assert box.online.puts[0] == box.online.puts[1]
    [id, body, key, epoch] = box.online.puts[0]
    assert (id, body, epoch) == ("a", RESULT, "1") and key.startswith((await box.jobs())["a"].id)


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ((409, {}), Delivered(409)),
        ((412, {}), Delivered(412)),
        ((404, {}), Gone("the backend does not know this analysis any more", 404)),
        ((410, {}), Gone("the backend does not know this analysis any more", 410)),
        ((401, {}), TryLater("the backend answered 401: check INTERNAL_API_KEY", 401, REFUSED_PAUSE)),
        ((503, {"Retry-After": "90"}), TryLater("the backend answered 503", 503, timedelta(seconds=90))),
        ((500, {}), TryLater("the backend answered 500", 500)),
    ],
)
async def test_the_answer_to_a_result_is_judged(box: Box, answer: tuple[int, dict[str, str]], sent: Any) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    box.online.answer = lambda _: web.Response(status=answer[0], headers=answer[1])
    assert await box.deliver() == [sent]


async def test_a_result_goes_out_as_a_part_of_the_trace_that_is_made_here_and_else_of_none(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end()
    [delivery] = (await box.store.outbox.due(box.clock.now(), 10))[0]
    for sender in (BackendSender(box.backend), BackendSender(box.backend, trace=lambda _: "00-1-2-01")):
        await sender.send(delivery)
    assert box.online.traces == [None, "00-1-2-01"]


async def test_of_a_failed_job_the_backend_is_told_nothing(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end(BROKEN)
    [delivery] = (await box.store.outbox.due(box.clock.now(), 10))[0]
    assert not BackendSender(box.backend).tells(delivery)
    box.results(DeliveryTried(replace(delivery, state="delivered")))
    assert not box.online.puts and box.results.delivered == 0


async def test_a_result_that_is_no_analysis_is_given_up_not_sent(box: Box) -> None:
    box.online.rows = rows("a")
    await box.poller.poll()
    await box.end(Completed("nothing"))
    assert isinstance((await box.deliver())[0], Gone) and not box.online.puts


async def test_every_end_is_told_with_the_backend_s_id_and_the_reason(box: Box) -> None:
    box.online.rows = rows("good", "bad", "gone")
    await box.poller.poll()
    jobs = await box.jobs()
    with capture_logs() as lines:
        await box.queue.cancel(jobs["gone"].id)
        outcomes: dict[str, Any] = {jobs["good"].id: Completed(RESULT), jobs["bad"].id: BROKEN}
        for job in await box.store.claim({"analyze": 100}, 100, "boot", TTL, box.clock.now()):
            await box.store.change(job.id, settled(outcomes[job.id], box.clock.now()), lease=held(job))
    told = {line["analysis_id"]: line["message"] for line in lines if line["event"] != "backend.processing"}
    assert told["good"] == "[Active Mode] Submitting result for job good"
    assert told["bad"] == f"[Active Mode] Job bad failed: {BROKEN.error.message}; the backend keeps it as failed"
    assert told["gone"] == "[Active Mode] Job gone cancelled: cancelled on request; the backend keeps it as failed"
