"""In-memory reference store: gone with the process, the shortest statement of what a store promises.

No method suspends, so each is atomic for everyone on the loop; what can be refused is refused before the first write.
"""

from collections import ChainMap, deque
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, LeaseLost, NotAllowed
from secondunit.queue.graph.port import Graph
from secondunit.queue.model import Batch, Change, Counts, Event, Filter, Job, JobId, Lease, Page, Status
from secondunit.queue.ports.access import AccessKeys, AuditTrail
from secondunit.queue.ports.boxes import Boxes
from secondunit.queue.ports.cache import Cache
from secondunit.queue.ports.duties import Duties, Duty
from secondunit.queue.ports.engine import Engine
from secondunit.queue.ports.folders import Folders
from secondunit.queue.ports.pages import cut, page_of
from secondunit.queue.ports.pruning import KEY_LIFE, Prune
from secondunit.queue.ports.schedules import Schedules, ScheduleState, with_jobs
from secondunit.queue.state import QueueLimits, within
from secondunit.queue.store import Decide, Listener, Outbox, Steps
from secondunit.queue.stores.memory_access import MemoryAccessKeys, MemoryAuditTrail
from secondunit.queue.stores.memory_boxes import MemoryBoxes, MemoryDuties
from secondunit.queue.stores.memory_graph import MemoryGraph
from secondunit.queue.stores.memory_line import MemoryLine, MemoryLog, counted, horizon
from secondunit.queue.stores.memory_ports import (
    KnownKey,
    MemoryCache,
    MemoryEngine,
    MemoryFolders,
    MemoryOutbox,
    MemorySchedules,
    MemorySteps,
    holds,
    still_known,
    texts,
    with_key,
)
from secondunit.queue.stores.memory_sight import MemorySight, matches
from secondunit.queue.stores.rows import fixed_values, moving_values
from secondunit.queue.value import replace


class MemoryStore:
    """A Store that lasts as long as the process."""

    steps: Steps
    outbox: Outbox
    cache: Cache
    audit: AuditTrail
    schedules: Schedules
    duties: Duties
    graph: Graph
    boxes: Boxes

    def __init__(self, generation: str = "memory") -> None:
        self._generation = generation
        self._jobs: dict[JobId, Job] = {}
        self._line = MemoryLine(self._jobs)
        self._keys: dict[str, KnownKey] = {}
        self._twins: dict[str, JobId] = {}
        self._log = MemoryLog()
        self._listeners: list[Listener] = []
        self._paused: set[str] = set()
        self._limits: Mapping[str, int] = {}
        self._submitted = 0
        self._stopping: str | None = None
        self.steps = self._steps = MemorySteps(self.change)
        self.duties = self._duties = MemoryDuties()
        self.outbox = self._outbox = MemoryOutbox(self._duties.check)
        self.cache = self._cache = MemoryCache()
        self.folders: Folders = MemoryFolders()
        self.keys: AccessKeys = MemoryAccessKeys()
        self.audit = self._audit = MemoryAuditTrail()
        self.schedules = self._schedules = MemorySchedules(self._duties.check)
        self.engine: Engine = MemoryEngine()
        self.boxes = self._boxes = MemoryBoxes(lambda: self._in(Status.RUNNING), self._line.ready)
        self.graph = self._graph = MemoryGraph(self._jobs)
        self.sight = self._sight = MemorySight(self._line.at, lambda: self._in(Status.FAILED))

    @property
    def generation(self) -> str:
        """The name given at the start."""
        return self._generation

    @property
    def secret(self) -> bytes:
        """Known to every test."""
        return self._generation.encode().ljust(32)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with the events of each write."""
        self._listeners.append(listener)

    async def add(
        self,
        changes: Sequence[Change],
        limits: QueueLimits = QueueLimits(),
        schedule: ScheduleState | None = None,
        batch: Batch | None = None,
        duty: Duty | None = None,
    ) -> Sequence[tuple[Job, bool]]:
        self._duties.check(duty)
        self._schedules.judge(schedule)
        keys: MutableMapping[str, KnownKey] = ChainMap({}, self._keys)
        twins: MutableMapping[str, JobId] = ChainMap({}, self._twins)
        fresh: dict[JobId, Change] = {}
        answers: list[tuple[JobId, bool]] = []
        for change in changes:
            job = change.job
            there = with_key(keys, job) or (job.dedupe_key and twins.get(job.dedupe_key))
            if not there:
                fresh[job.id] = replace(change, job=replace(job, seq=self._submitted + len(fresh) + 1))
                if job.idempotency:
                    keys[job.idempotency.key] = KnownKey(job.id, job.idempotency.digest, job.created_at)
                if job.dedupe_key:
                    twins[job.dedupe_key] = job.id
            answers.append((there or job.id, not there))
        self._check(limits, [change.job for change in fresh.values()])
        instead = {change.job.id: id for change, (id, new) in zip(changes, answers, strict=True) if not new}
        bound = self._graph.bound(fresh, instead)
        self._submitted += len(fresh)
        self._keys = dict(keys)
        self._graph.came(bound, batch)
        self._write(bound)
        self._write(self._graph.late(bound))
        if schedule is not None:
            self._schedules.set(with_jobs(schedule, [id for id, _ in answers]))
        return [(self._jobs[id], created) for id, created in answers]

    async def known(self, key: str, now: datetime) -> tuple[JobId, bytes] | None:
        known = self._keys.get(key)
        return (known.job_id, known.digest) if known and now < known.made_at + KEY_LIFE else None

    async def get(self, job_id: JobId) -> Job:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise JobNotFound(job_id) from None

    async def live_twin(self, dedupe_key: str) -> Job | None:
        return self._jobs[self._twins[dedupe_key]] if dedupe_key in self._twins else None

    async def find(self, filter: Filter, cursor: int | None, limit: int, *, counted: bool = True) -> Page:  # noqa: ARG002  it costs nothing
        matching = [job for job in reversed(self._jobs.values()) if matches(filter, job)]
        rest = [job for job in matching if cursor is None or job.seq < cursor]
        return page_of(*cut(rest, limit, lambda job: (*fixed_values(job), *moving_values(job))), len(matching))

    async def counts(self) -> Counts:
        return counted(self._jobs.values(), self._line.oldest())

    async def claim(
        self,
        room: Mapping[str, int],
        limit: int,
        boot: str,
        ttl: timedelta,
        now: datetime,
        *,
        box: str | None = None,
        overall: Mapping[str, int] = {},
        most_bytes: int | None = None,
    ) -> Sequence[Job]:
        jobs = self._line.taken(within(room, overall, self._line.running), limit, now, box)
        if most_bytes is not None:
            jobs, _ = cut(jobs, limit, lambda job: texts(job, self._steps, self._graph.parents_of(job)), most_bytes)
        changes = [state.start(job, boot, ttl, now) for job in jobs]
        self._write(changes)
        return [change.job for change in changes]

    async def extend(self, leases: Sequence[Lease], until: datetime, now: datetime) -> Mapping[JobId, Job]:
        held: dict[JobId, Job] = {}
        for lease in leases:
            job = self._jobs.get(lease.job_id)
            if job and job.lease and holds(lease, job) and job.lease.until >= now:
                held[job.id] = replace(job, lease=replace(job.lease, until=until))
        self._write(Change(job) for job in held.values())
        return held

    async def change(
        self, job_id: JobId, decide: Decide, *, lease: Lease | None = None, limits: QueueLimits = QueueLimits()
    ) -> Job:
        job = await self.get(job_id)
        if lease is not None and not holds(lease, job):
            raise LeaseLost(job_id, lease.epoch)
        change = decide(job)
        twin = None if change.job.status.ended else self._twins.get(change.job.dedupe_key or "")
        if twin not in (None, job_id):
            raise NotAllowed(job_id, f"{twin} does the same work already")
        if job.status.ended and not change.job.status.ended:
            self._check(limits, [change.job])
        limits.check_start(job, change.job, self._line.running)
        self._write([self._graph.rejoined(job, change)])
        return self._jobs[job_id]

    async def expired(self, now: datetime, boot: str, limit: int) -> Sequence[Lease]:
        leases = [job.lease for job in self._in(Status.RUNNING) if job.lease]
        return [lease for lease in leases if lease.until < now or lease.boot != boot][:limit]

    async def suspects(self) -> Sequence[Job]:
        return [job for job in self._jobs.values() if job.suspicion]

    async def stopping(self, boot: str) -> None:
        self._stopping = boot

    async def was_stopping(self, boot: str) -> bool:
        return self._stopping == boot

    async def shift(self, delta: timedelta) -> None:
        for job in self._jobs.values():
            if job.lease:
                self._jobs[job.id] = replace(job, lease=replace(job.lease, until=job.lease.until + delta))
        self._line.shift(delta, lambda job: self._jobs.update({job.id: job}))

    async def next_due(self, types: Sequence[str]) -> datetime | None:
        return self._line.next_due(types)

    async def age(self, now: datetime, step: timedelta, limit: int) -> int:
        return self._line.age(now, step, limit)

    async def events(self, after: int, filter: Filter, limit: int) -> Sequence[Event]:
        return self._log.after(after, filter, limit)

    async def event_bounds(self) -> tuple[int, int]:
        return self._log.first, self._log.last

    async def pause(self, type: str, paused: bool) -> None:
        (self._paused.add if paused else self._paused.discard)(type)

    async def paused(self) -> frozenset[str]:
        return frozenset(self._paused)

    async def limit(self, type: str, concurrency: int | None) -> None:
        own = {} if concurrency is None else {type: concurrency}
        self._limits = {name: n for name, n in self._limits.items() if name != type} | own

    async def limits(self) -> Mapping[str, int]:
        return self._limits

    async def prune(self, what: Prune) -> Sequence[JobId]:
        self._cache.expire(what.now)
        kept = self._outbox.owing() | self._cache.makers() | self._graph.needed()
        old = [job for job in self._jobs.values() if job.finished_at and job.finished_at < horizon(what, job)]
        gone = [job.id for job in old if job.id not in kept][: what.limit]
        for id in gone:
            del self._jobs[id]
        self._keys = still_known(self._keys, self._jobs, what.now)
        self._log.keep(self._jobs)
        self._steps.drop(gone)
        self._outbox.drop(gone)
        self._graph.drop(min(what.before, what.failed_before))
        self._audit.forget(what.now, what.limit)
        self._boxes.forget(what)
        self._sight.forget(gone, what.now)
        return gone

    async def close(self) -> None: ...

    def _check(self, limits: QueueLimits, coming: Sequence[Job]) -> None:
        owners = [job.owner for job in self._in(Status.QUEUED)]
        limits.check(coming, lambda owner: len(owners) if owner is None else owners.count(owner))

    def _write(self, changes: Iterable[Change]) -> None:
        began = self._log.last
        moved = deque(job for change in changes if (job := self._apply(change)))
        while moved:
            for child in self._graph.followers(moved.popleft()):
                if (change := self._graph.told(child, self._twins)) and (job := self._apply(change)):
                    moved.append(job)
        for listener in self._listeners if self._log.last > began else ():
            listener(self._log.after(began, Filter(), self._log.last - began))

    def _apply(self, change: Change) -> Job | None:
        """Store one job with its event and notices; the job, if others depend on it and it has ended or is back."""
        before, job = self._jobs.get(change.job.id), change.job
        self._place(job)
        self._sight.moved(before, change)
        self._jobs[job.id] = job
        if change.event:
            self._log.add(change.event)
        if change.notice:
            self._outbox.add(change.notice)
        moved = before is not None and before.status.ended is not job.status.ended
        if moved and (notice := self._graph.batch_notice(job)):
            self._outbox.add(notice)
        return job if moved and job.followed else None

    def _place(self, job: Job) -> None:
        self._line.place(job)
        if job.dedupe_key and not job.status.ended:
            self._twins[job.dedupe_key] = job.id
        elif job.dedupe_key and self._twins.get(job.dedupe_key) == job.id:
            del self._twins[job.dedupe_key]

    def _in(self, status: Status) -> list[Job]:
        return [job for job in self._jobs.values() if job.status is status]
