"""What a job missed for a passing reason, looked for again later: when, how often, and what holds it back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.automation.partial_retry import WAITS, DueRetry, PartialRetrier, RetriedByItself, next_retry
from secondunit.handlers.locations.result import passing
from secondunit.queue import state
from secondunit.queue.handler import JobContext
from secondunit.queue.instrumentation import Fact
from secondunit.queue.model import JobId, Status
from secondunit.queue.outcome import Completed, Outcome, Partial
from secondunit.queue.state import QueueLimits
from secondunit.testing.rig import Rig, spec

MINUTE = 60.0
HOUR = 60 * MINUTE
MISSED = {"raw": "Shilin", "reason": "unavailable"}
RETRYABLE = Partial({"failed": [MISSED]}, [MISSED])
HOPELESS = Partial({"failed": [MISSED | {"reason": "not_found"}], "retryable": True}, [MISSED])


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


class Post:
    """A queue with jobs of a type that helps itself later, and the loop that looks after them."""

    def __init__(self, limits: QueueLimits = QueueLimits()) -> None:
        helps = {"retry_partial": passing, "trouble": lambda: self.trouble}
        self.specs = [spec("map", never, **helps), spec("plain", never), spec("other", never, retry_partial=passing)]
        self.rig = Rig(*self.specs, limits=limits)
        self.trouble: str | None = None
        self.told: list[tuple[JobId, int]] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """The loop runs, as in one life of the daemon."""
        partial_retrier = PartialRetrier(self.rig.clock, self.specs, self._hear)
        self.rig.hub.tap(partial_retrier.hear)
        task = asyncio.create_task(partial_retrier.run(self.rig.queue))
        await self.rig.clock.settle()
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, RetriedByItself)
        self.told.append((fact.job.id, fact.number))

    async def ended(self, outcome: Outcome = RETRYABLE, type: str = "map", **fields: Any) -> JobId:
        """A job that ended so."""
        job_id = await self.rig.submit(type, **fields)
        await self.end(job_id, outcome)
        return job_id

    async def end(self, job_id: JobId, outcome: Outcome = RETRYABLE) -> None:
        """Run it to this end."""
        now, job = self.rig.clock.now(), await self.rig.job(job_id)
        [started] = await self.rig.store.claim({job.type: 1}, 1, "boot", timedelta(minutes=1), now)
        assert started.id == job_id
        await self.rig.store.change(
            job_id, lambda job: state.settle(job, outcome, self.rig.runtime.random, now), lease=started.lease
        )

    async def status(self, job_id: JobId) -> Status:
        return (await self.rig.job(job_id)).status


@pytest.fixture
def post() -> Post:
    return Post()


async def test_it_is_tried_again_after_a_quarter_an_hour_four_and_twelve_and_then_not_again(post: Post) -> None:
    async with post.watching():
        job_id = await post.ended()
        for number, wait in enumerate(WAITS, 1):
            await post.rig.clock.leap(wait.total_seconds() - MINUTE)
            assert await post.status(job_id) is Status.PARTIAL
            await post.rig.clock.leap(2 * MINUTE)
            assert await post.status(job_id) is Status.QUEUED
            assert post.told[-1] == (job_id, number)
            await post.end(job_id)
        await post.rig.clock.leap(100 * HOUR)
    assert await post.status(job_id) is Status.PARTIAL
    assert len(post.told) == 4


async def test_the_count_survives_the_daemon(post: Post) -> None:
    job_id = await post.ended()
    async with post.watching():
        await post.rig.clock.leap(16 * MINUTE)
        assert await post.status(job_id) is Status.QUEUED
    await post.end(job_id)
    async with post.watching():
        await post.rig.clock.leap(59 * MINUTE)
        assert await post.status(job_id) is Status.PARTIAL
        await post.rig.clock.leap(2 * MINUTE)
    assert post.told == [(job_id, 1), (job_id, 2)]


async def test_what_came_due_while_the_daemon_was_away_is_tried_at_once(post: Post) -> None:
    job_id = await post.ended()
    await post.rig.clock.leap(5 * HOUR)
    async with post.watching():
        assert post.told == [(job_id, 1)]


@pytest.mark.parametrize(
    ("outcome", "type"),
    [(HOPELESS, "map"), (Completed({"failed": [MISSED]}), "map"), (RETRYABLE, "plain"),
     (Partial("text", ["x"]), "map"), (Partial({}, ["x"]), "map")],
)  # fmt: skip
async def test_what_trying_again_cannot_help_is_left_alone(post: Post, outcome: Outcome, type: str) -> None:
    async with post.watching():
        await post.ended(outcome, type)
        await post.rig.clock.leap(20 * HOUR)
    assert post.told == []


async def test_a_job_that_somebody_retried_meanwhile_waits_for_its_own_time(post: Post) -> None:
    async with post.watching():
        job_id = await post.ended()
        await post.rig.clock.leap(14 * MINUTE)
        await post.rig.queue.retry(job_id)
        await post.rig.clock.leap(10 * MINUTE)
        assert post.told == [], "it is live"
        await post.end(job_id)
        await post.rig.clock.leap(58 * MINUTE)
        assert post.told == []
        await post.rig.clock.leap(3 * MINUTE)
    assert post.told == [(job_id, 2)]


async def test_a_twin_that_is_live_stands_for_it(post: Post) -> None:
    async with post.watching():
        job_id = await post.ended(dedupe_key="taipei")
        await post.rig.submit("map", dedupe_key="taipei")
        await post.rig.clock.leap(HOUR)
    assert post.told == []
    assert await post.status(job_id) is Status.PARTIAL


async def test_in_trouble_one_at_a_time_goes_to_learn_when_it_is_over(post: Post) -> None:
    jobs = [await post.ended() for _ in range(3)]
    post.trouble = "geocoder_down"
    async with post.watching():
        await post.rig.clock.leap(HOUR)
        [(scout, _)] = post.told
        await post.end(scout, RETRYABLE)
        await post.rig.clock.leap(MINUTE)
        assert len(post.told) == 2, "the next one, for the trouble goes on"
        post.trouble = None
        await post.rig.clock.leap(MINUTE)
    assert sorted(job_id for job_id, _ in post.told) == sorted(jobs)


async def test_the_trouble_of_one_type_holds_no_other_back(post: Post) -> None:
    for type in ("map", "map", "other", "other"):
        await post.ended(type=type)
    post.trouble = "geocoder_down"
    async with post.watching():
        await post.rig.clock.leap(HOUR)
    jobs = [await post.rig.job(job_id) for job_id, _ in post.told]
    assert sorted(job.type for job in jobs) == ["map", "other", "other"]


async def test_a_drain_and_a_full_disk_only_put_it_off(post: Post) -> None:
    async with post.watching():
        job_id = await post.ended()
        post.rig.queue.draining = True
        await post.rig.clock.leap(HOUR)
        post.rig.queue.draining = False
        post.rig.store.full = True
        await post.rig.clock.leap(HOUR)
        assert await post.status(job_id) is Status.PARTIAL
        post.rig.store.full = False
        await post.rig.clock.leap(MINUTE)
    assert post.told == [(job_id, 1)]


async def test_a_key_whose_share_is_full_is_waited_for() -> None:
    post = Post(QueueLimits(of_one=1))
    async with post.watching():
        job_id = await post.ended(owner="A")
        other = await post.rig.submit("other", owner="A")
        await post.rig.clock.leap(HOUR)
        assert await post.status(job_id) is Status.PARTIAL
        await post.rig.queue.cancel(other)
        await post.rig.clock.leap(MINUTE)
    assert post.told == [(job_id, 1)]


@pytest.mark.parametrize("number", range(1, 6))
async def test_only_runs_that_ended_in_part_count(post: Post, number: int) -> None:
    job_id = await post.ended()
    for _ in range(number - 1):
        await post.rig.queue.retry(job_id)
        await post.end(job_id, Completed({}))
        await post.rig.queue.retry(job_id)
        await post.end(job_id)
    job = await post.rig.job(job_id)
    assert job.finished_at is not None
    assert next_retry(job, passing) == (
        DueRetry(number, job.finished_at + WAITS[number - 1]) if number <= len(WAITS) else None
    )
