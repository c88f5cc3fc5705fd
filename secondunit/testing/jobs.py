"""Test fixtures: short ways to bring a store into a state worth testing."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from secondunit.queue import state
from secondunit.queue.model import Change, Event, Filter, Job, JobId, Lease, Submission, Target
from secondunit.queue.outcome import Completed, Failed, JobError, Outcome
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.store import Decide, Store
from secondunit.testing.clock import START

NOW = START
TTL = timedelta(seconds=30)
BOOT = "boot-1"
ALL = Filter()
CALLBACK = Target("callback", "http://127.0.0.1/done")
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))
FLAKY = Failed(JobError("transient", "flaky", "try again"))


class NoJitter:
    """Chance that never adds anything."""

    def random(self) -> float:
        """Always 0."""
        return 0.0

    def randbytes(self, n: int, /) -> bytes:
        """Zeros."""
        return bytes(n)


def later(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def new(job_id: JobId, *, type: str = "hls", at: datetime = NOW, **fields: Any) -> Change:
    """The submission of a job."""
    return state.submit(Submission(type, fields.pop("payload", {"n": 1}), **fields), job_id, at)


def settled(outcome: Outcome, at: datetime = NOW) -> Decide:
    """The move that ends a run so."""
    return lambda job: state.settle(job, outcome, NoJitter(), at)


def by(move: Callable[..., Change], *arguments: Any) -> Decide:
    """One of state's moves with all its arguments but the job."""
    return lambda job: move(job, *arguments)


async def submit(store: Store, *job_ids: JobId, **fields: Any) -> Sequence[Job]:
    """Submit jobs that differ in their ids only."""
    return [job for job, _ in await store.add([new(job_id, **fields) for job_id in job_ids])]


async def claim(store: Store, room: int = 10, *, type: str = "hls", at: datetime = NOW, boot: str = BOOT) -> list[Job]:
    """Claim jobs of one type."""
    return list(await store.claim({type: room}, room, boot, TTL, at))


async def start(store: Store, job_id: JobId, *, at: datetime = NOW, boot: str = BOOT, **fields: Any) -> Lease:
    """Submit a job that is the next of its type, and claim it."""
    await submit(store, job_id, at=at, **fields)
    return await claim_one(store, job_id, at=at, boot=boot)


async def claim_one(store: Store, job_id: JobId, *, at: datetime = NOW, boot: str = BOOT) -> Lease:
    """Claim a job that is the next of its type."""
    [job] = await claim(store, 1, type=(await store.get(job_id)).type, at=at, boot=boot)
    assert job.id == job_id, f"{job.id} came before {job_id}"
    return held(job)


async def start_suspect(store: Store, job_id: JobId, *, at: datetime = NOW, boot: str = BOOT) -> Lease:
    """Start a job that no claim brings: it is under suspicion."""
    return held(await store.change(job_id, by(state.start, boot, TTL, at)))


def held(job: Job) -> Lease:
    """The lease of a running job."""
    assert job.lease is not None, f"{job.id} is {job.status}"
    return job.lease


async def end(
    store: Store, job_id: JobId, outcome: Outcome = Completed({"ok": True}), *, at: datetime = NOW, **fields: Any
) -> Job:
    """Submit a job, run it and end it so."""
    lease = await start(store, job_id, at=at, **fields)
    return await store.change(job_id, settled(outcome, at), lease=lease)


async def names(store: Store, job_id: JobId) -> list[str]:
    """What happened to a job, by its stored events."""
    return [event.name for event in await store.events(0, Filter(ids=[job_id]), 1000)]


def listened(store: Store) -> list[Event]:
    """A list that grows by what the store tells its listeners."""
    heard: list[Event] = []
    store.listen(heard.extend)
    return heard


def prune_at(at: datetime, **changed: Any) -> Prune:
    """Forget whatever ended before `at`."""
    return partial(Prune, now=at, before=at, failed_before=at)(**changed)
