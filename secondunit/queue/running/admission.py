"""Admission control by disk space: a run reserves what it will write; what does not fit is postponed and woken later.

The rule, `refusal`: a job fits if, after all that running jobs reserved on its disk, what it reserves is free and
`floor` stays free besides. Who does not fit lets others by. Yet once it has waited for PATIENCE, and would fit if
nothing ran, nobody who came to wait later starts on that disk before it: then runs end, and it fits. What would not fit
even so holds nobody up. A job that reserves nothing always fits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from secondunit.queue import state
from secondunit.queue.clock import Clock
from secondunit.queue.errors import JobNotFound, NotAllowed, StoreFull
from secondunit.queue.follow import each
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.hub import Hub
from secondunit.queue.model import Change, Event, Filter, Job, JobId, Run, Status
from secondunit.queue.outcome import Postponed
from secondunit.queue.running.nap import nap
from secondunit.queue.store import Store
from secondunit.queue.value import Value

WORD = "no_room"
PATIENCE = timedelta(minutes=10)
LOOK_EVERY, AT_LATEST = 5.0, timedelta(hours=1)


class Disk(Value, frozen=True):
    """A file system by its device number, with a name for people and the bytes that are free."""

    id: int
    name: str
    free: int


class Wish(Value, frozen=True):
    """What a job wants to reserve on a disk, and since when."""

    job_id: JobId
    type: str
    need: int
    path: str | None
    disk: int
    since: datetime


def refusal(
    wish: Wish, disk: Disk, reserved: Sequence[int], waiting: Collection[Wish], floor: int, now: datetime
) -> str | None:
    """Why a job must wait, in words with figures; None if it may start."""
    if wish.need <= 0:
        return None
    asked = f"{wish.type} reserves {size(wish.need)} on {disk.name}, where {size(disk.free)} are free"
    if wish.need > disk.free - sum(reserved) - floor:
        held = f", {size(sum(reserved))} of it reserved by {len(reserved)} running" if reserved else ""
        return f"{WORD}: {asked}{held}, and {size(floor)} are to stay free (MIN_FREE_MB)"
    before = [one for one in waiting if one.disk == wish.disk and one.since < wish.since and one.job_id != wish.job_id]
    for one in before:
        if now - one.since >= PATIENCE and one.need <= disk.free - floor:
            return (
                f"{WORD}: {asked}, but {one.job_id} has waited there for {size(one.need)} since {one.since:%H:%M} UTC"
            )
    return None


def waits_since(job: Job, now: datetime) -> datetime:
    """Since when a job has been postponed for want of room, again and again; also before a restart."""
    since = now
    for run in reversed(job.runs):
        if not _lacked_room(run):
            break
        since = run.started_at
    return since


def waits_for_room(job: Job) -> bool:
    """Whether the time that a job waits for is that of its postponement for want of room, not one of its caller's."""
    return job.run_at is not None and bool(job.runs) and _lacked_room(job.runs[-1])


def _lacked_room(run: Run) -> bool:
    return run.outcome == "postponed" and (run.why or "").startswith(f"{WORD}:")


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


class Admission:
    """Keeps the reservations of what runs and the wishes of what waits; `disk_of` a path (None: DATA_DIR) blocks.

    `types` are those that reserve something.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        clock: Clock,
        types: Collection[str],
        floor: int,
        disk_of: Callable[[str | None], Disk],
    ) -> None:
        self._store = store
        self._hub = hub
        self._clock = clock
        self._types = sorted(types)
        self._floor = floor
        self._disk_of = disk_of
        self._reserved: dict[object, tuple[int, int]] = {}
        self._waiting: dict[JobId, Wish] = {}
        self._news = asyncio.Event()
        hub.tap(self._hear)

    @asynccontextmanager
    async def reserved(self, job: Job, spec: HandlerSpec, payload: Any) -> AsyncIterator[None]:
        """Within, what the job reserves is kept for it; Postponed if it does not fit."""
        reserve = spec.reserve
        if reserve is None:
            yield
            return
        now, path = self._clock.now(), spec.place(payload)
        need, disk = await asyncio.to_thread(lambda: (reserve(payload), self._disk_of(path)))
        wish = Wish(job.id, job.type, need, path, disk.id, waits_since(job, now))
        if why := self._refusal(wish, disk, self._held(disk)):
            self._waiting[job.id] = wish
            self._news.set()
            raise Postponed(why, delay=AT_LATEST)
        self._waiting.pop(job.id, None)
        place = object()
        self._reserved[place] = disk.id, need
        try:
            yield
        finally:
            del self._reserved[place]
            self._news.set()

    def waits(self, job_id: JobId) -> bool:
        """Whether a run of this job did not fit, and waits for room since."""
        return job_id in self._waiting

    async def run(self) -> None:
        """For ever: wake who waits once there is room. The disk is looked at only while somebody waits."""
        await self._restore()
        while True:
            self._news.clear()
            await self._wake()
            if self._waiting:
                await nap(self._news, self._clock, LOOK_EVERY)
            else:
                await self._news.wait()

    async def _restore(self) -> None:
        """Those that waited when the daemon ended are judged anew; only types that reserve something are looked at."""
        if not self._types:
            return
        async for job in each(self._store, Filter([Status.QUEUED], self._types)):
            if waits_for_room(job):
                await self._hasten(job.id)

    async def _wake(self) -> None:
        granted: dict[int, list[int]] = {}
        for wish in sorted(self._waiting.values(), key=lambda wish: wish.since):
            disk = await asyncio.to_thread(self._disk_of, wish.path)
            held = [*self._held(disk), *granted.get(disk.id, ())]
            if self._refusal(wish, disk, held) is None:
                granted.setdefault(disk.id, []).append(wish.need)
                if await self._hasten(wish.job_id):  # else its run is not postponed yet
                    self._waiting.pop(wish.job_id, None)  # judged again when it starts, it may come back

    async def _hasten(self, job_id: JobId) -> bool:
        """Whether the job waits no more."""

        def hasten(job: Job) -> Change:
            if not waits_for_room(job):
                raise NotAllowed(job.id, "it does not wait for room")
            return state.hasten(job, self._clock.now())

        try:
            await self._store.change(job_id, hasten)
        except JobNotFound:
            return True
        except (NotAllowed, StoreFull):
            return False
        self._hub.publish(())  # no event, but the worker's tap looks again
        return True

    def _refusal(self, wish: Wish, disk: Disk, held: Sequence[int]) -> str | None:
        return refusal(wish, disk, held, self._waiting.values(), self._floor, self._clock.now())

    def _held(self, disk: Disk) -> Sequence[int]:
        return [need for id, need in self._reserved.values() if id == disk.id and need > 0]

    def _hear(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.status.ended and event.job_id in self._waiting:
                del self._waiting[event.job_id]
                self._news.set()
