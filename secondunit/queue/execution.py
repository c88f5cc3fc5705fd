"""One lease to its end: run the handler, watch it, settle the outcome. The one place where an exception becomes one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.context import FLUSH_EVERY, RunContext, clean, to_json, with_room
from secondunit.queue.errors import BadPayload, JobNotFound, LeaseLost, StoreBroken, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, Workspace, Workspaces
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import HandlerRaised, Sink, unheard
from secondunit.queue.model import Change, Job, Lease
from secondunit.queue.outcome import (
    Completed,
    Deterministic,
    Failed,
    JobError,
    Outcome,
    Partial,
    Postpone,
    Released,
    classify,
)
from secondunit.queue.store import Store
from secondunit.queue.validation import validated
from secondunit.queue.value import replace

UNAVAILABLE_PAUSE = timedelta(minutes=5)
INSIST_EVERY = 15.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every execution works with."""

    store: Store
    hub: Hub
    clock: Clock
    random: Random
    workspaces: Workspaces
    emit: Sink = unheard


class Execution:
    """The run of one lease. `stop` ends it early with a given outcome, `lose` without writing anything.

    `on_settling` is called, and `settling` set, once the handler is gone and its outcome is on its way to the store.
    """

    def __init__(
        self,
        job: Job,
        lease: Lease,
        spec: HandlerSpec,
        runtime: Runtime,
        on_settling: Callable[[], None] = lambda: None,
    ) -> None:
        self.job = job
        self.lease = lease
        self.type = spec.type
        self.settling = False
        self._on_settling = on_settling
        self._spec = spec
        self._runtime = runtime
        self._verdict: Outcome | None = None
        self._lost = False
        self._work: asyncio.Task[Outcome] | None = None
        self._told_at = 0.0
        self.gone = asyncio.Event()

    def stop(self, outcome: Outcome) -> None:
        """Stop the handler; the job gets this outcome unless it had one already."""
        if self._verdict is None:
            self._verdict = outcome
            self._tell()

    def lose(self) -> None:
        """The lease is gone: stop the handler and write nothing more."""
        self._lost = True
        self.stop(Released("the lease was lost"))

    async def run(self) -> None:
        """Run to the end; when this returns, nothing of the run is left but what it published."""
        try:
            await self._run()
        finally:
            self.gone.set()

    async def _run(self) -> None:
        try:
            outcome = await self._outcome()
            settled = None if self._lost else await self._settle(outcome)
        except (LeaseLost, JobNotFound):
            settled = None
        ended = settled is not None and settled.status.ended
        await self._runtime.workspaces.close(self.job, ended=ended)

    async def _outcome(self) -> Outcome:
        try:
            workspace = await self._runtime.workspaces.open(self.job)
        except Exception as error:  # noqa: BLE001  part of the run's boundary: without its folders it fails, not the daemon
            self._runtime.emit(HandlerRaised(self.job, error))
            return _cleaned(classify(error))
        return self._judged(await self._worked(workspace))

    async def _worked(self, workspace: Workspace) -> asyncio.Task[Outcome]:
        runtime = self._runtime
        ctx = RunContext(self.job, self.lease, workspace, runtime.store, runtime.hub, runtime.clock, runtime.emit)
        self._work = work = asyncio.create_task(self._handle(ctx))
        if self._verdict is not None:
            self._tell()
        try:
            await asyncio.sleep(0)
            if not work.done():  # the shortest runs are over by now
                await self._watched(work, ctx)
        finally:
            await self._end(work)  # which goes on if the watch failed, or this execution was cancelled
        return work

    async def _watched(self, work: asyncio.Task[Outcome], ctx: RunContext) -> None:
        watch = asyncio.create_task(self._watch(ctx))
        try:
            await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            await self._end(work)
            await asyncio.wait([watch])
        if not watch.cancelled():
            watch.result()

    def _judged(self, work: asyncio.Task[Outcome]) -> Outcome:
        if work.cancelled():
            return self._verdict or Failed(JobError("transient", "unexpected", "the handler cancelled itself"))
        outcome = work.result()
        if self._verdict is not None and isinstance(outcome, Failed | Postpone):
            return self._verdict  # the handler turned its being stopped into an error of its own
        return outcome

    def _tell(self) -> None:
        self._told_at = self._runtime.clock.monotonic()
        if self._work:
            self._work.cancel()

    async def _end(self, work: asyncio.Task[Outcome]) -> None:
        while not work.done():
            work.cancel()
            pause = asyncio.create_task(self._runtime.clock.sleep(INSIST_EVERY))
            await asyncio.wait([work, pause], return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()

    async def _handle(self, ctx: RunContext) -> Outcome:
        try:
            payload = validated(self._spec, self.job.payload)
            return _finished(await self._spec.run(ctx, payload))
        except (LeaseLost, StoreBroken, JobNotFound):
            raise
        except BadPayload as error:
            return Failed(JobError("deterministic", "bad_payload", clean(str(error))))
        except TypeUnavailable as error:
            return Postpone(UNAVAILABLE_PAUSE, clean(str(error)))
        except Exception as error:  # noqa: BLE001  a run's boundary: what a handler raises is an outcome, not a crash
            self._runtime.emit(HandlerRaised(self.job, error))
            return _cleaned(classify(error))

    async def _watch(self, ctx: RunContext) -> None:
        clock, spec = self._runtime.clock, self._spec
        limit = self.job.timeout or spec.timeout
        began = clock.monotonic()
        while True:
            await clock.sleep(FLUSH_EVERY)
            try:
                await ctx.flush()
            except (LeaseLost, JobNotFound):
                self.lose()
            now = clock.monotonic()
            if self._verdict is not None:
                if now - self._told_at >= INSIST_EVERY:
                    self._tell()  # it went on in spite of the first time
            elif now - began > limit.total_seconds():
                self.stop(_overdue("timeout", f"the attempt took longer than {limit.total_seconds():g} s"))
            elif now - ctx.moved > spec.stall.total_seconds():
                self.stop(_overdue("stalled", f"no progress for {spec.stall.total_seconds():g} s"))

    async def _settle(self, outcome: Outcome) -> Job:
        runtime = self._runtime

        def settle(job: Job) -> Change:
            return state.settle(job, outcome, runtime.random, runtime.clock.now())

        self.settling = True
        self._on_settling()
        return await with_room(runtime.clock, lambda: runtime.store.change(self.job.id, settle, lease=self.lease))


def _finished(value: Any) -> Outcome:
    try:
        if isinstance(value, Partial):
            return Partial(to_json(value.result, "the result"), to_json(list(value.missing), "what is missing"))
        return Completed(to_json(value, "the result"))
    except Deterministic as error:
        return _cleaned(classify(error))


def _cleaned(outcome: Failed | Postpone) -> Outcome:
    if isinstance(outcome, Postpone):
        return replace(outcome, why=clean(outcome.why))
    return replace(outcome, error=replace(outcome.error, message=clean(outcome.error.message)))


def _overdue(type: str, message: str) -> Failed:
    return Failed(JobError("timeout", type, message))
