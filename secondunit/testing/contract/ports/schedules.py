"""Conformance tests of schedules' state: kept whole, and moved together with the jobs of a run or not at all."""

import pytest

from secondunit.queue.errors import JobNotFound, KeyReused, Saturated, ScheduleChanged
from secondunit.queue.model import Idempotency
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.state import QueueLimits
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.full_values import full, left_out
from secondunit.testing.jobs import NOW, later, new

NIGHTLY = ScheduleState("nightly", "0 3 * * *", "UTC", NOW)
RUN = replace(NIGHTLY.written, since=later(60), last_at=later(60))


class ScheduleContract:
    """What is known of a schedule, by its name."""

    async def test_every_field_of_a_schedule_is_kept(self, store: Store) -> None:
        whole = full(ScheduleState)
        assert left_out(whole) == set()
        await store.schedules.put([whole, NIGHTLY])
        found = {state.name: state for state in await store.schedules.all()}
        assert found["name"] == whole.written
        assert replace(found["nightly"], open_jobs=()) == NIGHTLY.written

    async def test_schedules_are_found_by_name_replaced_and_dropped(self, store: Store) -> None:
        await store.schedules.put([replace(NIGHTLY, name=name) for name in ("b", "每晚", "a")])
        await store.schedules.put([replace(NIGHTLY, name="b", paused=True, revision=1)])
        assert [(state.name, state.paused) for state in await store.schedules.all()] == [
            ("a", False),
            ("b", True),
            ("每晚", False),
        ]
        await store.schedules.drop(["b", "nobody's"])
        assert [state.name for state in await store.schedules.all()] == ["a", "每晚"]

    async def test_a_run_moves_its_schedule_with_its_jobs(self, store: Store) -> None:
        await store.schedules.put([NIGHTLY, replace(NIGHTLY, name="other")])
        await store.add([new("a"), new("b")], schedule=replace(RUN, open_jobs=["earlier"]))
        nightly, other = await store.schedules.all()
        assert (nightly.since, nightly.last_job, list(nightly.open_jobs)) == (later(60), "b", ["earlier", "a", "b"])
        assert (other.since, other.last_job) == (NOW, None)

    async def test_a_run_that_was_submitted_before_is_its_job(self, store: Store) -> None:
        key = Idempotency("nightly 3", b"1")
        await store.add([new("a", idempotency=key)], schedule=RUN)
        [(job, created)] = await store.add([new("b", idempotency=key)], schedule=replace(RUN.written, open_jobs=["a"]))
        assert (job.id, created) == ("a", False)
        [nightly] = await store.schedules.all()
        assert (nightly.last_job, list(nightly.open_jobs)) == ("a", ["a"])

    async def test_a_run_that_is_refused_leaves_its_schedule_as_it_was(self, store: Store) -> None:
        await store.schedules.put([NIGHTLY])
        await store.add([new("a", idempotency=Idempotency("key", b"1"))])
        with pytest.raises(KeyReused):
            await store.add([new("b"), new("c", idempotency=Idempotency("key", b"2"))], schedule=RUN)
        with pytest.raises(Saturated):
            await store.add([new("b")], QueueLimits(1, 1), RUN)
        [nightly] = await store.schedules.all()
        assert (nightly.since, nightly.last_job) == (NOW, None)
        with pytest.raises(JobNotFound):
            await store.get("b")

    async def test_who_has_not_seen_how_a_schedule_stands_does_not_replace_it(self, store: Store) -> None:
        await store.schedules.put([NIGHTLY])
        paused = replace(NIGHTLY.written, paused=True)
        await store.schedules.put([paused])
        stale = replace(NIGHTLY.written, since=later(60))
        with pytest.raises(ScheduleChanged):
            await store.schedules.put([replace(NIGHTLY, name="other"), stale])
        with pytest.raises(ScheduleChanged):
            await store.add([new("a")], schedule=stale)
        with pytest.raises(JobNotFound):
            await store.get("a")
        [nightly] = await store.schedules.all()
        assert (nightly.paused, nightly.since, nightly.revision) == (True, NOW, 2)
        await store.add([new("b")], schedule=replace(paused.written, since=later(60)))
        [nightly] = await store.schedules.all()
        assert (nightly.paused, nightly.since, nightly.last_job) == (True, later(60), "b")
