from collections import Counter
from datetime import timedelta

import pytest

from secondunit.daemon.automation.timetable import NoSuchSchedule
from secondunit.queue import state
from secondunit.queue.errors import (
    Saturated,
)
from secondunit.queue.model import Filter
from secondunit.queue.outcome import Failed, JobError
from tests.unit.daemon.automation.scheduler.scene import FLAKY, MINUTE, NOON, Box, schedule


async def test_a_run_comes_at_its_time_as_the_schedules_own(box: Box) -> None:
    async with box.daemon(schedule()):
        await box.clock.advance(29)
        assert await box.jobs() == []
        await box.clock.advance(1)
        [job] = await box.jobs()
        assert (job.source, job.submitted_by, job.created_at) == ("schedule", "schedule s", NOON)
        [standing] = await box.scheduler.all()
        assert (standing.state.last_at, standing.state.last_job, standing.last_status) == (NOON, job.id, "queued")
        assert standing.next_at == NOON + timedelta(minutes=1)
        assert ((await box.state()).since, (await box.state()).last_job) == (NOON, job.id)
        await box.end(job.id)
        [standing] = await box.scheduler.all()
        assert (standing.last_status, list((await box.state()).open_jobs)) == ("completed", [])
    assert box.told == [("submitted", 1)]


async def test_a_run_that_meets_an_earlier_job_is_left_out_and_told(box: Box) -> None:
    async with box.daemon(schedule()):
        await box.clock.advance(3 * MINUTE)
        [job] = await box.jobs()
        assert box.told == [("submitted", 1), ("skipped", 1), ("skipped", 1)]
        assert (await box.state()).why == (
            f"the run of 2026-11-28T12:02:00.000Z was skipped, since {job.id} of an earlier run was not done"
        )
        await box.end(job.id)
        await box.clock.advance(MINUTE)
        assert await box.runs() == ["12:00", "12:03"]
        assert (await box.state()).why is None


async def test_runs_queue_behind_each_other_where_they_may(box: Box) -> None:
    async with box.daemon(schedule(overlap="queue")):
        await box.clock.advance(3 * MINUTE)
        assert await box.runs() == ["12:00", "12:01", "12:02"]
        assert len((await box.state()).open_jobs) == 3


async def test_the_earlier_job_is_cancelled_before_the_new_one_is_there(box: Box) -> None:
    async with box.daemon(schedule(overlap="cancel")):
        await box.clock.advance(2 * MINUTE)
        names = [(event.name, event.job_id) for event in await box.store.events(0, Filter(), 10)]
        first, second = [job.id for job in await box.jobs()]
        assert names == [("queued", first), ("cancelled", first), ("queued", second)]
        assert ((await box.state()).failures, list((await box.state()).open_jobs)) == (0, [second])


async def test_schedules_do_not_wait_for_one_that_waits_for_a_job_to_stop(box: Box) -> None:
    async with box.daemon(schedule("slow", overlap="cancel"), schedule("quick", overlap="queue")):
        await box.clock.advance(MINUTE / 2)
        stuck = next(job for job in await box.jobs() if job.submitted_by == "schedule slow")
        now = box.clock.now()
        await box.store.change(stuck.id, lambda job: state.start(job, "boot", timedelta(hours=1), now))
        await box.clock.advance(2 * MINUTE)
        owners = Counter(job.submitted_by for job in await box.jobs())
        assert owners == {"schedule slow": 1, "schedule quick": 3}
        stopped = Failed(JobError("cancelled", "cancelled", "it was asked to stop"))
        await box.store.change(stuck.id, lambda job: state.settle(job, stopped, box.random, box.clock.now()))
        await box.clock.settle()
        slow = [job.status.value for job in await box.jobs() if job.submitted_by == "schedule slow"]
        assert slow == ["cancelled", "cancelled", "queued"], "those of 12:00, 12:01 and, due by now, 12:02"


async def test_it_pauses_after_failures_in_a_row_stays_so_over_a_restart_and_is_resumed(box: Box) -> None:
    planned = schedule(pause_after=2)
    async with box.daemon(planned):
        for _ in range(2):
            await box.clock.advance(MINUTE)
            await box.end_all(FLAKY)
        assert box.facts[-1].what == "paused" and "2 runs in a row failed" in (box.facts[-1].why or "")
        assert "2 runs in a row failed" in box.scheduler.timetable.stopped["s"]
        await box.clock.advance(5 * MINUTE)
        assert len(await box.jobs()) == 2
    async with box.daemon(planned):
        [standing] = await box.scheduler.all()
        assert (standing.state.paused, standing.next_at, standing.state.failures) == (True, None, 2)
        await box.clock.advance(5 * MINUTE)
        assert len(await box.jobs()) == 2
        standing = await box.scheduler.resume("s")
        assert (standing.state.paused, standing.state.why, standing.state.failures) == (False, None, 0)
        assert standing.next_at is not None and standing.next_at > box.clock.now()
        await box.clock.advance(MINUTE)
        assert len(await box.jobs()) == 3, "what was due while it was paused is not caught up on"
        assert box.scheduler.timetable.stopped == {}
        await box.scheduler.pause("s")
        assert box.scheduler.timetable.stopped == {}


async def test_a_job_that_ended_while_no_daemon_counted_it_counts_at_the_start(box: Box) -> None:
    async with box.daemon(schedule(pause_after=1)):
        await box.clock.advance(MINUTE / 2)
    await box.end_all(FLAKY)
    async with box.daemon(schedule(pause_after=1)):
        assert (await box.state()).paused


async def test_a_run_by_hand_goes_while_it_is_paused_and_beside_another(box: Box) -> None:
    async with box.daemon(schedule(cron="0 3 * * *")):
        await box.scheduler.pause("s")
        first, second = await box.scheduler.run_now("s"), await box.scheduler.run_now("s")
        assert first.id != second.id
        found = await box.state()
        assert (found.last_job, list(found.open_jobs), found.paused) == (second.id, [first.id, second.id], True)
        assert (found.why, found.since) == ("paused by hand", NOON - timedelta(seconds=30))
        for _ in range(98):
            await box.scheduler.run_now("s")
        with pytest.raises(Saturated, match="100 jobs"):
            await box.scheduler.run_now("s")
        with pytest.raises(NoSuchSchedule):
            await box.scheduler.run_now("other")


async def test_what_changes_something_outside_is_audited(box: Box) -> None:
    async with box.daemon(schedule(type="deploy")):
        await box.clock.advance(MINUTE / 2)
    [entry], [job] = await box.store.audit.find(None, 10), await box.jobs()
    assert (entry.action, entry.target, entry.detail) == ("deploy", job.id, "schedule s")


async def test_the_next_times_are_told_of_a_paused_one_too(box: Box) -> None:
    async with box.daemon(schedule(cron="0 3 * * *")):
        await box.scheduler.pause("s")
        assert [at.day for at in box.scheduler.upcoming("s", 3)] == [29, 30, 1]
        with pytest.raises(NoSuchSchedule):
            box.scheduler.upcoming("other", 1)
