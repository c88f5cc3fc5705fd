"""A state machine over the queue and its simulated process: what may happen, and the invariants."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule
from pydantic import BaseModel

from secondunit.queue.errors import NotAllowed
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.model import Event, Job, Status, Submission, Target
from secondunit.queue.outcome import Deterministic, Partial, Postponed, Transient
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.service import Queue
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import ALL
from secondunit.testing.rig import SteadyRandom
from secondunit.testing.simulated_process import Process

CONCURRENCY, MOST = 2, 3
TYPES = ("play", "show")
TERMINAL = ("completed", "partial", "failed", "cancelled")
CANCEL, RETRY, RECOVER = "cancel", "retry", "recover"


class Payload(BaseModel):
    """`slow` runs need four seconds to stop, as if a program had to be killed first."""

    slow: bool = False


@dataclass
class Play:
    """One run of the handler, which does what the machine tells it."""

    ctx: JobContext
    inbox: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class Machine(RuleBasedStateMachine):
    """Whatever happens, invariants I2 to I8 hold."""

    jobs: Bundle[str] = Bundle("jobs")

    @initialize(target=jobs)
    def begin(self) -> MultipleResults[str]:
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.rng = SteadyRandom()
        self.store = MemoryStore()
        self.boots = 0
        self.plays: list[Play] = []
        self.leased: set[tuple[str, int]] = set()
        self.faults: list[str] = []  # of runs, whose own errors would only fail their jobs
        self.finished_steps: set[tuple[str, str]] = set()
        self.seen: dict[str, Job] = {}
        self.retried: Counter[str] = Counter()
        self.read: list[Event] = []
        self.log: list[Event] = []
        self.moves: list[asyncio.Task[Any]] = []
        self.registry = Registry([HandlerSpec(type, Payload, self.play, concurrency=CONCURRENCY) for type in TYPES])
        self.do(self.boot())
        wishes = [(type, slow) for type in TYPES for slow in (False, True)]
        return multiple(*[str(self.submit(type, slow, int(slow), True, None)) for type, slow in wishes])

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.do(self.daemon.kill())
            self.runner.close()

    def do(self, work: Awaitable[Any]) -> Any:
        async def done() -> Any:
            answer = await work
            await self.clock.settle()
            return answer

        return self.runner.run(done())

    async def boot(self) -> None:
        self.boots += 1
        self.plays.clear()
        self.daemon = Process(self.store, self.clock, self.rng, self.registry, boot=f"boot-{self.boots}", most=MOST)
        await self.daemon.start()
        self.moves = []
        self.reader = asyncio.create_task(self.follow(self.daemon.queue))

    async def follow(self, queue: Queue) -> None:
        async with queue.follow(ALL, after=self.read[-1].seq if self.read else 0) as stream:
            assert not stream.missed
            while True:
                event = await stream.next()
                if event.seq:
                    self.read.append(event)

    async def play(self, ctx: JobContext, payload: Payload) -> dict[str, str]:
        async with self.on_stage(ctx, payload) as play:
            while True:
                match await play.inbox.get():
                    case "progress":
                        await ctx.progress(0.5, "half")
                    case "fall back":
                        await ctx.progress(0.1)
                    case "step":
                        await ctx.step("s", lambda: self.work(ctx.job_id, "s"))
                        self.finished_steps.add((ctx.job_id, "s"))
                    case "complete":
                        return {"by": str(ctx.epoch)}
                    case "partial":
                        return Partial({"by": str(ctx.epoch)}, ["x"])  # type: ignore[return-value]
                    case "flaky":
                        raise Transient("try again")
                    case "broken":
                        raise Deterministic("no use")
                    case "postpone":
                        raise Postponed("quota", delay=timedelta(seconds=7))

    @asynccontextmanager
    async def on_stage(self, ctx: JobContext, payload: Payload) -> AsyncIterator[Play]:
        if (ctx.job_id, ctx.epoch) in self.leased:
            self.faults.append(f"I2: epoch {ctx.epoch} of {ctx.job_id} was used again")
        self.leased.add((ctx.job_id, ctx.epoch))
        play = Play(ctx)
        self.plays.append(play)
        try:
            yield play
        finally:
            try:
                if payload.slow:
                    await self.clock.sleep(4)
            finally:
                if play in self.plays:
                    self.plays.remove(play)

    async def work(self, job_id: str, name: str) -> dict[str, int]:
        if (job_id, name) in self.finished_steps:
            self.faults.append(f"I7: {name} of {job_id} was finished and ran again")
        return {"done": 1}

    @rule(
        target=jobs,
        type=st.sampled_from(TYPES),
        slow=st.booleans(),
        retries=st.integers(0, 2),
        told=st.booleans(),
        delay=st.sampled_from([None, None, None, 15]),
    )
    def submit(self, type: str, slow: bool, retries: int, told: bool, delay: int | None) -> str:
        submission = Submission(
            type,
            {"slow": slow},
            target=Target("callback", "http://127.0.0.1/") if told else None,
            retry=RetryPolicy(retries, "fixed", timedelta(seconds=3)),
            run_at=None if delay is None else self.clock.now() + timedelta(seconds=delay),
        )
        job, created = self.do(self.daemon.queue.submit(submission))
        assert created
        self.retried[job.id] = 0
        return str(job.id)

    @rule(
        nth=st.integers(0, MOST - 1),
        commands=st.lists(
            st.sampled_from("progress,fall back,step,step,complete,partial,flaky,flaky,broken,postpone".split(",")),
            min_size=1,
            max_size=3,
        ),
    )
    def act(self, nth: int, commands: list[str]) -> None:
        if self.plays:
            for command in commands:
                self.plays[nth % len(self.plays)].inbox.put_nowait(command)
            self.do(self.clock.settle())

    @rule(job_id=jobs, move=st.sampled_from([CANCEL, RETRY, RECOVER]))
    def move(self, job_id: str, move: str) -> None:
        async def begin() -> None:
            self.moves.append(asyncio.create_task(self.attempt(job_id, move)))

        self.do(begin())

    async def attempt(self, job_id: str, move: str) -> None:
        queue = self.daemon.queue
        try:
            match move:
                case "cancel":
                    await queue.cancel(job_id)
                case "retry":
                    await queue.retry(job_id)
                    self.retried[job_id] += 1
                    self.seen.pop(job_id, None)
                case _:
                    await queue.recover(job_id)
        except NotAllowed:
            return

    @rule(seconds=st.sampled_from([0.6, 3.5, 11, 45]))
    def advance(self, seconds: float) -> None:
        self.do(self.clock.advance(seconds))

    @rule(seconds=st.sampled_from([5, 29, 31, 100]))
    def hang(self, seconds: float) -> None:
        self.do(self.clock.leap(seconds))
        self.do(self.clock.advance(11))

    @rule()
    def crash(self) -> None:
        self.do(self.daemon.kill())
        self.do(self.boot())

    @rule()
    def drain_and_restart(self) -> None:
        before = {job.id: job for job in self.do(self.all_jobs())}
        self.do(self.daemon.drain())
        for job in self.do(self.all_jobs()):
            assert job.status is not Status.RUNNING
            assert job.reclaims == before[job.id].reclaims, "a drain is no crash"
        self.do(self.boot())

    async def all_jobs(self) -> list[Job]:
        return list((await self.store.find(ALL, None, 10_000)).jobs)

    @invariant()
    def the_daemon_lives(self) -> None:
        assert self.faults == []
        self.daemon.check()
        for move in [move for move in self.moves if move.done()]:
            move.result()
        if self.reader.done():
            self.reader.result()

    @invariant()
    def no_job_is_lost(self) -> None:
        assert {job.id for job in self.do(self.all_jobs())} == set(self.retried)

    @invariant()
    def one_run_a_job_and_no_more_runs_than_room(self) -> None:
        on_stage = Counter(play.ctx.job_id for play in self.plays)
        assert all(n == 1 for n in on_stage.values()), f"I2: two runs at once: {on_stage}"
        leased = Counter(job.type for job in self.do(self.all_jobs()) if job.status is Status.RUNNING)
        assert all(n <= CONCURRENCY for n in leased.values()) and leased.total() <= MOST, leased
        assert len(self.plays) <= MOST

    @invariant()
    def suspects_are_tried_one_at_a_time(self) -> None:
        on_trial = [job.id for job in self.do(self.store.suspects()) if job.status is Status.RUNNING]
        assert len(on_trial) <= 1, on_trial

    @invariant()
    def jobs_move_by_the_rules(self) -> None:
        for job in self.do(self.all_jobs()):
            before = self.seen.get(job.id)
            if before is not None:
                assert job.epoch >= before.epoch, "I2: epochs only grow"
                if before.status.ended:
                    assert job == before, "I6: an ended job changed"
                if job.epoch == before.epoch and job.status is before.status is Status.RUNNING:
                    assert job.progress >= before.progress, "progress fell"
            assert job.attempt <= job.retry.max_retries + 1, "I5: too many attempts"
            self.seen[job.id] = job

    @invariant()
    def ends_are_told_once(self) -> None:
        log = self.do(self.store.events(0, ALL, 100_000))
        assert log[: len(self.log)] == self.log, "I8: the log was rewritten"
        assert [event.seq for event in log] == list(range(1, len(log) + 1)), "I8: gaps"
        self.log = list(log)
        for job in self.do(self.all_jobs()):
            story = [event.name for event in log if event.job_id == job.id]
            ends = sum(name in TERMINAL for name in story)
            assert ends == self.retried[job.id] + job.status.ended, f"I4: {story}"
            deliveries = self.do(self.store.outbox.of_job(job.id))
            assert len(deliveries) == (ends if job.target else 0), "I4: one delivery an end"
            since = len(story) - 1 - story[::-1].index("queued") if job.status.ended else 0
            assert story[since:], story
            self.check_attempts(job, [event for event in log if event.job_id == job.id])

    def check_attempts(self, job: Job, events: list[Event]) -> None:
        """An attempt's number grows by failures only, and starts over with a retry."""
        attempt = 1
        for before, event in zip([None, *events], events, strict=False):
            if before is not None and before.name in TERMINAL:
                attempt = 1
            attempt += event.name == "retrying"
            assert event.attempt == attempt, f"I5: {[(e.name, e.attempt) for e in events]}"
        assert job.attempt == attempt

    @invariant()
    def the_reader_has_read_it_all(self) -> None:
        assert self.read == self.log, "I8: what a reader got is not what was stored"
