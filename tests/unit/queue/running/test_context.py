"""What a run can do of its job: progress, phases, steps and paid steps."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.queue.errors import LeaseLost
from secondunit.queue.handler import Workspace
from secondunit.queue.instrumentation import PhaseEnded, StepInDoubt
from secondunit.queue.model import Change, Event, JobId, Status
from secondunit.queue.outcome import Deterministic, Postponed, Transient, Unanswered, classify
from secondunit.queue.payloads.arguments import LARGEST_JSON, LONGEST_MESSAGE, clean, to_json
from secondunit.queue.running.context import FULL_DISK_PAUSE, RunContext
from secondunit.queue.state import expire, retry, settle
from secondunit.queue.value import replace
from secondunit.testing.jobs import claim, held, listened, submit
from secondunit.testing.rig import Rig

TROUBLE = [Transient("429"), Deterministic("400"), Postponed("quota", delay=timedelta(hours=1))]


class Work:
    """Something to do in a step; counts how often it was done."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.done = 0

    async def __call__(self) -> Any:
        self.done += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Runs(Rig):
    """One job, and the contexts of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Event] = []
        self.hub.tap(self.told.extend)

    async def begin(self) -> RunContext:
        """The first run, or the next one after the daemon died."""
        if "a" not in self.store._jobs:
            await submit(self.store, "a", labels={"video": "v"})
        else:
            await self.change("a", expire, self.clock.now())
        return await self.claimed()

    async def claimed(self) -> RunContext:
        [job] = await claim(self.store, 1, at=self.clock.now())
        space = Workspace(Path("run"), Path("kept"), Path("log"))
        return RunContext(job, held(job), space, self.store, self.hub, self.clock, self.runtime.emit)

    async def fail_in_doubt(self, ctx: RunContext, work: Work) -> None:
        """The run meets the doubt and fails for it; then somebody retries the job."""
        with pytest.raises(Deterministic) as caught:
            await ctx.step("s", work, paid="fail")
        outcome, now = classify(caught.value), self.clock.now()
        assert (await self.change("a", settle, outcome, self.runtime.random, now)).status is Status.FAILED
        await self.change("a", retry, now)

    @property
    def fractions(self) -> list[float]:
        """The progress that live readers were told."""
        return [round(event.progress, 6) for event in self.told if event.name == "progress"]


async def test_a_run_knows_its_job() -> None:
    ctx = await Runs().begin()
    assert (ctx.job_id, ctx.attempt, ctx.epoch, ctx.labels) == ("a", 1, 1, {"video": "v"})
    assert ctx.workspace.run == Path("run")


async def test_progress_is_stored_and_published() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.progress(0.25, "a quarter")
    job = await runs.job("a")
    assert (job.progress, job.message) == (0.25, "a quarter")
    [event] = [e for e in runs.told if e.name == "progress"]
    assert (event.seq, event.progress, event.message, event.status) == (0, 0.25, "a quarter", job.status)


async def test_progress_is_told_at_most_twice_a_second_and_the_last_of_it_is_not_lost() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for percent in range(100):
        await ctx.progress(percent / 100)
        await runs.clock.advance(0.05)
    assert len(runs.fractions) <= 10
    await ctx.flush()
    assert runs.fractions[-1] == (await runs.job("a")).progress == 0.99
    told = len(runs.fractions)
    await runs.clock.advance(5)
    await ctx.flush()
    assert len(runs.fractions) == told, "nothing new, nothing told"


async def test_progress_never_falls_and_stays_between_nothing_and_all() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for fraction in (-1, 0.5, 0.2, 7, 0.9):
        await ctx.progress(fraction)
        await runs.clock.advance(1)
    assert runs.fractions == [0.0, 0.5, 1.0]


async def test_only_news_counts_as_moving() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.progress(0.5, "x")
    await runs.clock.advance(60)
    await ctx.progress(0.5, "x")
    assert ctx.moved == 0
    await ctx.progress(0.51, "x")
    assert ctx.moved == 60


async def test_a_full_disk_does_not_stop_a_run_that_reports_progress() -> None:
    runs = Runs()
    ctx = await runs.begin()
    runs.store.full = True
    await ctx.progress(0.5)
    runs.store.full = False
    await runs.clock.advance(1)
    await ctx.progress(0.6)
    assert runs.fractions == [0.6]


async def test_phases_weigh_parts_of_the_whole() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for name, weight in [("metadata", 0.1), ("compression", 0.25), ("summary", 0.35), ("geocode", 0.3)]:
        async with ctx.phase(name, weight):
            assert (await runs.job("a")).phase == name
            await runs.clock.advance(1)
            await ctx.progress(0.5)
            await runs.clock.advance(1)
    await ctx.flush()
    assert runs.fractions == [0.0, 0.05, 0.1, 0.225, 0.35, 0.525, 0.7, 0.85, 1.0]


async def test_a_phase_within_a_phase_takes_its_share_of_it() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("outer", 0.5):
        async with ctx.phase("first", 0.5):
            await ctx.progress(0.5)
            await runs.clock.advance(1)
            await ctx.flush()
        async with ctx.phase("second", 0.5):
            pass
        await ctx.flush()
        assert (await runs.job("a")).progress == 0.5
    await ctx.flush()
    assert (await runs.job("a")).progress == 0.5, "half of the whole, whatever was inside"
    async with ctx.phase("rest", 0.5):
        pass
    await ctx.flush()
    assert runs.fractions == [0.0, 0.125, 0.25, 0.5, 1.0]


async def test_phases_that_weigh_too_much_never_pass_their_end() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("outer", 0.5):
        for name in "abc":
            async with ctx.phase(name, 0.9):
                await ctx.progress(1)
        await ctx.flush()
        assert (await runs.job("a")).progress == 0.5
    for name in "de":
        async with ctx.phase(name, 0.9):
            await ctx.partial({"n": 1})
    assert max(event.progress for event in runs.told) == 1.0


async def test_a_failing_phase_is_not_reported_as_done() -> None:
    runs = Runs()
    ctx = await runs.begin()
    with pytest.raises(RuntimeError):
        async with ctx.phase("one", 0.5):
            raise RuntimeError
    await ctx.flush()
    assert (await runs.job("a")).progress == 0


async def test_the_seconds_of_each_phase_are_reported() -> None:
    runs = Runs()
    ctx = await runs.begin()
    async with ctx.phase("one", 0.5):
        await runs.clock.advance(3)
    with pytest.raises(RuntimeError):
        await failing_phase(runs, ctx)
    assert runs.heard(PhaseEnded) == [PhaseEnded("hls", "one", 3.0), PhaseEnded("hls", "two", 4.0)]


async def test_partial_data_goes_to_live_readers_as_json() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.partial({"places": ("a", "b")})
    assert [(e.name, e.data, e.seq) for e in runs.told[-1:]] == [("data", {"places": ["a", "b"]}, 0)]
    with pytest.raises(Deterministic, match="JSON"):
        await ctx.partial({1, 2})
    assert [e.name for e in runs.told].count("data") == 1


async def test_figures_are_stored_with_the_job() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await ctx.stats(tokens=3, places=1)
    await ctx.stats(tokens=5)
    assert (await runs.job("a")).stats == {"tokens": 5, "places": 1}


async def test_a_finished_step_is_not_done_again() -> None:
    runs, work = Runs(), Work({"n": 1}, {"n": 2})
    assert await (await runs.begin()).step("s", work) == {"n": 1}
    ctx = await runs.begin()
    assert await ctx.step("s", work) == {"n": 1}
    assert await ctx.step("other", work) == {"n": 2}
    assert work.done == 2


async def test_a_step_that_failed_is_done_again() -> None:
    runs, work = Runs(), Work(RuntimeError("no"), "yes")
    with pytest.raises(RuntimeError):
        await (await runs.begin()).step("s", work)
    assert await (await runs.begin()).step("s", work) == "yes"


async def test_a_step_is_done_again_when_a_file_it_made_is_gone(tmp_path: Path) -> None:
    runs, work, file = Runs(), Work("made"), tmp_path / "made"
    file.touch()

    def keeps(result: str) -> list[Path]:
        return [tmp_path, tmp_path / result]

    for expected in (1, 1):
        await (await runs.begin()).step("s", work, keeps=keeps)
        assert work.done == expected
    file.unlink()
    with pytest.raises(FileNotFoundError):  # what is not there can't be kept
        await (await runs.begin()).step("s", work, keeps=keeps)
    assert work.done == 2


@pytest.mark.parametrize("now", [b"", b"picturf", b"pictur", None])
async def test_a_step_is_done_again_when_a_file_it_made_is_no_longer_the_same(
    tmp_path: Path, now: bytes | None
) -> None:
    file = tmp_path / "made"
    made = 0

    async def make() -> str:
        nonlocal made
        made += 1
        if now is None and made > 1:
            await asyncio.to_thread(file.rmdir)
        await asyncio.to_thread(file.write_bytes, b"picture")
        return "made"

    runs = Runs()
    for _ in range(2):
        await (await runs.begin()).step("s", make, keeps=lambda name: [tmp_path / name])
    assert made == 1
    if now is None:
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(now)
    await (await runs.begin()).step("s", make, keeps=lambda name: [tmp_path / name])
    assert (made, file.read_bytes()) == (2, b"picture")


async def test_a_file_is_on_the_disk_with_its_folders_before_its_step_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    at_the_store: list[str] = []
    folder = tmp_path / "work" / "kept"
    folder.mkdir(parents=True)
    runs = Runs()
    finish = runs.store.steps.finish

    async def noted(*args: Any, **named: Any) -> Any:
        at_the_store.extend(synced)
        return await finish(*args, **named)

    monkeypatch.setattr(runs.store.steps, "finish", noted)

    async def make() -> str:
        await asyncio.to_thread((folder / "made").write_bytes, b"picture")
        return "made"

    await (await runs.begin()).step("s", make, keeps=lambda name: [folder / name])
    assert at_the_store[0] == str(folder / "made")
    assert {str(folder), str(tmp_path / "work"), str(tmp_path)} <= set(at_the_store)


async def test_a_steps_result_is_the_same_now_and_later() -> None:
    runs, work = Runs(), Work({1: ("a", None)})
    now = await (await runs.begin()).step("s", work)
    assert now == await (await runs.begin()).step("s", work) == {"1": ["a", None]}


@pytest.mark.parametrize(
    ("result", "type"), [({1, 2}, "not_json"), (float("nan"), "not_json"), ("x" * LARGEST_JSON, "too_large")]
)
async def test_a_result_that_can_not_be_stored_fails_its_step(result: Any, type: str) -> None:
    runs = Runs()
    ctx = await runs.begin()
    with pytest.raises(Deterministic) as caught:
        await ctx.step("s", Work(result))
    assert caught.value.type == type
    assert await runs.store.steps.get("a", "s") is None


async def test_a_finished_step_clears_earlier_deaths_of_the_daemon() -> None:
    runs = Runs()
    ctx = await runs.begin()
    await runs.change("a", lambda job: Change(replace(job, reclaims=2)))
    await ctx.step("s", Work("done"))
    assert (await runs.job("a")).reclaims == 0


async def test_a_step_counts_as_moving_also_when_it_is_remembered() -> None:
    runs = Runs()
    ctx = await runs.begin()
    for expected in (10, 20):
        await runs.clock.advance(10)
        await ctx.step("s", Work("done"))
        assert ctx.moved == expected


async def test_a_cancellation_does_not_lose_a_result_that_is_being_stored() -> None:
    runs, work = Runs(), Work("paid for")
    ctx = await runs.begin()
    runs.store.full = True
    stepping = asyncio.create_task(ctx.step("s", work, paid="fail"))
    # the intent must be on disk before the call
    await runs.clock.settle()
    assert work.done == 0 and stepping.done()
    stepping.exception()

    async def then_full() -> str:
        runs.store.full = True
        return "paid for"

    runs.store.full = False
    stepping = asyncio.create_task(ctx.step("s", then_full, paid="fail"))
    await runs.clock.settle()
    stepping.cancel()
    await runs.clock.settle()
    assert not stepping.done()
    runs.store.full = False
    await runs.clock.advance(FULL_DISK_PAUSE)
    with pytest.raises(asyncio.CancelledError):
        await stepping
    assert await (await runs.begin()).step("s", work, paid="fail") == "paid for"
    assert work.done == 0


async def test_a_second_cancellation_ends_a_step_that_waits_for_room() -> None:
    runs = Runs()
    ctx = await runs.begin()
    runs.store.full = True
    stepping = asyncio.create_task(ctx.step("s", Work("x")))
    for _ in range(2):
        await runs.clock.settle()
        stepping.cancel()
    await runs.clock.settle()
    assert stepping.cancelled() and runs.clock.sleepers == 0


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


@pytest.mark.parametrize("paid", [None, "repeat"])
async def test_a_run_that_lost_its_lease_can_write_nothing(paid: Any) -> None:
    runs = Runs()
    old, work = await runs.begin(), Work("x")
    await runs.begin()
    before, heard = await runs.job("a"), listened(runs.store)
    with pytest.raises(LeaseLost):
        await old.progress(0.5)
    with pytest.raises(LeaseLost):
        await old.stats(n=1)
    with pytest.raises(LeaseLost):
        await old.step("s", work, paid=paid)
    assert work.done == (0 if paid else 1), "a paid call is not even sent"
    assert (await runs.job("a"), await runs.store.steps.get("a", "s"), heard) == (before, None, [])


def test_messages_fit_a_row() -> None:
    assert clean("a\0b\ud800c") == "ab?c"
    assert len(clean("x" * 9000)) == LONGEST_MESSAGE


def test_json_comes_back_as_json() -> None:
    assert to_json({"a": (1, None)}, "x") == {"a": [1, None]}


async def failing_phase(runs: Runs, ctx: RunContext) -> None:
    async with ctx.phase("two", 0.5):
        await runs.clock.advance(4)
        raise RuntimeError
