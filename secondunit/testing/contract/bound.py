"""Conformance tests of several boxes on one queue: who may run what, and how much of a type runs over all of them."""

import asyncio
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.errors import NotAllowed
from secondunit.queue.model import Change
from secondunit.queue.outcome import Released
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import BOOT, NOW, TTL, by, claim, held, later, new, settled, start_suspect, submit


async def claimed(store: Store, box: str | None, n: int = 9, **overall: int) -> list[str]:
    """The ids of those that a box gets."""
    jobs = await store.claim({"hls": n, "webp": n}, n, f"{box}/{n}", TTL, NOW, box=box, overall=overall)
    return [job.id for job in jobs]


class BoundContract:
    """Jobs that are bound to a box, and limits over all boxes."""

    async def test_a_job_of_a_box_is_claimed_by_that_box_alone(self, store: Store) -> None:
        await submit(store, "a", box="one")
        await submit(store, "b")
        await submit(store, "c", box="two")
        assert (await store.get("a")).box == "one" and (await store.get("b")).box is None
        assert await claimed(store, "two") == ["b", "c"]
        assert await claimed(store, "three") == []
        assert await claimed(store, "one") == ["a"]

    async def test_those_of_a_box_and_those_of_any_stand_in_one_line_by_priority_and_submission(
        self, store: Store
    ) -> None:
        for job_id, priority, box in [
            ("a", 3, "one"),
            ("b", 2, None),
            ("c", 1, "one"),
            ("d", 0, "two"),
            ("e", 1, None),
        ]:
            await submit(store, job_id, priority=priority, box=box)
        assert [await claimed(store, "one", 2) for _ in range(3)] == [["c", "e"], ["b", "a"], []]

    async def test_a_claim_that_names_no_box_takes_those_of_every_box(self, store: Store) -> None:
        await submit(store, "a", box="one", priority=3)
        await submit(store, "b", box="two")
        await submit(store, "c")
        assert await claimed(store, None) == ["b", "c", "a"]

    async def test_a_job_of_a_box_stays_its_own_however_often_it_comes_back(self, store: Store) -> None:
        await submit(store, "a", box="one", run_at=later(-1))
        [job] = await store.claim({"hls": 1}, 1, BOOT, TTL, NOW, box="one")
        await store.change("a", settled(Released("drain")), lease=held(job))
        assert await claimed(store, "two") == []
        assert await claimed(store, "one") == ["a"]

    async def test_a_job_that_is_given_to_another_box_is_claimed_there(self, store: Store) -> None:
        await submit(store, "a", box="one")
        await store.change("a", lambda job: Change(replace(job, box="two")))
        assert await claimed(store, "one") == []
        assert await claimed(store, "two") == ["a"]

    async def test_those_of_a_box_age_and_are_the_oldest_like_any(self, store: Store) -> None:
        await submit(store, "a", box="one", priority=4)
        assert (await store.counts()).oldest_ready == NOW
        for hours in (1, 2, 3):
            await store.age(later(3600 * hours), timedelta(hours=1), 10)
        await submit(store, "b", box="one", priority=2)
        await submit(store, "c", priority=1)
        assert await claimed(store, "one", 2) == ["a", "c"], "it rose from 4 to 1"

    async def test_the_line_before_a_job_is_that_of_the_box_that_asks(self, store: Store) -> None:
        for job_id, box in [("a", "one"), ("b", None), ("c", "two"), ("d", None), ("e", "two")]:
            await submit(store, job_id, box=box)
        ahead = [(await store.sight.line("d", ["hls"], NOW, 9, box)).first for box in ("one", "two", "three", None)]
        assert ahead == [("a", "b"), ("b", "c"), ("b",), ("a", "b", "c")]
        assert (await store.sight.line("e", ["hls"], NOW, 9, "one")).ahead == {}, "it stands in no line there"
        waiting = await store.sight.waiting(["hls"], NOW, 9, "one")
        assert [one.job_id for one in waiting] == ["a", "b", "d"]

    async def test_one_whose_time_has_come_stands_in_the_line_of_its_box_alone(self, store: Store) -> None:
        await submit(store, "a", box="one", run_at=later(5))
        await submit(store, "b", box="one", priority=4)
        assert (await store.sight.line("b", ["hls"], later(6), 9, "one")).first == ("a",)
        await submit(store, "c", priority=4)
        assert (await store.sight.line("c", ["hls"], later(6), 9, "two")).first == ()

    async def test_no_more_of_a_type_run_than_may_over_all_boxes(self, store: Store) -> None:
        await submit(store, *"abcd")
        await submit(store, "w", type="webp")
        assert await claimed(store, "one", 1, hls=3) == ["a"]
        assert await claimed(store, "two", 9, hls=3) == ["b", "c", "w"]
        assert await claimed(store, "three", 9, hls=3) == []
        await store.change("b", settled(Released("drain")), lease=held(await store.get("b")))
        assert await claimed(store, "three", 9, hls=3) == ["b"]
        assert await claimed(store, "three", 9, hls=2) == [], "one with a smaller limit starts none"
        assert await claimed(store, "three", 9) == ["d"], "one without the limit is not held by it"

    async def test_claims_that_come_together_stay_within_what_may_run_over_all(self, store: Store) -> None:
        await submit(store, *(f"j{n}" for n in range(20)))
        taken = await asyncio.gather(*(claimed(store, f"box{n}", 2, hls=7) for n in range(10)))
        assert sum(map(len, taken)) == 7

    async def test_a_claim_within_what_may_run_over_all_takes_what_came_together_with_it(self, store: Store) -> None:
        _, taken = await asyncio.gather(store.add([new("a"), new("b")]), claimed(store, "one", 9, hls=1))
        assert taken == ["a"]

    async def test_a_suspect_counts_against_what_may_run_over_all(self, store: Store) -> None:
        await submit(store, "a", "b")
        [job] = await claim(store, 1)
        await store.change("a", by(state.bury, 1, False, NOW), lease=held(job))
        assert await claimed(store, "one", 1, hls=1) == ["b"]
        limits = QueueLimits(running={"hls": 1})
        with pytest.raises(NotAllowed):
            await store.change("a", by(state.start, BOOT, TTL, NOW), limits=limits)
        assert (await store.get("a")).lease is None
        await store.change("b", settled(Released("drain")), lease=held(await store.get("b")))
        await store.change("a", by(state.start, BOOT, TTL, NOW), limits=limits)
        assert await claimed(store, "two", 1, hls=1) == []
        await submit(store, "c")
        await start_suspect(store, "c")  # a start without such a limit is held by none
