"""Job execution, one lease to its end: run the handler, watch it, settle the outcome. An exception becomes one here."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import (
    BadPayload,
    JobNotFound,
    LeaseLost,
    SecretsStruck,
    StoreBroken,
    StoreFull,
    TypeBroken,
    TypeUnavailable,
)
from secondunit.queue.handler import HandlerSpec, Workspace, Workspaces
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import HandlerRaised, LeftBehind, Sink, unheard
from secondunit.queue.model import Change, Job, JobId, Lease
from secondunit.queue.outcome import Failed, HandlerBroke, Outcome, Postpone, Released, broke, classify, name_of
from secondunit.queue.payloads.arguments import begun, clean
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.payloads.secret_fields import without_secrets
from secondunit.queue.ports.usage import Meter, metered_by
from secondunit.queue.running.context import FLUSH_EVERY, RunContext, with_room
from secondunit.queue.running.placement import misplaced
from secondunit.queue.running.scope import Scope
from secondunit.queue.running.verdicts import cleaned, finished, overdue, overran, refused
from secondunit.queue.store import Store
from secondunit.queue.validation import validated
from secondunit.queue.value import replace

UNAVAILABLE_PAUSE = timedelta(minutes=5)
INSIST_EVERY = 15.0
INSIST_TIMES = 2
FRESH = 3  # times a stall the store is told of a run that lives, so that nobody takes it for a stuck one


def nothing_reserved(*_: object) -> AbstractAsyncContextManager[None]:
    """Every job fits."""
    return nullcontext()


async def nothing_short() -> str | None:
    """The machine has room."""
    return None


def nothing_learned(*_: object) -> None:
    """Nobody estimates."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every execution works with."""

    store: Store
    hub: Hub
    clock: Clock
    random: Random
    workspaces: Workspaces
    emit: Sink = unheard
    alive: Callable[[], Collection[str]] = tuple  # threads and programs of the process that nobody here looks after
    traced: bool = False  # whether runs and their pieces are announced
    reserved: Callable[[Job, HandlerSpec, Any], AbstractAsyncContextManager[None]] = nothing_reserved
    short: Callable[[], Awaitable[str | None]] = nothing_short  # why the machine has no room for more
    over: Callable[[JobId, Job | None], None] = nothing_learned  # what a run left its job as, None: its lease was lost
    locality: Locality = ANYWHERE


class Execution:
    """The run of one lease, claimed at `began` (monotonic seconds).

    `stop` ends it early with a given outcome, `lose` without a write. `settling` is set once the handler is gone and
    its outcome is on its way to the store, which makes the job `settled`; `passed` once a `suspect` is past the point
    where the daemon died; `on_news` is called of both. `left` is the handler if it went on though it was told to stop,
    and told again: nothing but the end of the process can end it, so it is left to itself.
    """

    def __init__(
        self,
        job: Job,
        lease: Lease,
        spec: HandlerSpec,
        runtime: Runtime,
        began: float,
        on_news: Callable[[], None] = lambda: None,
    ) -> None:
        self.job = job
        self.lease = lease
        self.type = spec.type
        self.settling = False
        self.settled: Job | None = None
        self.suspect, self.passed = job.suspicion is not None, False
        self._on_news = on_news
        self._spec, self._runtime = spec, runtime
        self._began = began
        self._verdict: Outcome | None = None
        self._work: asyncio.Task[Outcome] | None = None
        self._told, self._told_at = 0, 0.0
        self._meter, self._lost = Meter(), False
        self.left: asyncio.Task[Outcome] | None = None
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

    @property
    def goes_on(self) -> bool:
        """Whether the handler was left to itself and is still there."""
        return self.left is not None and not self.left.done()

    async def run(self) -> None:
        """Run to the end; when this returns, nothing of the run is left but what it published."""
        try:
            await self._run()
        finally:
            self._runtime.over(self.job.id, self.settled)
            self.gone.set()

    async def _run(self) -> None:
        try:
            outcome = await self._outcome()
            self.settled = None if self._lost else await self._settle(outcome)
        except (LeaseLost, JobNotFound):
            self._lost = True
        ended = self.settled is not None and self.settled.status.ended
        await self._runtime.workspaces.close(self.job, ended=ended)

    async def _outcome(self) -> Outcome:
        try:
            workspace = await self._runtime.workspaces.open(self.job)
        except Exception as error:  # noqa: BLE001  part of the run's boundary: without its folders it fails, not the daemon
            return self._fault(error)
        return self._judged(await self._worked(workspace))

    async def _worked(self, workspace: Workspace) -> asyncio.Task[Outcome]:
        runtime = self._runtime
        ctx = RunContext(self.job, self.lease, workspace, runtime.store, runtime.hub, runtime.clock, runtime.emit)
        alive, scope = runtime.alive(), Scope(self._exited)
        self._work = work = asyncio.create_task(self._handle(ctx, scope))
        if self._verdict is not None:
            self._tell()
        try:
            await asyncio.sleep(0)
            if not work.done():  # the shortest runs are over by now
                await self._watched(work, ctx)
        finally:
            await self._end(work)  # which goes on if the watch failed, or this execution was cancelled
            await self._clear(alive, scope)
            self._work = self.left  # whose context leads back here: what is in no circle goes without the collector
        return work

    async def _clear(self, before: Collection[str], scope: Scope) -> None:
        """What the handler left behind must not touch a later run; what can't be stopped is told at least."""
        tasks = await scope.close(self._runtime.clock)
        others = [one for one in self._runtime.alive() if one not in before]
        if tasks or others:
            self._runtime.emit(LeftBehind(self.job, tasks, others))

    def _exited(self, error: BaseException) -> None:
        self.stop(self._fault(error))

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
        if self.left:
            span = INSIST_EVERY * INSIST_TIMES
            goes_on = broke(f"the handler went on for {span:g} s after it was told to stop; a restart ends it")
            self._raised(HandlerBroke(goes_on.error.message))
            return self._verdict if isinstance(self._verdict, Released) else goes_on
        if work.cancelled():
            return self._verdict or broke("the handler cancelled itself")
        outcome = work.result()
        if self._verdict is not None and isinstance(outcome, Failed | Postpone):
            return self._verdict  # the handler turned its being stopped into an error of its own
        return outcome

    def _tell(self) -> None:
        self._told_at = self._runtime.clock.monotonic()
        if self._work:
            self._told += 1
            self._work.cancel()

    async def _end(self, work: asyncio.Task[Outcome]) -> None:
        """Return once the handler is gone; or is left to itself, as it goes on although it was told to stop."""
        clock = self._runtime.clock
        while not work.done() and self.left is None:
            if self._told == 0:
                self._tell()
            pause = asyncio.create_task(clock.sleep(self._told_at + INSIST_EVERY - clock.monotonic()))
            try:
                await asyncio.wait([work, pause], return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
            if not work.done() and self._told < INSIST_TIMES:
                self._tell()
            elif not work.done():
                self.left = work

    async def _handle(self, ctx: RunContext, scope: Scope) -> Outcome:
        scope.enter()
        metered_by(self._meter)
        try:
            given, now = await ctx.filled(self._spec.secrets), self._runtime.clock.now()
            here, store = self._runtime.locality, self._runtime.store
            if moved := await misplaced(self.job, self.lease, self._spec, given, store, here, now):
                return moved
            payload = validated(self._spec, given)
            async with self._runtime.reserved(self.job, self._spec, payload):
                return finished(await begun(self._spec.run, f"`run` of {self.type}", ctx, payload))
        except (LeaseLost, StoreBroken, JobNotFound) as error:
            # Where it is true, nothing can be settled; where a handler made it up, this will be.
            return cleaned(broke(f"the handler raised {name_of(error)}, which is the queue's to raise"))
        except (BadPayload, SecretsStruck) as error:
            return refused(str(error))
        except TypeUnavailable as error:
            return Postpone(UNAVAILABLE_PAUSE, clean(str(error)))
        except TypeBroken as error:
            self._raised(error)
            return cleaned(broke(f"the model or the check of {self.type} failed: {error.why}"))
        except BaseException as error:  # a run's boundary: whatever a handler raises is an outcome, not a crash
            if self._told and issubclass(type(error), asyncio.CancelledError):
                raise
            return self._fault(error)

    def _fault(self, error: BaseException) -> Outcome:
        self._raised(error)
        return cleaned(classify(error))

    def _raised(self, error: BaseException) -> None:
        self._runtime.emit(HandlerRaised(self.job, error))

    async def _watch(self, ctx: RunContext) -> None:
        clock, spec = self._runtime.clock, self._spec
        limit = self.job.timeout or spec.timeout
        began = clock.monotonic()
        while True:
            await clock.sleep(FLUSH_EVERY)
            try:
                await ctx.flush()
                await self._look_for_passing(ctx)
                await ctx.keep_fresh(spec.stall / FRESH)
            except (LeaseLost, JobNotFound):
                self.lose()
            now = clock.monotonic()
            if self._verdict is not None:
                return
            if now - began > limit.total_seconds():
                self.stop(overran(limit))
            elif still := ctx.standstill(spec.stall):
                self.stop(overdue("stalled", still))

    async def _look_for_passing(self, ctx: RunContext) -> None:
        suspicion = self.job.suspicion
        if not self.suspect or suspicion is None:
            return
        if ctx.suspected and self._runtime.clock.monotonic() - self._began > suspicion.lived.total_seconds():
            with suppress(StoreFull):
                await ctx.clear()
        if not ctx.suspected:
            self.suspect, self.passed = False, True
            self._on_news()

    async def _settle(self, outcome: Outcome) -> Job:
        runtime = self._runtime

        def settle(job: Job) -> Change:
            took = timedelta(seconds=runtime.clock.monotonic() - self._began)
            stats = self._meter.figures(job.stats)
            job = job if stats is job.stats else replace(job, stats=stats)
            change = state.settle(job, outcome, runtime.random, runtime.clock.now(), took)
            return without_secrets(change, self._spec.secrets)

        self.settling = True
        self._on_news()
        return await with_room(runtime.clock, lambda: runtime.store.change(self.job.id, settle, lease=self.lease))
