"""The kit that handler tests lean on keeps the rules that a real run keeps."""

from pathlib import Path

import pytest

from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient, Unanswered
from secondunit.testing.handler_kit import FakeContext, Report


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path, labels={"video": "v1"})


async def answer() -> dict[str, object]:
    return {"places": ("a", "b")}


async def test_it_is_a_job_context(ctx: FakeContext) -> None:
    context: JobContext = ctx
    assert (context.job_id, context.attempt, context.epoch, context.labels) == ("job_test", 1, 1, {"video": "v1"})
    assert context.workspace.run.is_dir() and context.workspace.kept.is_dir()


async def test_it_records_progress_of_the_whole_work(ctx: FakeContext) -> None:
    await ctx.progress(0.0, "begun")
    async with ctx.phase("encode", 0.8):
        await ctx.progress(0.5)
    async with ctx.phase("verify", 0.2):
        pass
    assert ctx.reports[0] == Report(0.0, "begun", None)
    assert ctx.fraction == 1.0


async def test_phases_follow_each_other_and_nest(ctx: FakeContext) -> None:
    async with ctx.phase("a", 0.5):
        async with ctx.phase("inner", 0.5):
            await ctx.progress(0.5)
        await ctx.progress(0.5)
    async with ctx.phase("b", 0.5):
        await ctx.progress(0.0)
    fractions = [(report.phase, report.fraction) for report in ctx.reports]
    assert fractions == [
        ("a", 0.0),
        ("inner", 0.0),
        ("inner", 0.125),
        ("inner", 0.25),
        ("a", 0.5),
        ("a", 0.5),
        ("b", 0.5),
        ("b", 0.5),
        ("b", 1.0),
    ]


async def test_falling_progress_fails_the_test(ctx: FakeContext) -> None:
    await ctx.progress(0.5)
    with pytest.raises(AssertionError, match=r"fell from 0.5 to 0.4"):
        await ctx.progress(0.4)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, 50, float("nan")])
async def test_progress_beyond_its_range_fails_the_test(ctx: FakeContext, fraction: float) -> None:
    with pytest.raises(AssertionError, match="0 to 1"):
        await ctx.progress(fraction)


async def test_phases_that_weigh_too_much_fail_the_test(ctx: FakeContext) -> None:
    async with ctx.phase("a", 0.7):
        pass
    with pytest.raises(AssertionError, match="1 is the whole"):
        async with ctx.phase("b", 0.4):
            pass


async def test_a_step_gives_its_result_as_json_would(ctx: FakeContext) -> None:
    assert await ctx.step("find", answer) == {"places": ["a", "b"]}
    assert (ctx.ran, ctx.steps) == (["find"], {"find": {"places": ["a", "b"]}})


async def test_a_step_whose_result_is_not_json_is_refused(ctx: FakeContext) -> None:
    async def wrong() -> object:
        return {"when": Path("x")}

    with pytest.raises(Deterministic, match="JSON"):
        await ctx.step("find", wrong)
    assert ctx.steps == {}


async def test_a_finished_step_is_not_run_again(ctx: FakeContext) -> None:
    first = await ctx.step("find", answer)
    again = await ctx.rerun()
    assert await again.step("find", answer) == first
    assert (again.ran, again.epoch) == ([], 2)
    assert again.workspace.kept == ctx.workspace.kept and again.workspace.run != ctx.workspace.run


async def test_a_step_whose_file_is_gone_is_run_again(ctx: FakeContext) -> None:
    file = ctx.workspace.kept / "part"

    async def download() -> str:
        return str(file)

    await ctx.step("download", download, keeps=lambda path: [Path(path)])
    again = await ctx.rerun()
    await again.step("download", download, keeps=lambda path: [Path(path)])
    assert again.ran == ["download"]


@pytest.mark.parametrize(("policy", "sends"), [("repeat", 2), ("fail", 1)])
async def test_a_paid_step_without_an_answer_is_sent_so_often(ctx: FakeContext, policy: str, sends: int) -> None:
    sent = 0

    async def call() -> None:
        nonlocal sent
        sent += 1
        raise Unanswered("cut off")

    for _ in range(sends):
        with pytest.raises(Unanswered):
            await ctx.step("ask", call, paid=policy)  # type: ignore[arg-type]
        ctx = await ctx.rerun()
    with pytest.raises(Deterministic) as refusal:
        await ctx.step("ask", call, paid=policy)  # type: ignore[arg-type]
    assert (refusal.value.type, sent) == ("in_doubt", sends)


async def test_a_paid_step_that_was_refused_was_not_charged(ctx: FakeContext) -> None:
    sent: list[int] = []

    async def call() -> None:
        sent.append(1)
        raise Transient("busy")

    for _ in range(5):
        with pytest.raises(Transient, match="busy"):
            await ctx.step("ask", call, paid="fail")
    assert len(sent) == 5


async def test_it_keeps_what_the_run_published(ctx: FakeContext) -> None:
    await ctx.partial({"n": 1})
    await ctx.stats(tokens=3)
    await ctx.stats(cost=0.5)
    assert (ctx.partials, ctx.figures) == ([{"n": 1}], {"tokens": 3, "cost": 0.5})
