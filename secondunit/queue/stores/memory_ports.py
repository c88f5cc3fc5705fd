"""In-memory ports of the reference store, all but its own, and what a filter means."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from secondunit.queue.clock import Clock
from secondunit.queue.durable_files import Marks
from secondunit.queue.errors import KeyReused, ScheduleChanged, StoreBroken
from secondunit.queue.model import Change, Job, JobId, Lease, Notice
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.ports.pages import cut
from secondunit.queue.ports.pruning import KEY_LIFE
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.store import PAGE, Decide, Delivery, Step
from secondunit.queue.stores.rows import dump_notice, dump_or_none
from secondunit.queue.value import Value, replace


class FencedChange(Protocol):
    """The store's own `change`: refuses with LeaseLost, or writes."""

    def __call__(self, job_id: JobId, decide: Decide, *, lease: Lease | None = None) -> Awaitable[Job]: ...


class MemorySteps:
    """Steps by job and name."""

    def __init__(self, change: FencedChange) -> None:
        self._change = change
        self._rows: dict[tuple[JobId, str], Step] = {}

    async def get(self, job_id: JobId, name: str) -> Step | None:
        return self._rows.get((job_id, name))

    async def of_job(self, job_id: JobId) -> Sequence[Step]:
        steps = [step for step in self._rows.values() if step.job_id == job_id]
        return sorted(steps, key=lambda step: (step.at, step.name))

    async def intend(self, lease: Lease, name: str, now: datetime) -> Step:
        await self._change(lease.job_id, Change, lease=lease)
        before = self._rows.get((lease.job_id, name))
        step = Step(lease.job_id, name, False, None, before.sends + 1 if before else 1, now)
        self._rows[lease.job_id, name] = step
        return step

    async def finish(
        self, lease: Lease, name: str, result: Any, decide: Decide, now: datetime, *, files: Marks | None = None
    ) -> Job:
        job = await self._change(lease.job_id, decide, lease=lease)
        before = self._rows.get((lease.job_id, name))
        sends = before.sends if before else 0
        self._rows[lease.job_id, name] = Step(lease.job_id, name, True, result, sends, now, files)
        return job

    async def forget(self, lease: Lease, name: str) -> None:
        await self._change(lease.job_id, Change, lease=lease)
        step = self._rows.get((lease.job_id, name))
        if step and step.sends and not step.done:
            self._rows[lease.job_id, name] = replace(step, sends=step.sends - 1)

    def results(self, job_id: JobId) -> Sequence[Any]:
        """What its steps have stored."""
        return [step.result for step in self._rows.values() if step.job_id == job_id]

    def drop(self, job_ids: Collection[JobId]) -> None:
        """Forget the steps of jobs that are gone."""
        self._rows = {place: step for place, step in self._rows.items() if step.job_id not in job_ids}


def unchecked(_: Duty | None) -> None:
    """Where there are no duties, none is lost."""


class MemoryOutbox:
    """Deliveries by id, in the order they were made; `check` refuses under a duty that is lost."""

    def __init__(self, check: Callable[[Duty | None], None] = unchecked) -> None:
        self._check = check
        self._rows: dict[str, Delivery] = {}

    async def get(self, delivery_id: str) -> Delivery:
        return self._rows[delivery_id]

    async def of_job(self, job_id: JobId) -> Sequence[Delivery]:
        newest = (row for row in reversed(self._rows.values()) if row.notice.job_id == job_id)
        return cut(newest, PAGE, lambda row: (dump_notice(row.notice),))[0][::-1]

    async def first_pending(self, job_id: JobId) -> str | None:
        rows = self._rows.values()
        return next((row.id for row in rows if row.notice.job_id == job_id and row.state == "pending"), None)

    async def given_up(self, limit: int) -> Sequence[JobId]:
        dead = [row.notice.job_id for row in reversed(self._rows.values()) if row.state == "dead"]
        return [*dict.fromkeys(dead)][:limit]

    async def due(
        self, now: datetime, limit: int, *, except_for: Sequence[str] = (), kinds: Sequence[str] | None = None
    ) -> tuple[Sequence[Delivery], bool]:
        heads: dict[JobId, Delivery] = {}
        for row in self._rows.values():
            if row.state == "pending":
                heads.setdefault(row.notice.job_id, row)
        heads = {id: row for id, row in heads.items() if kinds is None or row.notice.target.kind in kinds}
        due = [row for row in heads.values() if row.next_at and row.next_at <= now and row.id not in except_for]
        return cut(sorted(due, key=lambda row: row.next_at or now), limit, lambda row: (dump_notice(row.notice),))

    async def next_due(self, kinds: Sequence[str] | None = None) -> datetime | None:
        rows = [row for row in self._rows.values() if kinds is None or row.notice.target.kind in kinds]
        return min((row.next_at for row in rows if row.next_at and row.state == "pending"), default=None)

    async def change(
        self, delivery_id: str, decide: Callable[[Delivery], Delivery], *, duty: Duty | None = None
    ) -> Delivery:
        self._check(duty)
        self._rows[delivery_id] = row = decide(self._rows[delivery_id])
        return row

    async def counts(self) -> Mapping[str, int]:
        return Counter(row.state for row in self._rows.values())

    def add(self, notice: Notice) -> None:
        """Make a delivery of this notice, due at once."""
        nth = 1 + sum(row.notice.job_id == notice.job_id for row in self._rows.values())
        row = Delivery(f"{notice.job_id}-{nth}", notice, "pending", 0, notice.at, notice.at)
        self._rows[row.id] = row

    def owing(self) -> set[JobId]:
        """The jobs that have a pending delivery."""
        return {row.notice.job_id for row in self._rows.values() if row.state == "pending"}

    def drop(self, job_ids: Collection[JobId]) -> None:
        """Forget the deliveries of jobs that are gone."""
        self._rows = {id: row for id, row in self._rows.items() if row.notice.job_id not in job_ids}


class MemoryCache:
    """Cache entries by key."""

    def __init__(self) -> None:
        self._rows: dict[str, CacheEntry] = {}

    async def get(self, key: str, now: datetime) -> CacheEntry | None:
        entry = self._rows.get(key)
        return entry if entry and now < entry.expires_at else None

    async def put(self, entry: CacheEntry) -> None:
        self._rows[entry.key] = entry

    async def drop(self, key: str) -> None:
        self._rows.pop(key, None)

    def expire(self, now: datetime) -> None:
        """Forget the entries whose time is over."""
        self._rows = {key: entry for key, entry in self._rows.items() if now < entry.expires_at}

    def makers(self) -> set[JobId]:
        """The jobs whose results are in the cache."""
        return {entry.job_id for entry in self._rows.values()}


class MemoryFolders:
    """Folders by path and manifest, what they replaced by path and part."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, datetime], PublishedFolder] = {}
        self._replaced: dict[tuple[str, str], Replaced] = {}

    async def add(self, folder: PublishedFolder) -> None:
        self._rows[folder.path, folder.manifest_at] = folder

    async def settle(self, folder: PublishedFolder) -> None:
        others = [place for place in self._rows if place[0] == folder.path and place[1] != folder.manifest_at]
        for place in others:
            del self._rows[place]

    async def known(self, path: str, inode: int) -> Sequence[PublishedFolder]:
        return [row for row in self._rows.values() if path == row.path or inode == row.inode]

    async def replace(self, replaced: Replaced) -> None:
        self._replaced[replaced.path, replaced.part] = replaced

    async def replaced(self, before: datetime, limit: int) -> Sequence[Replaced]:
        due = [row for row in self._replaced.values() if row.at < before]
        return sorted(due, key=lambda row: (row.at, row.path, row.part))[:limit]

    async def swept(self, replaced: Replaced) -> None:
        there = self._replaced.get((replaced.path, replaced.part))
        if there and there.at == replaced.at:
            del self._replaced[replaced.path, replaced.part]


class MemoryEngine:
    """Nothing lies beneath: nothing can fail, and nothing can be copied."""

    versions: Mapping[str, str] = {}
    reserve, unchecked, waiting = None, False, 0

    async def ping(self) -> None:
        """It is there."""

    async def watch(self, clock: Clock) -> None:
        while True:
            await clock.sleep(timedelta(days=1).total_seconds())

    def owns(self, path: Path) -> bool:  # noqa: ARG002  it is the port's
        return False

    async def snapshot(self, target: Path, secrets: Mapping[str, Collection[str]]) -> Snapshot:  # noqa: ARG002  as above
        raise StoreBroken(f"{target}: a store in memory can't be copied")


class MemorySchedules:
    """States by name; `check` refuses under a duty that is lost."""

    def __init__(self, check: Callable[[Duty | None], None] = unchecked) -> None:
        self._check = check
        self._rows: dict[str, ScheduleState] = {}

    async def all(self) -> Sequence[ScheduleState]:
        return [self._rows[name] for name in sorted(self._rows)]

    async def put(self, states: Sequence[ScheduleState], *, duty: Duty | None = None) -> None:
        self._check(duty)
        for state in states:
            self.judge(state)
        for state in states:
            self.set(state)

    async def drop(self, names: Sequence[str], *, duty: Duty | None = None) -> None:
        self._check(duty)
        for name in names:
            self._rows.pop(name, None)

    def set(self, state: ScheduleState) -> None:
        """As `put`, for one that was judged."""
        self._rows[state.name] = state.written

    def judge(self, state: ScheduleState | None) -> None:
        """ScheduleChanged if another stands there than the one that this was made of."""
        stands = self._rows.get(state.name) if state else None
        if state and stands and stands.revision != state.revision:
            raise ScheduleChanged(state.name)


class KnownKey(Value, frozen=True):
    """What an idempotency key stands for."""

    job_id: JobId
    digest: bytes
    made_at: datetime


def still_known(keys: Mapping[str, KnownKey], jobs: Collection[JobId], now: datetime) -> dict[str, KnownKey]:
    """The keys that stand for something still."""
    return {key: known for key, known in keys.items() if known.job_id in jobs and now < known.made_at + KEY_LIFE}


def with_key(keys: Mapping[str, KnownKey], job: Job) -> JobId | None:
    """The job that has this one's idempotency key, or KeyReused."""
    if job.idempotency is None:
        return None
    known = keys.get(job.idempotency.key)
    if known is None or job.created_at >= known.made_at + KEY_LIFE:
        return None
    if known.digest != job.idempotency.digest:
        raise KeyReused(job.idempotency.key, known.job_id)
    return known.job_id


def holds(lease: Lease, job: Job) -> bool:
    """Whether this lease is the one that runs the job."""
    return job.lease is not None and (job.lease.epoch, job.lease.boot) == (lease.epoch, lease.boot)


def texts(job: Job, steps: MemorySteps, parents: Sequence[Job]) -> Sequence[str | None]:
    """What its next run is given, as it is stored: the payload, and what its steps and parents have made."""
    return [dump_or_none(one) for one in (job.payload, *steps.results(job.id), *(up.result for up in parents))]
