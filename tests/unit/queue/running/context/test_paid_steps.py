"""Paid steps: on record before they are sent, in doubt after a cut, never charged twice unasked."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.instrumentation import StepInDoubt
from secondunit.queue.model import JobId
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered
from secondunit.queue.running.context import FULL_DISK_PAUSE
from tests.unit.queue.running.context.scene import Runs, Work

TROUBLE = [Transient("429"), Deterministic("400"), Postponed("quota", delay=timedelta(hours=1))]


async def sends(runs: Runs) -> int:
    step = await runs.store.steps.get("a", "s")
    return 0 if step is None or step.done else step.sends


async def test_a_paid_call_is_on_record_before_it_is_made() -> None:
    runs = Runs()
    ctx = await runs.begin()

    async def work() -> int:
        return await sends(runs)

    assert await ctx.step("s", work, paid="repeat") == 1


@pytest.mark.parametrize("policy", ["repeat", "fail"])
async def test_a_paid_answer_is_never_asked_for_again(policy: Any) -> None:
    runs, work = Runs(), Work("answer")
    for _ in range(2):
        assert await (await runs.begin()).step("s", work, paid=policy) == "answer"
    assert work.done == 1


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_refused_call_leaves_no_doubt(trouble: Exception) -> None:
    runs, work = Runs(), Work(trouble, trouble, trouble, "answer")
    ctx = await runs.begin()
    for _ in range(3):
        with pytest.raises(type(trouble)):
            await ctx.step("s", work, paid="fail")
        assert await sends(runs) == 0
    assert await ctx.step("s", work, paid="fail") == "answer"


async def test_a_refusal_is_put_on_record_once_the_disk_has_room() -> None:
    runs = Runs()
    ctx = await runs.begin()

    async def work() -> None:
        runs.store.full = True
        raise Transient("429")

    stepping = asyncio.create_task(ctx.step("s", work, paid="fail"))
    await runs.clock.settle()
    runs.store.full = False
    await runs.clock.advance(FULL_DISK_PAUSE)
    with pytest.raises(Transient, match="429"):
        await stepping
    assert await sends(runs) == 0


@pytest.mark.parametrize("cut", [Unanswered("no answer"), RuntimeError("crash"), asyncio.CancelledError()])
async def test_a_call_that_was_cut_off_is_in_doubt_and_sent_at_most_twice(cut: BaseException) -> None:
    runs, work = Runs(), Work(cut)

    def found() -> list[tuple[JobId, str, int]]:
        return [(doubt.job.id, doubt.step, doubt.sends) for doubt in runs.heard(StepInDoubt)]

    for _ in range(2):
        with pytest.raises(type(cut)):
            await (await runs.begin()).step("s", work, paid="repeat")
    assert found() == [("a", "s", 1)]
    with pytest.raises(Deterministic) as caught:
        await (await runs.begin()).step("s", work, paid="repeat")
    assert (caught.value.type, work.done, found()) == ("in_doubt", 2, [("a", "s", 1), ("a", "s", 2)])
    assert (await runs.store.get("a")).stats == {"in_doubt": {"s": 2}}


async def test_a_step_that_must_not_be_sent_twice_fails_when_in_doubt() -> None:
    runs, work = Runs(), Work(Unanswered("no answer"))
    with pytest.raises(Unanswered):
        await (await runs.begin()).step("s", work, paid="fail")
    with pytest.raises(Deterministic) as caught:
        await (await runs.begin()).step("s", work, paid="fail")
    assert (caught.value.type, work.done) == ("in_doubt", 1)


async def test_retrying_a_job_that_failed_in_doubt_accepts_another_charge() -> None:
    runs, work = Runs(), Work(Unanswered("no answer"), Transient("429"), "answer")
    with pytest.raises(Unanswered):
        await (await runs.begin()).step("s", work, paid="fail")
    ctx = await runs.begin()
    await runs.fail_in_doubt(ctx, work)
    ctx = await runs.claimed()
    with pytest.raises(Transient):
        await ctx.step("s", work, paid="fail")
    assert await ctx.step("s", work, paid="fail") == "answer"


async def test_a_doubt_that_comes_after_the_retry_counts_again() -> None:
    runs, work = Runs(), Work(Unanswered("no answer"))
    with pytest.raises(Unanswered):
        await (await runs.begin()).step("s", work, paid="fail")
    await runs.fail_in_doubt(await runs.begin(), work)
    await runs.clock.advance(1)
    with pytest.raises(Unanswered):
        await (await runs.claimed()).step("s", work, paid="fail")
    await runs.clock.advance(1)
    with pytest.raises(Deterministic) as caught:
        await (await runs.begin()).step("s", work, paid="fail")
    assert (caught.value.type, work.done) == ("in_doubt", 2)
