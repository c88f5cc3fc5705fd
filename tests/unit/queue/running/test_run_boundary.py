"""The boundary around a run: whatever a handler raises, returns or asks for fails its job, and nothing else."""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import JobNotFound, LeaseLost, StoreBroken
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Status
from secondunit.queue.outcome import HANDLER_BROKE, Partial, Postponed, Transient
from secondunit.queue.payloads.arguments import DEEPEST_JSON, LARGEST_JSON
from secondunit.testing.rig import Run
from tests.unit.queue.running.bench import Bench, returns


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even that")

    __repr__ = __str__


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class Strange(BaseException, metaclass=Nameless):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise SystemExit


class Postscript(Transient):
    """A documented error that was bent after it was made."""

    def __init__(self, **fields: Any) -> None:
        super().__init__("later")
        vars(self).update(fields)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"in": [value]}
    return value


def circular() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def raises(make: Callable[[], BaseException]) -> Run:
    async def run(ctx: JobContext, payload: Any) -> None:
        raise make()

    return run


def asks(ask: Callable[[Any], Any]) -> Run:
    async def run(ctx: JobContext, payload: Any) -> None:
        await ask(ctx)

    return run


def enters(*phase: Any) -> Run:
    async def run(ctx: JobContext, payload: Any) -> None:
        async with ctx.phase(*phase):
            pass

    return run


async def work() -> int:
    return 1


async def too_deep() -> Any:
    return nested(DEEPEST_JSON)


async def cancels_itself(ctx: JobContext, payload: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancels_itself_and_waits(ctx: JobContext, payload: Any) -> None:
    await cancels_itself(ctx, payload)
    await asyncio.Event().wait()


async def yields(ctx: JobContext, payload: Any) -> Any:
    yield 1


BROKEN: dict[str, Any] = {
    "sys.exit": asks(lambda ctx: sys.exit(3)),
    "SystemExit": raises(SystemExit),
    "KeyboardInterrupt": raises(KeyboardInterrupt),
    "GeneratorExit": raises(GeneratorExit),
    "CancelledError that nobody asked for": raises(asyncio.CancelledError),
    "cancels itself": cancels_itself,
    "cancels itself and waits": cancels_itself_and_waits,
    "an exception of its own class": raises(Strange),
    "a group of an exit": raises(lambda: BaseExceptionGroup("g", [ValueError("x"), SystemExit(1)])),
    "a group in a group": raises(
        lambda: BaseExceptionGroup("g", [BaseExceptionGroup("h", [asyncio.CancelledError(), Transient("x")])])
    ),
    "an error that can't be told": raises(Unspeakable),
    "a group of one that can't be told": raises(lambda: ExceptionGroup("g", [Transient("x"), Unspeakable()])),
    "an error whose type is no word": raises(lambda: Postscript(type=5)),
    "an error whose type is empty": raises(lambda: Postscript(type="")),
    "an error whose delay is no time": raises(lambda: Postscript(delay="soon")),
    "an error whose delay is negative": raises(lambda: Transient("x", delay=timedelta(seconds=-1))),
    "postponed by a word": raises(lambda: Postponed("x", delay="soon")),  # type: ignore[arg-type]
    "postponed by nothing": raises(lambda: Postponed("x", delay=None)),  # type: ignore[arg-type]
    "postponed into the past": raises(lambda: Postponed("x", delay=-1)),
    "postponed by NaN": raises(lambda: Postponed("x", delay=float("nan"))),
    "postponed without end": raises(lambda: Postponed("x", delay=float("inf"))),
    "postponed for ages": raises(lambda: Postponed("x", delay=timedelta.max)),
    "a lease that was not lost": raises(lambda: LeaseLost("job", 1)),
    "a store that is not broken": raises(lambda: StoreBroken("no")),
    "a job that is there": raises(lambda: JobNotFound("job")),
    "a result too deep": returns(lambda: nested(DEEPEST_JSON)),
    "a result far too deep": returns(lambda: nested(100_000)),
    "a result that contains itself": returns(circular),
    "what is missing is no list": returns(lambda: Partial({}, 5)),  # type: ignore[arg-type]
    "what is missing is a word": returns(lambda: Partial({}, "all")),
    "what is missing is too deep": returns(lambda: Partial({}, [nested(DEEPEST_JSON)])),
    "progress that is no number": asks(lambda ctx: ctx.progress(float("nan"))),
    "progress of words": asks(lambda ctx: ctx.progress("half")),
    "progress beyond floats": asks(lambda ctx: ctx.progress(10**400)),
    "progress with a message of bytes": asks(lambda ctx: ctx.progress(0.5, b"half")),
    "a phase without a name": enters(None, 0.5),
    "a phase that weighs NaN": enters("p", float("nan")),
    "a phase that weighs too much": enters("p", float("inf")),
    "a phase that weighs less than nothing": enters("p", -0.5),
    "a step whose name is a number": asks(lambda ctx: ctx.step(5, work)),
    "a step whose name is empty": asks(lambda ctx: ctx.step("", work)),
    "a step whose name is no Unicode": asks(lambda ctx: ctx.step("\ud800", work)),
    "a step whose name is a book": asks(lambda ctx: ctx.step("x" * 1001, work)),
    "a step without work": asks(lambda ctx: ctx.step("s", None)),
    "a step whose work is done already": asks(lambda ctx: ctx.step("s", lambda: 5)),
    "a step paid in words": asks(lambda ctx: ctx.step("s", work, paid="maybe")),
    "a step whose result is too deep": asks(lambda ctx: ctx.step("s", too_deep)),
    "partial data that contains itself": asks(lambda ctx: ctx.partial(circular())),
    "figures too deep": asks(lambda ctx: ctx.stats(n=nested(99))),
    "a run that is no coroutine": lambda ctx, payload: {"n": 1},
    "a run that is a generator": yields,
    "a run that is none": None,
}


@pytest.mark.parametrize("run", BROKEN.values(), ids=BROKEN)
async def test_a_handler_that_breaks_the_rules_fails_its_job_for_good_and_the_daemon_goes_on(run: Any) -> None:
    bench = Bench(run)
    async with bench.working() as worker:
        job = await bench.ended()
        assert job.error is not None, job
        assert (job.status, job.error.kind, job.error.type) == (Status.FAILED, "deterministic", HANDLER_BROKE)
        assert job.error.message and job.attempt == 1
        await bench.goes_on(worker)


@pytest.mark.parametrize(
    ("run", "type"),
    [(returns(lambda: {1}), "not_json"), (returns(lambda: "x" * LARGEST_JSON), "too_large")],
    ids=["not_json", "too_large"],
)
async def test_a_result_that_is_none_keeps_its_own_word(run: Any, type: str) -> None:
    bench = Bench(run)
    async with bench.working() as worker:
        job = await bench.ended()
        assert job.error is not None
        assert (job.status, job.error.kind, job.error.type) == (Status.FAILED, "deterministic", type)
        await bench.goes_on(worker)


async def test_the_message_says_what_was_raised_and_what_it_said() -> None:
    bench = Bench(asks(lambda ctx: sys.exit("so long")))
    async with bench.working():
        job = await bench.ended()
    assert job.error is not None and job.error.message == "the handler raised SystemExit: so long"
    assert [type(error) for error in bench.errors] == [SystemExit]


async def test_the_message_says_that_nobody_asked_for_a_cancellation() -> None:
    bench = Bench(raises(asyncio.CancelledError))
    async with bench.working():
        job = await bench.ended()
    assert job.error is not None and job.error.message == "the handler raised CancelledError, and nobody had stopped it"


async def test_the_deepest_result_is_kept() -> None:
    deep: Any = 1
    for _ in range(DEEPEST_JSON):
        deep = [deep]
    bench = Bench(returns(lambda: {"wide": [[]] * 100, "deep": deep[0]}))
    async with bench.working():
        assert (await bench.ended()).status is Status.COMPLETED


@pytest.mark.parametrize("delay", [1.5, 90, timedelta(seconds=90), True])
async def test_a_delay_may_be_seconds(delay: Any) -> None:
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    bench = Bench(raises(lambda: Postponed("the quota", delay=delay)))
    async with bench.working():
        job = await bench.ended()
        assert (job.status, job.attempt) == (Status.QUEUED, 1)
        assert job.run_at == bench.clock.now() + timedelta(seconds=seconds)
