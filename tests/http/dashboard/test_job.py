"""The page of one job: its way with each wait, its attempts, and what its steps cost."""

import re
from datetime import timedelta
from typing import Any

from secondunit.daemon.dashboard.one_job.timeline import timeline
from secondunit.queue import state
from secondunit.queue.model import Job
from secondunit.queue.outcome import Completed, Failed, JobError, Postpone, Released

BROKEN = Failed(JobError("transient", "Broken", "no moov atom"))
GEMINI = """{"modelVersion": "gemini-2.5-flash", "usageMetadata":
    {"promptTokenCount": 1000000, "candidatesTokenCount": 100000, "thoughtsTokenCount": 100000}}"""


def entries(job: Job) -> list[tuple[str, str, float | None]]:
    return [(one.kind, one.word, None if one.span is None else one.span.total_seconds()) for one in timeline(job)]


def cells_of(page: Any) -> list[str]:
    return [re.sub(r"\s+", " ", tag.text).strip() for tag in page.all("td")]


async def test_a_timeline_has_every_wait_and_its_reason(visit: Any) -> None:
    harness = (await visit()).harness
    job_id = await harness.submit("idle")
    assert entries(await harness.store.get(job_id)) == [("submitted", "", None), ("wait", "turn", None)]
    await harness.clock.advance(4)
    await harness.start(job_id)
    await harness.clock.advance(1)
    await harness.settle(job_id, Released("the daemon restarts"))
    await harness.clock.advance(2)
    await harness.start(job_id)
    await harness.clock.advance(3)
    await harness.settle(job_id, BROKEN)
    waiting = entries(await harness.store.get(job_id))
    assert waiting[-1] == ("wait", "backoff", None)
    await harness.clock.advance(20)
    await harness.settle(job_id, Postpone(timedelta(seconds=5), "the quota is used up"))
    await harness.clock.advance(6)
    await harness.settle(job_id, Completed({}))
    await harness.clock.advance(60)
    await harness.queue.retry(job_id)
    await harness.start(job_id)
    told = timeline(await harness.store.get(job_id))
    assert entries(await harness.store.get(job_id)) == [
        ("submitted", "", None),
        ("wait", "turn", 4),
        ("run", "interrupted", 1),
        ("wait", "interrupted", 2),
        ("run", "failed", 3),
        ("wait", "backoff", 20),
        ("run", "postponed", 0),
        ("wait", "postponed", 6),
        ("run", "completed", 0),
        ("wait", "again", 60),
        ("running", "", None),
    ]
    assert [one.text for one in told if one.text] == ["the daemon restarts", "no moov atom", "the quota is used up"]


async def test_a_timeline_has_the_phases_of_ended_runs_and_of_the_one_that_goes_on(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle")

    async def run(*phases: str) -> Any:
        lease = await harness.start(job_id)
        for name in phases:
            now = harness.clock.now()
            await harness.store.change(
                job_id, lambda job, name=name, now=now: state.progress(job, 0.2, None, name, now)
            )
            await harness.clock.advance(7)
        return lease

    await run("probe", "encode")
    await harness.settle(job_id, BROKEN)
    await harness.clock.advance(20)
    await run("probe")
    assert [one for one in entries(await harness.store.get(job_id)) if one[0] in ("phase", "run")] == [
        ("run", "failed", 14), ("phase", "probe", 7), ("phase", "encode", 7), ("phase", "probe", None),
    ]  # fmt: skip
    page = await browser.open(f"/jobs/{job_id}")
    assert page.says("Phase encode") and page.says("7.0 s")
    twin = await harness.call("GET", f"/api/jobs/{job_id}")
    [attempt] = twin["attempts"]
    assert [(one["name"], one["duration"]) for one in attempt["phases"]] == [("probe", 7000), ("encode", 7000)]
    assert [(one["name"], one["duration"]) for one in twin["phases"]] == [("probe", None)]


async def test_a_timeline_says_that_its_beginning_is_forgotten(visit: Any) -> None:
    harness = (await visit()).harness
    job_id = await harness.submit("idle")
    for _ in range(51):
        await harness.settle(job_id, Released("the daemon restarts"))
        await harness.clock.advance(1)
    kinds = [one.kind for one in timeline(await harness.store.get(job_id))]
    assert kinds[:3] == ["submitted", "forgotten", "run"] and kinds.count("run") == 50


async def test_a_wait_for_other_jobs_says_so_and_leads_to_them(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    parent = await harness.submit("idle")
    child = await harness.submit("idle", dependsOn=[parent])
    assert entries(await harness.store.get(child))[-1] == ("wait", "parents", None)
    page = await browser.open(f"/jobs/{child}")
    assert page.says("It depends on") and page.all("a", href=f"/jobs/{parent}")
    page = await browser.open(f"/jobs/{parent}")
    assert page.says("These depend on it") and page.all("a", href=f"/jobs/{child}")


async def test_attempts_come_newest_first_with_their_errors(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle", retryPolicy={"maxRetries": 1, "backoff": "fixed", "initialDelay": 0})
    await harness.settle(job_id, Failed(JobError("transient", "First", "<b>one</b>")))
    await harness.clock.advance(1)
    await harness.settle(job_id, Failed(JobError("transient", "Second", "two")))
    page = await browser.open(f"/jobs/{job_id}")
    cells = cells_of(page)
    assert cells[::5] == ["2", "1"]
    assert cells[4::5] == ["Second transienttwo", "First transient<b>one</b>"]
    assert page.says("failed") and page.says("it failed at")


async def test_steps_say_what_they_cost(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    job_id = await harness.submit("idle")
    lease, now = await harness.start(job_id), harness.clock.now()
    steps = harness.store.steps

    def move(job: Job) -> Any:
        return state.step_done(job, now)

    await steps.finish(lease, "frames", {"path": "/x"}, move, now)
    await steps.intend(lease, "recipe", now)
    await steps.finish(lease, "recipe", {"body": GEMINI}, move, now)
    await steps.intend(lease, "recipe-repair", now)
    page = await browser.open(f"/jobs/{job_id}")
    cells, spent = cells_of(page), ["1,000,000", "200,000", "$0.8000"]
    place = cells.index("recipe gemini-2.5-flash")
    assert cells[place + 1] == "done" and cells[place + 3 : place + 6] == spent
    assert cells[cells.index("recipe-repair") + 1] == "sent once, no answer yet"
    assert cells[-3:] == spent, "in all"
