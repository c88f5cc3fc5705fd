"""Poller of active mode: takes analyses that failed online from the backend, and submits them as any caller would."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from secondunit.daemon.automation.backend import KIND, Backend, BackendTrouble, FailedAnalysis
from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.polls import KEPT, BackendJobs, Poll, Polled, Polling
from secondunit.daemon.automation.takeover_terms import Known, Terms
from secondunit.daemon.formats import instant
from secondunit.handlers.tools.circuit_breaker import CircuitBreaker
from secondunit.queue.clock import Clock, Random
from secondunit.queue.errors import Draining, DutyLost, JobNotFound, QueueError, Saturated, StoreFull
from secondunit.queue.instrumentation import Sink, unheard
from secondunit.queue.model import Event, Filter, JobId, Status, Submission, Target
from secondunit.queue.ports.cache import Cache, CacheEntry
from secondunit.queue.ports.duties import ALONE, Tenure
from secondunit.queue.service import Queue

TYPE = "analyze"
DUTY = "poller"
UNCLEAR_CLAIMS = 3
FOR_NOW = (Draining, Saturated, StoreFull)  # refusals that are none of the analysis: the next poll asks again

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Live:
    """Backend jobs that live here, by our id; and until when those that were refused here are left alone, by theirs.

    `unclear` counts claims that got no answer, by theirs. `early` are events that came while a job is submitted: it may
    start, or end, before its id is known here.
    """

    ids: dict[JobId, FailedAnalysis] = field(default_factory=dict)
    refused: dict[str, datetime] = field(default_factory=dict)
    unclear: dict[str, int] = field(default_factory=dict)
    early: list[Event] | None = None


class Poller:
    """The poll loop, and what the operator sees of it: `state`. What became of each analysis here is in `memory`.

    `on_duty`: this box polls; another may do it for all.
    """

    def __init__(
        self,
        queue: Queue,
        memory: Cache,
        backend: Backend,
        terms: Terms,
        clock: Clock,
        random: Random,
        *,
        results: BackendResults,
        emit: Sink = unheard,
    ) -> None:
        self.state = Polling()
        self.polls: deque[Poll] = deque(maxlen=KEPT)
        self.next_at: datetime | None = None
        self.on_duty = False
        self._queue = queue
        self._memory = memory
        self._backend = backend
        self._terms = terms
        self._clock = clock
        self._random = random
        self._results = results
        self._emit = emit
        self._live = _Live()
        self._breaker = CircuitBreaker(1, terms.backoff)
        self._tenure = ALONE

    async def run(self, tenure: Tenure = ALONE) -> None:
        """Poll for ever, never two at once; trouble makes the next poll later, up to a quarter of an hour.

        DutyLost once another box polls; of the backend's trouble nothing is known here from then on.
        """
        self._tenure, self._live.ids, self.on_duty = tenure, {}, True
        try:
            await self._remember()
            while True:
                delay = await self.poll()
                self.next_at = self._clock.now() + delay
                await self._clock.sleep(delay.total_seconds())
        finally:
            self.on_duty, self.next_at = False, None
            self.state = Polling(taken=self.state.taken)

    async def poll(self) -> timedelta:
        """Poll once, take on what is new, and say how long to wait."""
        now = self._clock.now()
        self.state = replace(self.state, polled_at=now)
        log.info("backend.poll", message="[Active Mode] Polling for failed jobs...")
        try:
            found, bad = await self._backend.failed(max(self._terms.limit + self.state.waiting, self._terms.alarming))
        except BackendTrouble as trouble:
            return self._failed(trouble, now)
        self._breaker.succeeded()
        self._emit(Polled("ok"))
        if self.state.down_since:
            log.info("backend.back", message=f"[Active Mode] {self._backend.url} answers again")
        for row in bad:
            log.warning("backend.bad_row", message=f"[Active Mode] row {row.index} of the list is skipped: {row.why}")
        if found:
            log.info("backend.found", message=f"[Active Mode] Found {len(found)} failed jobs", found=len(found))
        self._emit(BackendJobs("found", len(found)))
        before = self.state.taken
        waiting = await self._take_on(found)
        self.polls.appendleft(Poll(now, "ok", len(found) + len(bad), self.state.taken - before))
        well = replace(self.state, answered_at=now, trouble=None, refused=False, down_since=None)
        self.state = replace(well, found=len(found) + len(bad), waiting=waiting + len(bad))
        return self._terms.every

    def hear(self, events: Sequence[Event]) -> None:
        """A tap of the hub: tell what becomes of the jobs that were taken on."""
        for event in events:
            analysis = self._live.ids.get(event.job_id)
            if analysis is None:
                if self._live.early is not None:
                    self._live.early.append(event)
                continue
            facts: dict[str, Any] = {"job_id": event.job_id, "type": event.job_type, "analysis_id": analysis.id}
            if event.name == "started":
                log.info("backend.processing", message=f"[Active Mode] Processing job {analysis.id}", **facts)
                where = f"[Active Mode] Analyzing from URL: {analysis.video_url}"
                log.info("backend.analyzing", message=where, **facts)
            elif event.status.ended:
                del self._live.ids[event.job_id]
                if event.status is Status.COMPLETED:
                    message = f"[Active Mode] Submitting result for job {analysis.id}"
                    log.info("backend.submitting", message=message, **facts)
                else:
                    why = f": {event.error.message}" if event.error else ""
                    message = f"[Active Mode] Job {analysis.id} {event.status}{why}; the backend keeps it as failed"
                    log.warning("backend.ended", message=message, **facts)

    @property
    def failures(self) -> int:
        """Polls in a row that gave no list."""
        return self._breaker.failures

    @property
    def quarantined(self) -> Mapping[str, datetime]:
        """Analyses that were refused here, and until when each is left alone."""
        return dict(self._live.refused)

    @property
    def live(self) -> Mapping[JobId, str]:
        """Jobs that were taken on and have not ended, and the analysis of each."""
        return {id: analysis.id for id, analysis in self._live.ids.items()}

    def figures(self) -> Mapping[str, Any]:
        """How it goes, as /health shows it."""
        state = self.state
        return {
            "lastPoll": instant(state.polled_at),
            "lastAnswer": instant(state.answered_at),
            "trouble": state.trouble,
            "downSince": instant(state.down_since),
            "found": state.found,
            "coolingDown": state.waiting,
            "taken": state.taken,
            "delivered": self._results.delivered,
        }

    def _failed(self, trouble: BackendTrouble, now: datetime) -> timedelta:
        monotonic = self._clock.monotonic()
        self._breaker.failed(monotonic, random=self._random)
        self._breaker.pause(monotonic, trouble.delay or timedelta())
        poll = Poll(now, "refused" if trouble.refused else "error", why=str(trouble))
        self.polls.appendleft(poll)
        self._emit(Polled(poll.outcome))
        down_since = self.state.down_since or now
        self.state = replace(self.state, trouble=str(trouble), refused=trouble.refused, down_since=down_since)
        message = f"[Active Mode] {self._backend.url}: {trouble}"
        log.warning("backend.trouble", message=message, failures=self._breaker.failures)
        return timedelta(seconds=self._breaker.left(monotonic))

    async def _take_on(self, found: Sequence[FailedAnalysis]) -> int:
        """Submit what is new, as far as there is room; how many of the rows must wait because of what happened here."""
        waiting, room = 0, True
        now = self._clock.now()
        self._live.refused = {id: until for id, until in self._live.refused.items() if until > now}
        for analysis in {row.id: row for row in found}.values():
            known = await self._known(analysis.id)
            if analysis.id in self._live.refused or (known and known.waits(now, self._terms)):
                waiting += 1
            elif room and (known is None or known.job.status.ended) and self._has_room():
                try:
                    await self._submit(analysis, known)
                except FOR_NOW as error:
                    room = False
                    message = f"[Active Mode] Job {analysis.id} is taken on later: {error}"
                    log.warning("backend.no_room", message=message, analysis_id=analysis.id)
        return waiting

    def _has_room(self) -> bool:
        """Whether one more may be claimed: what a box that drains, or was frozen, had claimed, no other could do."""
        free = len(self._live.ids) < self._terms.limit
        return free and not self._queue.draining and self._tenure.lasts()

    async def _submit(self, analysis: FailedAnalysis, known: Known | None) -> None:
        if not await self._may_have(analysis.id):
            return
        now = self._clock.now()
        submission = Submission(
            type=TYPE,
            payload={"videoUrl": analysis.video_url},
            target=Target(KIND, analysis.id),
            dedupe_key=self._key(analysis.id),
            source=KIND,
            submitted_by=KIND,
            labels={"analysis_id": analysis.id, "video_url": analysis.video_url},
        )
        early: list[Event] = []
        self._live.early = early
        try:
            job, created = await self._queue.submit(submission, duty=self._tenure.duty)
        except (DutyLost, *FOR_NOW):
            raise
        except QueueError as error:
            message = f"[Active Mode] Job {analysis.id} is not taken on: {error}"
            log.warning("backend.refused", message=message, analysis_id=analysis.id)
            self._live.refused[analysis.id] = now + self._terms.cooldown
            return
        finally:
            self._live.early = None
        self._live.ids[job.id] = analysis
        self.hear(early)
        if created:
            self.state = replace(self.state, taken=self.state.taken + 1)
            self._emit(BackendJobs("taken", 1))
        failures = known.failures + 1 if known and known.job.status is Status.FAILED else 0
        memory = {"job_id": job.id, "failures": failures}
        entry = CacheEntry(self._key(analysis.id), memory, job.id, now, now + self._terms.memory)
        if self._tenure.lasts() or await self._memory.get(entry.key, now) is None:  # else it may be of a later job
            await self._memory.put(entry)

    async def _may_have(self, id: str) -> bool:
        """Whether this box is to do it; where that stays unclear, done twice is better than not at all."""
        knew, answer = self._backend.claims, await self._backend.claim(id)
        if knew is None and self._backend.claims is False:
            message = (
                "[Active Mode] The backend grants no claims: an active box with another queue does and pays each again"
            )
            log.warning("backend.no_claims", message=message)
        unclear = self._live.unclear.pop(id, 0) + 1 if answer == "unclear" else 0
        if 0 < unclear < UNCLEAR_CLAIMS:
            self._live.unclear[id] = unclear
        return answer == "granted" or unclear >= UNCLEAR_CLAIMS

    async def _known(self, id: str) -> Known | None:
        """What this box did about the analysis before, if it still knows."""
        if twin := await self._queue.live_twin(self._key(id)):
            return Known(twin, 0, delivering=False)
        entry = await self._memory.get(self._key(id), self._clock.now())
        if entry is None:
            return None
        try:
            job = await self._queue.get(entry.value["job_id"])
        except JobNotFound:
            return None
        pending = any(row.state == "pending" for row in await self._queue.deliveries_of(job.id))
        return Known(job, entry.value["failures"], delivering=pending)

    async def _remember(self) -> None:
        """Find the backend's jobs that an earlier life of the daemon took on."""
        alive = Filter(statuses=[Status.QUEUED, Status.RUNNING], types=[TYPE])
        async for job in self._queue.each(alive):
            if job.source == KIND:
                self._live.ids[job.id] = FailedAnalysis(job.labels["analysis_id"], job.labels["video_url"])

    def _key(self, id: str) -> str:
        return f"backend {self._backend.url} {id}"
