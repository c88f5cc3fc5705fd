"""Explanations against the worker: what is said to start next starts at its next claim, and nothing else does."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from secondunit.queue import state
from secondunit.queue.handler import JobContext
from secondunit.queue.model import Filter, Job, Status, Submission
from secondunit.queue.sight.explain import MOST_NAMED, Explanation, explain
from secondunit.queue.sight.seen import Seen
from secondunit.queue.value import replace
from secondunit.testing.jobs import TTL, by
from secondunit.testing.rig import Rig, spec

LIMITS = {"hls": 1, "webp": 2, "idle": 3}
jobs = st.lists(
    st.tuples(st.sampled_from([*LIMITS, "other"]), st.integers(0, 4), st.sampled_from([None, None, -5, 60])), max_size=7
)
paused = st.sets(st.sampled_from(list(LIMITS)), max_size=1)


async def _for_ever(ctx: JobContext, payload: Any) -> None:
    await asyncio.Event().wait()


class Hall:
    """A worker, and people who ask in front of it."""

    def __init__(self, most: int) -> None:
        self.rig = Rig(*(spec(type, _for_ever, concurrency=n) for type, n in LIMITS.items()), most=most)
        self.made = 0

    async def submit(self, wishes: Sequence[tuple[str, int, int | None]]) -> None:
        """Store jobs, of types that are not served, too."""
        now = self.rig.clock.now()
        for type, priority, delay in wishes:
            self.made += 1
            at = None if delay is None else now + timedelta(seconds=delay)
            asked = Submission(type, {"n": self.made}, priority, run_at=at)
            await self.rig.store.add([state.submit(asked, f"j{self.made}", now)])

    async def die(self, wishes: Sequence[tuple[str, int, int | None]]) -> None:
        """An earlier daemon ran these when it died."""
        await self.submit([(type, priority, None) for type, priority, _ in wishes])
        now = self.rig.clock.now()
        for job in await self.rig.store.claim(dict.fromkeys([*LIMITS, "other"], 9), 99, "dead", TTL, now):
            await self.rig.store.change(job.id, by(state.bury, 1, False, now))

    async def explained(self, paused: set[str]) -> dict[str, Explanation]:
        """What is said of each waiting job, as if the disk had room and these types were paused."""
        store, now, load = self.rig.store, self.rig.clock.now(), replace(self.rig.worker.load(), full=False)
        types = LIMITS.keys() - paused
        return {
            job.id: explain(
                job,
                Seen(
                    now,
                    load,
                    frozenset(paused),
                    await self.listed(Status.RUNNING),
                    await store.suspects(),
                    frozenset((await store.counts()).completed),
                    await store.sight.line(job.id, types, now, MOST_NAMED),
                ),
            )
            for job in await self.listed(Status.QUEUED)
        }

    async def listed(self, status: Status) -> Sequence[Job]:
        """The jobs that stand so."""
        return (await self.rig.store.find(Filter([status]), None, 99)).jobs


@settings(max_examples=150, deadline=None)
@given(first=jobs, dead=jobs, then=jobs, paused=paused, most=st.integers(1, 6))
def test_what_is_said_to_start_next_is_what_the_next_claim_takes(
    first: Any, dead: Any, then: Any, paused: set[str], most: int
) -> None:
    async def scene() -> None:
        hall = Hall(most)
        rig = hall.rig
        if len(dead) < 3:
            await hall.die(dead)
        await hall.submit(first)
        async with rig.working():
            rig.store.full = True  # nothing is claimed while the questions are asked
            await hall.submit(then)
            for type in paused:
                await rig.store.pause(type, True)
            await rig.clock.settle()
            said = await hall.explained(paused)
            rig.store.full = False
            rig.hub.publish(())
            await rig.clock.settle()
            started = {job.id for job in await hall.listed(Status.RUNNING)} & said.keys()
            assert started == {id for id, told in said.items() if told.starts}, said
            assert all(told.reason == "slot" for told in said.values() if told.starts)

    asyncio.run(scene())


@settings(max_examples=100, deadline=None)
@given(first=jobs, most=st.integers(1, 4))
def test_one_with_nobody_ahead_is_taken_as_soon_as_there_are_slots(first: Any, most: int) -> None:
    async def scene() -> None:
        hall = Hall(most)
        await hall.submit(first)
        async with hall.rig.working():
            said = await hall.explained(set())
            waiting = {id for id, told in said.items() if told.reason in ("slot", "priority")}
            assert not any(told.starts for told in said.values()), "it would have started"
            first_of_all = {id for id in waiting if said[id].ahead == 0}
            claimed = await hall.rig.store.claim(LIMITS, most, "next", TTL, hall.rig.clock.now())
            assert first_of_all <= {job.id for job in claimed}, "no more slots than this daemon has"

    asyncio.run(scene())
