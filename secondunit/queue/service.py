"""Queue service, as callers use it: submit, look, cancel, retry, wait, follow."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from secondunit.queue import state
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import BadDependencies, Draining, KeyReused, NotAllowed, QueueError
from secondunit.queue.follow import Follow, each
from secondunit.queue.graph import bulk
from secondunit.queue.graph.binding import Sees, everything, looked_up
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.handler import Registry
from secondunit.queue.hub import Hub, Subscription
from secondunit.queue.ids import new_batch_id, new_job_id
from secondunit.queue.model import (
    Batch,
    BatchId,
    Change,
    Counts,
    Filter,
    Job,
    JobId,
    Lease,
    Page,
    Status,
    Submission,
    Target,
)
from secondunit.queue.payloads.locality import ANYWHERE, Locality
from secondunit.queue.payloads.secret_fields import check_whole, without_secrets
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.store import Delivery, Step, Store
from secondunit.queue.turns import made_in_turns
from secondunit.queue.validation import judged


class Queue:
    """The durable queue.

    `stop` stops the run of a lease, if it runs in this process, and `lose` does so when the lease is gone; `coming` is
    told that jobs are about to be stored; `admit` raises a QueueError to refuse new work for a reason of the box's own.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        hub: Hub,
        clock: Clock,
        random: Random,
        *,
        stop: Callable[[Lease], None] = lambda lease: None,
        lose: Callable[[Lease], None] = lambda lease: None,
        coming: Callable[[], None] = lambda: None,
        admit: Callable[[], None] = lambda: None,
        limits: state.QueueLimits = state.QueueLimits(),
        locality: Locality = ANYWHERE,
    ) -> None:
        self.registry = registry
        self.hub = hub
        self.draining = False
        self._store = store
        self._clock, self._random = clock, random
        self._stop, self._lose = stop, lose
        self._coming, self._admit = coming, admit
        self._limits = limits
        self.locality = locality
        self.graph = store.graph

    async def submit(
        self, submission: Submission, sees: Sees = everything, duty: Duty | None = None
    ) -> tuple[Job, bool]:
        """Store a job; False with the job that already stands for this request (same key or same work)."""
        return (await self.submit_all([submission], sees=sees, duty=duty))[0]

    async def submit_all(
        self,
        submissions: Sequence[Submission],
        schedule: ScheduleState | None = None,
        batch: Batch | None = None,
        sees: Sees = everything,
        duty: Duty | None = None,
    ) -> Sequence[tuple[Job, bool]]:
        """Store jobs, all or none: when this returns they are on disk, with the schedule that they are a run of.

        So is their `batch`. With a lost `duty`: DutyLost. What they depend on is named by `ref`, or by id if the caller
        `sees` it; BadDependencies.
        """
        references = await made_in_turns(lambda one: judged(one, self.registry, self.locality), submissions)
        if refusal := self._refusal():
            if schedule is not None:
                raise refusal
            return [await self._known_or(submission, refusal) for submission in submissions]
        now = self._clock.now()
        ids = [new_job_id(now, self._random) for _ in submissions]
        try:
            submissions = await looked_up(submissions, references, ids, self._store.find, sees)
        except BadDependencies as error:  # it may be a request of before, whose parents are forgotten
            return [await self._known_or(submission, error) for submission in submissions]
        changes = await made_in_turns(lambda one: self._new(*one, now), [*zip(submissions, ids, strict=True)])
        self._coming()
        stored = await self._store.add(changes, self._limits, schedule, batch, duty)
        return [
            (job, True) if created else await self._shared(job, submission)
            for (job, created), submission in zip(stored, submissions, strict=True)
        ]

    async def get(self, job_id: JobId) -> Job:
        """The job, or JobNotFound."""
        return await self._store.get(job_id)

    async def find(self, filter: Filter, cursor: int | None = None, limit: int = 20) -> Page:
        """Jobs newest first."""
        return await self._store.find(filter, cursor, limit)

    def each(self, filter: Filter, most: int | None = None) -> AsyncIterator[Job]:
        """Every job that matches, or the first, newest first, by pages: one that moves meanwhile is as it was read."""
        return each(self._store, filter, most)

    async def live_twin(self, dedupe_key: str) -> Job | None:
        """The live job with this dedupe key."""
        return await self._store.live_twin(dedupe_key)

    async def steps_of(self, job_id: JobId) -> Sequence[Step]:
        """The steps of a job, those finished and those begun, oldest first."""
        return await self._store.steps.of_job(job_id)

    async def deliveries_of(self, job_id: JobId) -> Sequence[Delivery]:
        """The last deliveries of a job, oldest first: as many as the outbox shows."""
        return await self._store.outbox.of_job(job_id)

    async def deliveries(self, named: int) -> tuple[Mapping[str, int], Sequence[JobId]]:
        """How many deliveries are in each state, and the last jobs of which one was given up, so many at most."""
        counts = await self._store.outbox.counts()
        return counts, await self._store.outbox.given_up(named) if counts.get("dead") else ()

    @property
    def generation(self) -> str:
        """Names this line of event numbers; a restored backup begins a new one."""
        return self._store.generation

    @property
    def secret(self) -> bytes:
        """32 bytes of this database that nobody outside knows."""
        return self._store.secret

    async def counts(self) -> Counts:
        """How many jobs stand where."""
        return await self._store.counts()

    async def cancel(self, job_id: JobId) -> Job:
        """Cancel the job; for a running one, return once its processes are gone. NotAllowed if it ends otherwise."""
        with self.hub.subscribe(Filter(ids=[job_id])) as live:
            job = await self._store.change(job_id, self._cancelled)
            if job.lease is not None:
                self._stop(job.lease)
                job = await self._ended(job, live)
        if job.status is not Status.CANCELLED:
            raise NotAllowed(job_id, f"it {job.status} before it could be cancelled")
        return job

    async def retry(self, job_id: JobId) -> Job:
        """Queue an ended job again with fresh attempts; Saturated where a new one would be refused.

        SecretsStruck if it needs what is not kept any more.
        """

        def again(job: Job) -> Change:
            change = state.retry(job, self._clock.now())
            check_whole(job, self.registry.secrets_of(job.type))
            return change

        return await self._store.change(job_id, again, limits=self._limits)

    async def recover(self, job_id: JobId, epoch: int | None = None) -> Job:
        """Take a running job from its run, stop that run and none that comes after it, and queue the job again.

        With an `epoch`, NotAllowed if it is not the run of that epoch any more.
        """
        taken: list[Lease | None] = []

        def recovered(job: Job) -> Change:
            taken[:] = [job.lease]
            change = state.recover(job, self._clock.now(), epoch)
            return without_secrets(change, self.registry.secrets_of(job.type))

        job = await self._store.change(job_id, recovered)
        for lease in filter(None, taken):
            self._lose(lease)
        return job

    async def cancel_all(self, filter: Filter) -> Bulk:
        """Cancel every live job that matches."""
        return await bulk.cancelled(self.each(filter), self.cancel)

    async def retry_all(self, filter: Filter) -> Bulk:
        """Retry every ended job that matches."""
        return await bulk.retried(self.each(filter), self.retry, self.get)

    async def cancel_batch(self, batch_id: BatchId) -> Bulk:
        """Cancel what is left of a batch."""
        return await bulk.cancelled(self.each(Filter(bulk.LIVE, batch=batch_id)), self.cancel)

    async def retry_batch(self, batch_id: BatchId) -> Bulk:
        """Retry what failed of a batch."""
        return await bulk.retried_batch(self.each(Filter(batch=batch_id)), self.retry, self.get)

    async def wait(self, job_id: JobId) -> Job:
        """The job once it has ended."""
        with self.hub.subscribe(Filter(ids=[job_id])) as live:
            return await self._ended(await self._store.get(job_id), live)

    @asynccontextmanager
    async def follow(
        self, filter: Filter, after: int | None = None, *, on_drop: Callable[[], None] | None = None
    ) -> AsyncIterator[Follow]:
        """Events of jobs that match (ids, types, owner): those stored after `after`, if given, then live ones.

        `missed` is set when some after `after` are no longer kept; the stream then begins at the present.
        """
        with self.hub.subscribe(filter, on_drop=on_drop) as live:
            oldest, last = await self._store.event_bounds()
            missed = after is not None and not oldest - 1 <= after <= last
            yield Follow(self._store, live, filter, last if after is None or missed else after, missed)

    async def paused(self) -> Collection[str]:
        """The types that are paused."""
        return await self._store.paused()

    async def pause(self, type: str) -> None:
        """Start no more jobs of this type; running ones go on."""
        await self._pause(type, True)

    async def resume(self, type: str) -> None:
        """Start jobs of this type again."""
        await self._pause(type, False)

    async def limit(self, type: str, concurrency: int | None) -> None:
        """From the next claim on, and over restarts, run so many jobs of a type at once; None: as the settings say."""
        self.registry[type]
        await self._store.limit(type, concurrency)
        self.hub.publish(())

    async def _pause(self, type: str, paused: bool) -> None:
        self.registry[type]
        await self._store.pause(type, paused)
        self.hub.publish(())  # no event, but the worker's tap looks again

    def new_batch(self, name: str | None, target: Target | None, owner: str | None) -> Batch:
        """A batch that is to be submitted; its jobs name it."""
        now = self._clock.now()
        return Batch(new_batch_id(now, self._random), now, name, target, owner)

    def _new(self, submission: Submission, job_id: JobId, now: datetime) -> Change:
        spec = self.registry[submission.type]
        submission = self.locality.placed(submission, spec.inputs(submission.payload))
        return state.submit(submission, job_id, now, spec.priority, spec.retry)

    async def _shared(self, job: Job, submission: Submission) -> tuple[Job, bool]:
        """The job that stands for this submission already, and serves one caller more if it is by its dedupe key."""
        twin = submission.dedupe_key is not None and job.dedupe_key == submission.dedupe_key and not job.status.ended
        if not twin or (submission.idempotency and job.idempotency == submission.idempotency):
            return job, False
        now = self._clock.now()
        shared = await self._store.change(job.id, lambda job: state.share(job, now))
        if shared.status is Status.CANCELLED:  # since it was found; who comes now did not ask for that
            return await self.submit(submission)
        return shared, False

    def _cancelled(self, job: Job) -> Change:
        return without_secrets(state.cancel(job, self._clock.now()), self.registry.secrets_of(job.type))

    async def _known_or(self, submission: Submission, refusal: QueueError) -> tuple[Job, bool]:
        if submission.idempotency is None:
            raise refusal
        known = await self._store.known(submission.idempotency.key, self._clock.now())
        if known is None:
            raise refusal
        job_id, digest = known
        if digest != submission.idempotency.digest:
            raise KeyReused(submission.idempotency.key, job_id)
        return await self._store.get(job_id), False

    def _refusal(self) -> QueueError | None:
        if self.draining:
            return Draining("the daemon is shutting down; submit again once it is back")
        try:
            self._admit()
        except QueueError as error:
            return error
        return None

    async def _ended(self, job: Job, live: Subscription) -> Job:
        while not job.status.ended:
            if (await live.next()).status.ended:
                job = await self._store.get(job.id)
        return job
