"""Forecast of jobs: when one that waits will start, and how long one that runs goes on, each with its error.

The line is run through the slots about once a second at most, however many ask: the first 100 jobs of each type by
their own inputs, who stands behind them by what its type usually takes.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from secondunit.queue.clock import Clock
from secondunit.queue.follow import first
from secondunit.queue.handler import Registry
from secondunit.queue.model import Filter, Job, JobId, Status
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.running.experience import Experience
from secondunit.queue.sight.estimates import LONGEST, Estimate, Span
from secondunit.queue.sight.lanes import Turn, behind, starts
from secondunit.queue.sight.port import Waiting
from secondunit.queue.sight.room import Load
from secondunit.queue.store import Store
from secondunit.queue.value import Value

LOOKED_AT = 100
MOST_RUNNING = 200
GOOD_FOR = 1.0  # seconds
RUNNING = Filter([Status.RUNNING])
Held = Callable[[str], Awaitable[str | None]]


class Outlook(Value, frozen=True):
    """What is expected of a job; None where it can't be told.

    `end` is how long it goes on until its end, `start` until its run begins; `whole` is its run from start to end.
    """

    end: Span | None = None
    start: Span | None = None
    starts_at: datetime | None = None
    whole: Estimate | None = None


UNKNOWN = Outlook()


def unforeseen(_: Job) -> Outlook:
    """Nothing is expected of any job."""
    return UNKNOWN


class _Lanes(Value, frozen=True):
    """The line as it was run through the slots at `at` (monotonic).

    Of its jobs: how long each takes, when those start of which that can be told, how many there are of each type, and
    when the last of each starts (None: that can't be told).
    """

    at: float
    starts: Mapping[JobId, Span]
    whole: Mapping[JobId, Estimate | None]
    sizes: Mapping[JobId, int]
    counts: Mapping[str, int]
    last: Mapping[str, Span | None]


class Forecast:
    """Tells outlooks by the experience of earlier runs; `held` says why a type's jobs are put back just now."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        clock: Clock,
        load: Callable[[], Load],
        experience: Experience,
        held: Held,
        locality: Locality = ANYWHERE,
    ) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._load = load
        self._experience = experience
        self._held = held
        self._locality = locality
        self._lanes: _Lanes | None = None
        self._looking = asyncio.Lock()

    async def __call__(self, job: Job) -> Outlook:
        """What is expected of the job."""
        if job.status is not Status.QUEUED:
            return self.at_once(job)
        whole = self._experience.usual(job.type) if job.type in self._registry else None
        if await self._stands_in_no_line(job):
            return Outlook(whole=whole)
        lanes = await self._looked(job)
        start = lanes.starts.get(job.id)
        if job.id in lanes.whole:
            whole = lanes.whole[job.id]
        else:
            start = await self._far(job, lanes)
        return self._outlook(start, lanes, whole)

    def at_once(self, job: Job) -> Outlook:
        """What is expected of it without a look at the store: of one that waits only while it was just looked at."""
        if job.status is Status.RUNNING:
            return Outlook(self._experience.left(job), whole=self._experience.estimate(job))
        lanes = self._lanes
        if job.status is Status.QUEUED and lanes and self._clock.monotonic() - lanes.at < GOOD_FOR:
            return self._outlook(lanes.starts.get(job.id), lanes, lanes.whole.get(job.id))
        return UNKNOWN

    def _outlook(self, start: Span | None, lanes: _Lanes, whole: Estimate | None) -> Outlook:
        if start is None:
            return Outlook(whole=whole)
        start = Span(max(start.seconds - (self._clock.monotonic() - lanes.at), 0.0), start.error)
        end = whole.span.after(start) if whole else None
        return Outlook(end, start, self._clock.now() + timedelta(seconds=start.seconds), whole)

    async def _stands_in_no_line(self, job: Job) -> bool:
        """Whether it waits for something else than a slot, of which it can't be told when it comes."""
        load, later = self._load(), job.run_at is not None and job.run_at > self._clock.now()
        if self._locality.elsewhere(job.box):
            return True
        if job.waiting_for or job.suspicion or later or _holds_up(load):
            return True
        if job.type not in load.limits or job.type in await self._store.paused():
            return True
        return await self._held(job.type) is not None

    async def _looked(self, job: Job) -> _Lanes:
        async with self._looking:
            lanes = self._lanes
            if lanes is None or self._clock.monotonic() - lanes.at >= GOOD_FOR or _lacks(lanes, job):
                self._lanes = lanes = await self._look(lanes)
        return lanes

    async def _look(self, before: _Lanes | None) -> _Lanes:
        load = self._load()  # of what runs here: when a worker elsewhere comes for a job, nobody knows
        types = load.limits.keys() - await self._store.paused()
        line, running = await asyncio.gather(
            self._store.sight.waiting(types, self._clock.now(), LOOKED_AT, self._locality.claims_for),
            first(self._store, RUNNING, MOST_RUNNING),
        )
        known = before.sizes if before else {}
        sizes = {one.job_id: known[one.job_id] for one in line if known.get(one.job_id)}
        sizes |= await asyncio.to_thread(self._sizes, [one for one in line if one.job_id not in sizes])
        usual = self._experience.usual
        whole = {one.job_id: usual(one.type, sizes[one.job_id]) for one in line}
        turns = [Turn(one.job_id, one.type, _span(whole[one.job_id])) for one in line]
        here = [job for job in running if job.type in load.limits and self._locality.holds(job)]
        going_on = [(job.type, self._experience.left(job)) for job in here]
        found = starts(load, going_on, turns)
        counts, last = Counter(one.type for one in line), {one.type: found.get(one.job_id) for one in line}
        return _Lanes(self._clock.monotonic(), found, whole, sizes, counts, last)

    def _sizes(self, line: Sequence[Waiting]) -> Mapping[JobId, int]:
        return {one.job_id: size(one.payload) if (size := self._registry[one.type].size) else 0 for one in line}

    async def _far(self, job: Job, lanes: _Lanes) -> Span | None:
        """Of one that stands behind those that were looked at."""
        last = lanes.last.get(job.type)
        if last is None:
            return None  # nobody knows when those before it start, or it started meanwhile
        types, now = self._load().limits.keys(), self._clock.now()
        line = await self._store.sight.line(job.id, types, now, 0, self._locality.claims_for)
        rest = {type: max(n - lanes.counts.get(type, 0), 0) for type, n in line.ahead.items()}
        usually = {type: _span(self._experience.usual(type)) for type in {job.type, *rest}}
        start = behind(self._load(), job.type, last, rest, usually)
        return start if start and start.seconds < LONGEST else None


def _holds_up(load: Load) -> bool:
    """Whether nothing starts here, whatever slots are free."""
    return load.draining or load.drained or load.full or load.short is not None


def _lacks(lanes: _Lanes, job: Job) -> bool:
    """Whether the job came since: all of its type were looked at, and it was not there."""
    return job.id not in lanes.whole and lanes.counts.get(job.type, 0) < LOOKED_AT


def _span(estimate: Estimate | None) -> Span | None:
    return estimate.span if estimate else None
