import asyncio
from contextlib import suppress

import pytest

from secondunit.queue.model import Status
from secondunit.queue.outcome import Deterministic, Transient
from tests.http.analyses.kitchen import RECIPE, TOKENS, URL, WAIT, Kitchen, raw_request


async def test_who_prefers_not_to_wait_gets_the_job(kitchen: Kitchen) -> None:
    answer = await kitchen.post(status=202, headers={"Prefer": "respond-async"})
    assert answer["status"] in ("queued", "running")
    kitchen.endings.put_nowait("well")
    job = await kitchen.settled(Status.COMPLETED)
    assert job.id == answer["jobId"]


async def test_patience_ends_with_the_job_still_running(kitchen: Kitchen) -> None:
    caller = kitchen.asking()
    await kitchen.running()
    await kitchen.harness.clock.advance(WAIT - 1)
    assert not caller.done()
    caller.cancel()
    other = kitchen.asking(status=202)
    await kitchen.harness.until(lambda: kitchen.harness.readers >= 2)
    await kitchen.harness.clock.advance(WAIT)
    assert (await other) == {"jobId": kitchen.started[0][0], "status": "running"}


@pytest.mark.parametrize(
    ("ending", "status", "why"),
    [
        (Deterministic("it shows a cat", type="not_a_recipe"), 422, "deterministic"),
        (Transient("Gemini is down"), 502, "transient"),
        (TimeoutError(), 502, "timeout"),
    ],
)
async def test_a_failed_analysis_says_why_and_which_job_it_was(
    kitchen: Kitchen, ending: Exception, status: int, why: str
) -> None:
    kitchen.endings.put_nowait(ending)
    problem = await kitchen.post(status=status)
    assert problem["jobId"] == kitchen.started[0][0] and problem["error"]["class"] == why
    assert problem["detail"] == problem["error"]["message"]


async def test_a_cancelled_analysis_says_so(kitchen: Kitchen) -> None:
    caller = kitchen.asking("/analyze-from-url", json={"video_url": URL}, status=409)
    await kitchen.running()
    [job_id] = [job_id for job_id, _ in kitchen.started]
    cancelling = asyncio.ensure_future(kitchen.harness.queue.cancel(job_id))
    await kitchen.harness.until(lambda: kitchen.harness.stopped)
    kitchen.worker.stop_run(*kitchen.harness.stopped)
    await cancelling
    assert (await caller)["jobId"] == job_id


async def test_a_drain_answers_those_who_wait_and_takes_no_new_body(kitchen: Kitchen) -> None:
    caller = kitchen.asking(status=503)
    await kitchen.running()
    kitchen.harness.queue.draining = True
    async with raw_request(kitchen, "Content-Length: 100000") as (reader, _):
        assert b" 503 " in await reader.readline()
    kitchen.harness.stopping.set()
    problem = await caller
    assert problem["jobId"] == kitchen.started[0][0] and problem["error"] is None
    assert len(kitchen.kept()) == 1


async def test_twins_share_one_job_and_go_when_they_like(kitchen: Kitchen) -> None:
    first = kitchen.asking()
    await kitchen.running()
    second, third = kitchen.asking(), kitchen.asking()
    await kitchen.harness.until(lambda: kitchen.harness.readers >= 3)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    kitchen.endings.put_nowait("well")
    answers = await asyncio.gather(second, third)
    assert [answer["jobId"] for answer in answers] == [kitchen.started[0][0]] * 2
    assert len(kitchen.started) == 1


async def test_other_spellings_of_an_address_join_and_other_languages_do_not(kitchen: Kitchen) -> None:
    async def ask(url: str, **more: str) -> str:
        prefer = {"Prefer": "respond-async"}
        answer = await kitchen.post("/analyze-from-url", json={"video_url": url, **more}, status=202, headers=prefer)
        return str(answer["jobId"])

    job_id = await ask(URL)
    assert await ask(URL.replace("https://videos", "HTTPS://VIDEOS") + "#t=3") == job_id
    assert await ask(URL, language="de") != job_id


async def test_the_caller_that_leaves_loses_nothing(kitchen: Kitchen) -> None:
    caller = kitchen.asking()
    await kitchen.running()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    kitchen.endings.put_nowait("well")
    job = await kitchen.settled(Status.COMPLETED)
    answer = await kitchen.post()
    assert (answer["jobId"], answer["recipe"]) == (job.id, RECIPE)
    metadata = {"cached": True, "language": None, "cost": 0, "gemini_tokens": dict.fromkeys(TOKENS, 0)}
    assert answer["metadata"] == metadata | {"original": {"cost": 0.01, "gemini_tokens": TOKENS}}
    assert len(kitchen.started) == 1


async def test_a_tenant_shares_no_job_and_is_told_of_none_but_its_own(kitchen: Kitchen) -> None:
    harness = kitchen.harness
    one, two = await harness.key("submit", name="one"), await harness.key("submit", name="two")
    asking = [kitchen.asking(headers=one) for _ in range(2)]
    await harness.until(lambda: [job.sharers for job in harness.store._jobs.values()] == [2])
    asking.append(kitchen.asking(headers=two))
    await kitchen.running(2)
    for _ in range(2):
        kitchen.endings.put_nowait(None)
    first, same, other = [(await answer)["jobId"] for answer in asking]
    assert first == same != other
    late = kitchen.asking(headers=await harness.key("submit", name="three"))
    await kitchen.running(3)
    kitchen.endings.put_nowait(None)
    assert (await late)["jobId"] not in {first, other}, "who made what is stored stays untold"
