"""Job context of a run: progress, phases, steps. Every write carries the lease; a run that lost it fails here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from secondunit.queue import state
from secondunit.queue.clock import Clock
from secondunit.queue.durable_files import Marks, intact, secure
from secondunit.queue.errors import StoreFull
from secondunit.queue.graph.references import resolved
from secondunit.queue.handler import Workspace
from secondunit.queue.hub import Hub
from secondunit.queue.instrumentation import PhaseEnded, Sink, StepInDoubt, piece
from secondunit.queue.model import Change, Event, Job, Lease
from secondunit.queue.outcome import Deterministic, HandlerBroke, Postponed, Transient, Unanswered
from secondunit.queue.payloads import arguments
from secondunit.queue.payloads.secret_fields import check_whole
from secondunit.queue.store import Decide, Step, Store

T = TypeVar("T")
FLUSH_EVERY = 0.5
SENDS = 2
IN_DOUBT = "in_doubt"
FULL_DISK_PAUSE = 1.0
ON_DISK = timedelta(minutes=30)  # an fsync of a large file can't be watched
PAID = (None, "repeat", "fail")


class RunContext:
    """The JobContext of one lease."""

    def __init__(
        self, job: Job, lease: Lease, workspace: Workspace, store: Store, hub: Hub, clock: Clock, emit: Sink
    ) -> None:
        self._job = job
        self._lease = lease
        self._workspace = workspace
        self._store = store
        self._hub = hub
        self._clock = clock
        self._emit = emit
        self._fraction = 0.0
        self._message: str | None = None
        self._phase: str | None = None  # that is told: between two phases the one that was left
        self._within: str | None = None
        self._floor, self._weight, self._end = 0.0, 1.0, 1.0
        self._dirty = False
        self._flushed = -FLUSH_EVERY
        self.suspected = job.suspicion is not None
        self.parents: Mapping[str, Any] = {}
        self._quiet: dict[object, tuple[timedelta, str]] = {}
        self._stored = self.moved = clock.monotonic()

    @property
    def job_id(self) -> str:
        return self._job.id

    @property
    def attempt(self) -> int:
        return self._job.attempt

    @property
    def epoch(self) -> int:
        return self._lease.epoch

    @property
    def workspace(self) -> Workspace:
        return self._workspace

    @property
    def labels(self) -> Mapping[str, str]:
        return self._job.labels

    async def filled(self, secrets: Collection[str]) -> Mapping[str, Any]:
        """The job's payload, with what its references stand for; SecretsStruck if it came back too late."""
        if not self._job.depends_on:
            return self._job.payload
        check_whole(self._job, secrets)
        self.parents, payload = resolved(self._job, await self._store.graph.parents(self.job_id))
        return payload

    async def progress(self, fraction: float, message: str = "") -> None:
        within = min(max(arguments.number(fraction, "progress"), 0.0), 1.0)
        message = arguments.words(message or "", "a progress message")
        self._note(min(self._floor + self._weight * within, self._end), message or None, self._within)
        if self._clock.monotonic() - self._flushed >= FLUSH_EVERY:
            await self.flush()

    def beat(self) -> None:
        self.moved = self._clock.monotonic()

    @contextmanager
    def quiet(self, limit: timedelta, what: str) -> Iterator[None]:
        mark = object()
        self._quiet[mark] = limit, arguments.words(what, "what a run is quiet for")
        self.beat()
        try:
            yield
        finally:
            del self._quiet[mark]
            self.beat()

    def standstill(self, stall: timedelta) -> str | None:
        """Why this run is taken for one that hangs, if it is; `stall` is its type's."""
        limit, what = max([(stall, ""), *self._quiet.values()])
        if self._clock.monotonic() - self.moved <= limit.total_seconds():
            return None
        return f"no sign of life for {limit.total_seconds():g} s" + (f" while {what}" if what else "")

    async def keep_fresh(self, every: timedelta) -> None:
        """Store that the run is alive, once nothing else was stored for so long; nobody is told."""
        age = self._clock.monotonic() - self._stored
        if age >= every.total_seconds() and (self._quiet or self.moved > self._stored):
            with suppress(StoreFull):
                await self._change(lambda job: state.alive(job, self._clock.now()))

    @asynccontextmanager
    async def phase(self, name: str, weight: float) -> AsyncIterator[None]:
        name, weight = arguments.name(name, "the name of a phase"), arguments.number(weight, f"the weight of {name}")
        if not 0 <= weight <= 1:
            raise HandlerBroke(f"the weight of phase {name} is a number from 0 to 1, not {weight:g}")
        outer = self._within, self._floor, self._weight, self._end
        began = self._clock.monotonic()
        self._within, self._weight = name, self._weight * weight
        end = self._end = min(self._floor + self._weight, self._end)
        self._note(self._floor, None, name)
        await self.flush()
        try:
            with piece("phase", name):
                yield
            self._note(end, None, name)
        finally:
            self._emit(PhaseEnded(self._job.type, name, self._clock.monotonic() - began))
            self._within, _, self._weight, self._end = outer
            self._phase = self._within or self._phase
            self._floor = end

    async def step(
        self,
        name: str,
        work: Callable[[], Awaitable[T]],
        *,
        paid: Literal["repeat", "fail"] | None = None,
        keeps: Callable[[T], Iterable[Path]] | None = None,
    ) -> T:
        name = arguments.name(name, "the name of a step")
        if paid not in PAID:
            raise HandlerBroke(f'`paid` of step {name} is "repeat", "fail" or None')
        stored = await self._store.steps.get(self.job_id, name)
        if stored and stored.done and await self._usable(stored, keeps):
            self.beat()
            return stored.result  # type: ignore[no-any-return]  # what the work returned, as JSON gives it back
        with piece("step", name):
            result = await (self._paid(name, work, stored, paid) if paid else _begun(name, work))
            as_json = arguments.to_json(result, f"the result of step {name}")
            files = await self._secured(list(keeps(as_json))) if keeps else None
            await _kept_up(self._finish(name, as_json, files))
        self.beat()
        return as_json  # type: ignore[no-any-return]

    async def partial(self, data: Any) -> None:
        self.beat()
        job, now = self._job, self._clock.now()
        data = arguments.to_json(data, "partial data")
        event = Event(
            job.id, job.type, "data", now, job.status, self._fraction, self._phase, None, job.attempt, data=data,
            owner=job.owner,
        )  # fmt: skip
        self._hub.publish([event])

    async def stats(self, **figures: Any) -> None:
        figures = arguments.to_json(figures, "stats")

        def told(job: Job) -> Change:
            change = state.with_stats(job, figures, self._clock.now())
            arguments.to_json(change.job.stats, "all stats together")
            return change

        await self._change(told)

    async def flush(self) -> None:
        """Store and publish how far the run is, if that changed."""
        if not self._dirty:
            return
        self._dirty = False
        self._flushed = self._clock.monotonic()
        fraction, message, phase = self._fraction, self._message, self._phase
        try:
            job = await self._change(lambda job: state.progress(job, fraction, message, phase, self._clock.now()))
        except StoreFull:
            return  # progress is a courtesy; the run goes on and its end will be stored when there is room
        self._hub.publish([state.progressed(job, self._clock.now())])

    def _note(self, fraction: float, message: str | None, phase: str | None) -> None:
        news = max(fraction, self._fraction), message, phase
        if news != (self._fraction, self._message, self._phase) or self._flushed < 0:
            self._fraction, self._message, self._phase = news
            self._dirty = True
            self.beat()

    async def _paid(
        self, name: str, work: Callable[[], Awaitable[T]], stored: Step | None, policy: Literal["repeat", "fail"]
    ) -> T:
        sends = await self._in_doubt(stored) if stored and not stored.done else 0
        if sends:
            self._emit(StepInDoubt(self._job, name, sends))
            await self._show_doubt(name, sends)
        if sends >= SENDS or (sends and policy == "fail"):
            raise Deterministic(
                f"step {name} was sent {sends} times and no answer was stored; it may have been charged, so it is not "
                "sent again; retry the job to accept another charge",
                type=IN_DOUBT,
            )
        await self._store.steps.intend(self._lease, name, self._clock.now())
        try:
            return await _begun(name, work)
        except Unanswered:
            raise
        except (Transient, Deterministic, Postponed):
            await _kept_up(self._withdraw(name))
            raise

    async def _show_doubt(self, name: str, sends: int) -> None:
        def shown(job: Job) -> Change:
            return state.in_doubt(job, name, sends, self._clock.now())

        await with_room(self._clock, lambda: self._change(shown))

    async def _in_doubt(self, step: Step) -> int:
        accepted = any(
            run.error and run.error.type == IN_DOUBT and run.finished_at >= step.at for run in self._job.runs
        )
        if not accepted:
            return step.sends
        for _ in range(step.sends):  # the job failed for this doubt and was retried on purpose
            await self._withdraw(step.name)
        return 0

    async def _withdraw(self, name: str) -> None:
        await with_room(self._clock, lambda: self._store.steps.forget(self._lease, name))

    async def _finish(self, name: str, result: Any, files: Marks | None) -> None:
        def done(job: Job) -> Change:
            return state.step_done(job, self._clock.now())

        def write() -> Awaitable[Job]:
            return self._store.steps.finish(self._lease, name, result, done, self._clock.now(), files=files)

        await with_room(self._clock, write)
        self.suspected = False

    async def clear(self) -> None:
        """The run is past the point where the daemon died under an earlier one."""
        await self._change(lambda job: state.cleared(job, self._clock.now()))

    async def _secured(self, files: list[Path]) -> Marks:
        with self.quiet(ON_DISK, "bringing a step's files to the disk"):
            return await asyncio.to_thread(secure, files)

    async def _usable(self, stored: Step, keeps: Callable[[Any], Iterable[Path]] | None) -> bool:
        if keeps is None:
            return True
        with self.quiet(ON_DISK, "checking a step's files"):
            return await asyncio.to_thread(intact, list(keeps(stored.result)), stored.files)

    async def _change(self, decide: Decide) -> Job:
        job = await self._store.change(self.job_id, decide, lease=self._lease)
        self.suspected = job.suspicion is not None
        self._stored = self._clock.monotonic()
        return job


async def with_room(clock: Clock, write: Callable[[], Awaitable[T]]) -> T:
    """What `write` returns, once the disk has room for it."""
    while True:
        try:
            return await write()
        except StoreFull:
            await clock.sleep(FULL_DISK_PAUSE)


def _begun(name: str, work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
    return arguments.begun(work, f"the work of step {name}")


async def _kept_up(write: Coroutine[Any, Any, None]) -> None:
    """Do `write` to its end when cancelled once; a second cancellation cuts it off."""
    task = asyncio.create_task(write)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        raise
