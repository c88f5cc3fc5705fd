"""The instrumentation port: who is told, and that a sink which breaks costs nobody but itself."""

import asyncio
from typing import Any

import pytest

from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import Fact, JobsMoved, PhaseEnded, Sink, SinkBroke, Sinks
from secondunit.queue.model import Status
from secondunit.queue.running.execution import Runtime
from secondunit.queue.running.worker import Worker
from secondunit.testing.jobs import BOOT, TTL
from secondunit.testing.rig import Rig, spec

PHASE = PhaseEnded("hls", "encode", 1.0)
ERRORS = [ValueError("x"), SystemExit(1), asyncio.CancelledError(), RecursionError()]


def broken(error: BaseException) -> Sink:
    def sink(fact: Fact) -> None:
        raise error

    return sink


def test_every_sink_hears_every_fact_in_order() -> None:
    first: list[Fact] = []
    second: list[Fact] = []
    tell = Sinks(first.append, second.append)
    tell(PHASE)
    tell(JobsMoved([]))
    assert first == second == [PHASE, JobsMoved([])]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_sink_that_raises_costs_nobody_but_itself_and_is_told_of(error: BaseException) -> None:
    heard: list[Fact] = []
    bad = broken(error)
    Sinks(bad, heard.append)(PHASE)
    fault, told = heard
    assert told == PHASE
    assert isinstance(fault, SinkBroke) and (fault.sink, fault.fact, fault.error) == (bad, PHASE, error)


def test_a_sink_that_broke_at_one_fact_hears_of_that_itself() -> None:
    heard: list[Fact] = []

    def picky(fact: Fact) -> None:
        if fact == PHASE:
            raise ValueError("x")
        heard.append(fact)

    Sinks(picky)(PHASE)
    assert [type(fact) for fact in heard] == [SinkBroke]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_no_sink_ends_a_run_or_the_worker(error: BaseException) -> None:
    async def run(ctx: Any, payload: Any) -> str:
        async with ctx.phase("encode", 1.0):
            pass
        if payload.n:
            raise RuntimeError("the handler is broken, too")
        return "done"

    rig = Rig(spec("hls", run, concurrency=2))
    emit = Sinks(broken(error))
    hub = Hub(emit)
    rig.store.listen(hub.publish)
    runtime = Runtime(rig.store, hub, rig.clock, rig.runtime.random, rig.folders, emit)
    rig.worker = Worker(runtime, rig.registry, boot=BOOT, ttl=TTL, most=2)
    async with rig.working() as working:
        good, bad = await rig.submit("hls"), await rig.submit("hls", 1)
        await rig.clock.settle()
        assert (await rig.job(good)).status is Status.COMPLETED
        assert (await rig.job(bad)).status is Status.QUEUED, "it is tried again"
        assert not working.done()
