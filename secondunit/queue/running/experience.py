"""Run statistics by type: how long the last runs took for the size of their inputs, by which others are estimated.

Kept in memory and written behind, a few seconds later, for runs of a type with hundreds a second must not cost a
write each: what a crash takes is learned anew.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreFull
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.instrumentation import RunEstimated, Sink
from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.ports.usage import cpu_of, is_figure
from secondunit.queue.sight.estimates import KEPT, Estimate, Rates, Sample, Sizes, Span, left
from secondunit.queue.store import Store
from secondunit.queue.value import Value

BYTES = "bytes"
WRITE_EVERY = 5.0
WORTH_TELLING = 1.0
DONE = (Status.COMPLETED, Status.PARTIAL)
Around = Callable[[Job, HandlerSpec, Any], AbstractAsyncContextManager[None]]


class Begun(Value, frozen=True):
    """A run that goes on: since when, by the clock that is never set, and on how many bytes."""

    at: float
    size: int


class Experience:
    """What earlier runs tell of others. `within` is what a run works within besides, such as its reservation."""

    def __init__(self, store: Store, registry: Registry, clock: Clock, emit: Sink, within: Around) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._emit = emit
        self._within = within
        self._samples: dict[str, deque[Sample]] = {}  # of the types that are served, so many of each
        self._rates: dict[str, Rates] = {}
        self._unwritten: set[str] = set()
        self._begun: dict[JobId, Begun] = {}

    @asynccontextmanager
    async def measured(self, job: Job, spec: HandlerSpec, payload: Any) -> AsyncIterator[None]:
        """Within, a run is at work, until it is `over`."""
        async with self._within(job, spec, payload):
            size = await _size(spec, payload)
            self._begun[job.id] = Begun(self._clock.monotonic(), size)
            if self._is_worth_telling(job.type) and (estimate := self.estimate(job)):
                self._emit(RunEstimated(job, estimate.span.seconds, estimate.span.error, estimate.cpu, estimate.runs))
            yield

    def over(self, job_id: JobId, after: Job | None) -> None:
        """A run ended, with the job as it is `after` it (None: its lease was lost); one that did its work is learned.

        None is that found steps of an earlier one, or by its measures had nothing to do.
        """
        begun = self._begun.pop(job_id, None)
        if begun is None or after is None or after.status not in DONE or not after.runs:
            return
        *before, last = after.runs
        told, measures = self._told(after), self._registry[after.type].measures
        if any(run.outcome != "postponed" for run in before) or (measures and not told):
            return
        sizes = {**told, BYTES: float(begun.size)} if begun.size else told
        sample = Sample(round(last.took.total_seconds(), 4), cpu_of(after.stats), sizes)
        self._samples.setdefault(after.type, deque(maxlen=KEPT)).append(sample)
        self._rates.pop(after.type, None)
        self._unwritten.add(after.type)

    def begun(self, job_id: JobId) -> bool:
        """Whether a run of this job is at work here."""
        return job_id in self._begun

    def estimate(self, job: Job) -> Estimate | None:
        """How long the whole run of a running job takes."""
        begun = self._begun.get(job.id)
        return self._estimate(job.type, {**self._told(job), BYTES: begun.size if begun else 0})

    def usual(self, type: str, size: int = 0) -> Estimate | None:
        """How long a run of the type takes on an input of `size` bytes (0: any)."""
        return self._estimate(type, {BYTES: size})

    def left(self, job: Job) -> Span | None:
        """How long a running job goes on; by the wall's clock if it runs elsewhere, or has only just begun."""
        begun = self._begun.get(job.id)
        if begun is None:
            elapsed = (self._clock.now() - (job.started_at or self._clock.now())).total_seconds()
        else:
            elapsed = self._clock.monotonic() - begun.at
        return left(self.estimate(job), elapsed, job.progress)

    async def run(self) -> None:
        """For ever: take up what was learned before a restart, and write what is new."""
        await self.restore()
        while True:
            await self._clock.tick(WRITE_EVERY)
            await self.note()

    async def restore(self) -> None:
        """Take up what was kept, as older than what was seen since."""
        for type, samples in (await self._store.sight.samples()).items():
            self._samples[type] = deque([*samples, *self._samples.get(type, ())], KEPT)
            self._rates.pop(type, None)

    async def note(self) -> None:
        """Write what is new; while the disk is full it waits."""
        types, self._unwritten = self._unwritten, set()
        if not types:
            return
        try:
            await self._store.sight.keep_samples({type: tuple(self._samples[type]) for type in types})
        except StoreFull:
            self._unwritten |= types

    def _estimate(self, type: str, sizes: Sizes) -> Estimate | None:
        rates = self._rates.get(type)
        if rates is None:
            rates = self._rates[type] = Rates(tuple(self._samples.get(type, ())))
        return rates.estimated(sizes)

    def _is_worth_telling(self, type: str) -> bool:
        samples = self._samples.get(type)
        return samples is not None and len(samples) > 0 and samples[-1].took >= WORTH_TELLING

    def _told(self, job: Job) -> dict[str, float]:
        """The sizes that the handler told of the work, in the order of its type."""
        stats: Mapping[str, Any] = job.stats or {}
        measures = self._registry[job.type].measures if job.type in self._registry else ()
        told = {name: stats.get(name) for name in measures}
        return {name: float(figure) for name, figure in told.items() if is_figure(figure) and figure > 0}


async def _size(spec: HandlerSpec, payload: Any) -> int:
    """The bytes of the input, where its type can say it."""
    if spec.size is None:
        return 0
    return max(await asyncio.to_thread(spec.size, payload.model_dump(by_alias=True)), 0)
