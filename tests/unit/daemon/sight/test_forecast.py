"""Outlooks of jobs: who is told when it starts and ends, who is not, and what that costs with many waiting."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.sight.forecast import GOOD_FOR, LOOKED_AT, UNKNOWN, Forecast
from secondunit.queue.handler import HandlerSpec, Registry
from secondunit.queue.model import Bonds, Job, Submission
from secondunit.queue.running.execution import nothing_reserved
from secondunit.queue.running.experience import Experience
from secondunit.queue.sight.estimates import Sample, Span
from secondunit.queue.sight.room import Load
from secondunit.queue.state import bury, cancel, submit
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.value import replace
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import BOOT, TTL
from secondunit.testing.rig import Numbered


async def _never(*_: Any) -> None:
    raise AssertionError("tests move jobs themselves")


class Line:
    """A store with jobs of inputs that are told by their payloads, and what the worker has on its hands."""

    def __init__(self, **load: Any) -> None:
        self.clock, self.store = ManualClock(), MemoryStore()
        self.sized: list[int] = []
        specs = [HandlerSpec(type, Numbered, _never, size=self._size) for type in ("hls", "webp")]
        self.registry, self.load = Registry(specs), Load({"hls": 1, "webp": 3}, {}, 0, 5)
        self.load = replace(self.load, **load)
        self.facts: list[Any] = []
        self.experience = Experience(self.store, self.registry, self.clock, self.facts.append, nothing_reserved)
        self.trouble: str | None = None
        self.forecast = Forecast(self.store, self.registry, self.clock, lambda: self.load, self.experience, self._held)
        self._ids = iter(range(10**6))

    def _size(self, payload: Mapping[str, Any]) -> int:
        self.sized.append(payload.get("n", 0))
        return int(payload.get("n", 0))

    async def _held(self, _: str) -> str | None:
        return self.trouble

    async def learned(self, **samples: tuple[float, float]) -> None:
        """So many seconds for so many bytes, twice of each type."""
        for type, (took, size) in samples.items():
            await self.store.sight.keep_samples({type: [Sample(took, 0.0, {"bytes": size})] * 2})
        await self.experience.restore()

    async def add(self, type: str, n: int = 1, **fields: Any) -> Job:
        """A job that waits."""
        asked = Submission(type, {"n": n}, **fields)
        [(job, _)] = await self.store.add([submit(asked, f"{type}{next(self._ids)}", self.clock.now())])
        return job

    async def started(self, type: str, n: int = 1) -> Job:
        """A job that runs."""
        await self.add(type, n)
        [job] = await self.store.claim({type: 1}, 1, BOOT, TTL, self.clock.now())
        return job

    async def start(self, job: Job) -> Span | None:
        """When it starts."""
        return (await self.forecast(await self.store.get(job.id))).start


async def test_who_waits_starts_when_those_before_it_have_ended_and_ends_a_run_later() -> None:
    line = Line()
    await line.learned(hls=(10.0, 1.0))
    running = await line.started("hls", 6)
    await line.clock.advance(15)
    first, second = await line.add("hls", 2), await line.add("hls", 3)
    assert await line.start(first) == Span(0.0, 5.0), "whose input is not known: that it takes 10 s was thought"
    line.experience.over(running.id, None)
    outlook = await line.forecast(second)
    assert outlook.start is not None and outlook.end is not None
    assert (outlook.start.seconds, outlook.end.seconds) == (20.0, 50.0)
    assert outlook.starts_at == line.clock.now() + timedelta(seconds=20)
    assert outlook.whole is not None and outlook.whole.basis == "bytes"


async def test_a_job_that_runs_has_an_end_and_one_that_has_ended_nothing() -> None:
    line = Line()
    await line.learned(hls=(10.0, 1.0))
    job = await line.started("hls")
    await line.clock.advance(4)
    outlook = await line.forecast(job)
    assert outlook.end == Span(6.0, 0.0) and outlook.starts_at is None
    waiting = await line.add("hls")
    done = await line.store.change(waiting.id, lambda job: cancel(job, line.clock.now()))
    assert await line.forecast(done) == UNKNOWN


async def test_without_any_earlier_run_only_those_who_start_at_once_have_a_start() -> None:
    line = Line()
    first, second = await line.add("hls"), await line.add("hls")
    assert await line.start(first) == Span(0.0, 0.0)
    assert (await line.forecast(first)).end is None
    assert await line.start(second) is None


async def test_who_waits_for_something_else_than_a_slot_has_no_start() -> None:
    line = Line()
    await line.learned(hls=(10.0, 1.0), webp=(1.0, 1.0))
    parent = await line.add("hls")
    suspect = await line.started("webp")
    await line.store.change(suspect.id, lambda job: bury(job, 1, False, line.clock.now()))
    later = line.clock.now() + timedelta(hours=1)
    others = [
        await line.add("hls", bonds=Bonds(depends_on=(parent.id,))),
        await line.add("hls", run_at=later),
        await line.add("unserved"),
        suspect,
    ]
    assert [await line.start(job) for job in others] == [None] * 4
    assert (await line.forecast(others[0])).whole is not None
    assert (await line.forecast(others[2])).whole is None
    for load in ({"draining": True}, {"drained": True}, {"full": True}, {"short": "no memory"}):
        held = Line(**load)
        assert await held.start(await held.add("hls")) is None
    line.trouble = "budget_used_up: no tokens"
    assert await line.start(parent) is None
    line.trouble = None
    await line.store.pause("hls", True)
    assert await line.start(parent) is None
    await line.store.pause("hls", False)
    await line.clock.advance(3600)
    assert await line.start(others[1]) is not None, "its time has come"


async def test_a_job_that_came_since_the_last_look_is_looked_at_at_once_and_inputs_only_once() -> None:
    line = Line()
    await line.learned(hls=(10.0, 1.0))
    first = await line.add("hls", 7)
    await line.start(first)
    second = await line.add("hls", 8)
    found = await line.start(second)
    assert found is not None and found.seconds == 70.0
    assert line.sized == [7, 8]
    await line.start(second)
    assert line.forecast.at_once(second).start == found
    await line.clock.advance(GOOD_FOR)
    assert line.forecast.at_once(second) == UNKNOWN, "a list does not look anew"


async def test_who_stands_far_behind_is_told_by_what_its_type_usually_takes() -> None:
    line = Line()
    await line.learned(hls=(10.0, 1.0), webp=(1.0, 1.0))
    jobs = [await line.add("hls", 2) for _ in range(LOOKED_AT)]
    far = [await line.add("hls") for _ in range(11)][-1]
    webp = await line.add("webp", priority=4)
    found = await line.start(far)
    assert found is not None
    assert found.seconds == pytest.approx(20.0 * (LOOKED_AT - 1) + 10 * 10.0)
    assert await line.start(webp) == Span(0.0, 0.0), "which has a slot of its own"
    assert len(line.sized) == LOOKED_AT + 1
    await line.store.change(jobs[0].id, lambda job: cancel(job, line.clock.now()))


async def test_a_clock_that_is_set_back_under_a_running_job_gives_no_negative_time() -> None:
    line = Line()
    await line.learned(hls=(10.0, 1.0))
    job = await line.started("hls")
    line.clock.set_wall(line.clock.now() - timedelta(days=1))
    outlook = await line.forecast(job)
    assert outlook.end == Span(10.0, 0.0)
