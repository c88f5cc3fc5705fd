"""One job's named events, as TrailTag's clients read them, to its end."""

from typing import Any

import pytest

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.http.listeners import http_settings
from secondunit.queue import state
from secondunit.queue.model import Event, Status
from secondunit.queue.outcome import Completed, Failed, JobError, Partial
from secondunit.queue.value import replace

FLAKY = Failed(JobError("transient", "flaky", "try again"))
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))
TOLD = {"class": "deterministic", "type": "broken", "message": "it is broken"}
START = 1893456000


async def test_a_run_is_told_phase_by_phase_and_the_stream_ends_with_the_job(harness: Any) -> None:
    job_id = await harness.submit()
    progress = Event(job_id, "idle", "progress", harness.clock.now(), Status.RUNNING, 0.355, "summary", "chunk 2 of 3")
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        await harness.start(job_id)
        harness.live(progress)
        running = await reader.next()
        harness.live(replace(progress, name="data", data={"locations": [{"location": "Taipei 101"}]}))
        part = await reader.next()
        harness.live(replace(progress, name="data", data=[1, 2], progress=0.75))
        bare = await reader.next()
        await harness.clock.advance(61.5)
        await harness.settle(job_id, Completed({"routes": []}))
        last = await reader.next()
        with pytest.raises(EOFError):
            await reader.next()
    assert running.event == "phase_update"
    assert running.data == {
        "job_id": job_id, "status": "running", "phase": "summary", "progress": 35.5, "message": "chunk 2 of 3",
        "ts": START,
    }  # fmt: skip
    assert part.event == "partial_locations"
    assert part.data == {"locations": [{"location": "Taipei 101"}], "job_id": job_id, "progress": 35.5, "ts": START}
    assert bare.data == {"locations": [1, 2], "job_id": job_id, "progress": 75, "ts": START}
    assert last.event == "completed"
    assert last.data == {"job_id": job_id, "status": "done", "progress": 100, "ts": START + 61}


@pytest.mark.parametrize(
    ("outcome", "event", "told"),
    [
        (Completed({}), "completed", {"status": "done", "progress": 100}),
        (Partial({}, ["Shilin"]), "completed", {"status": "partial", "failed": ["Shilin"]}),
        (BROKEN, "error", {"status": "failed", "error": TOLD}),
        (None, "error", {"status": "canceled"}),
    ],
)
@pytest.mark.parametrize("already", [True, False])
async def test_the_last_event_tells_how_it_ended_also_to_those_who_come_later(
    harness: Any, outcome: Any, event: str, told: dict[str, Any], already: bool
) -> None:
    job_id = await harness.submit()

    async def end() -> None:
        await (harness.settle(job_id, outcome) if outcome else harness.queue.cancel(job_id))

    if already:
        await end()
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        if not already:
            await harness.until(lambda: harness.readers)
            await end()
        message = await reader.next()
        with pytest.raises(EOFError):
            await reader.next()
    assert message.event == event
    assert told.items() <= message.data.items()


async def test_a_retried_job_is_followed_through_its_backoff(harness: Any) -> None:
    job_id = await harness.submit()
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        await harness.until(lambda: harness.readers)
        await harness.settle(job_id, FLAKY)
        await harness.clock.advance(60)
        await harness.settle(job_id)
        assert (await reader.next()).event == "completed"


async def test_who_comes_amid_a_run_hears_at_once_where_it_stands(harness: Any) -> None:
    job_id = await harness.submit()
    lease, now = await harness.start(job_id), harness.clock.now()
    await harness.store.change(job_id, lambda job: state.progress(job, 0.4, None, "summary", now), lease=lease)
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        message = await reader.next()
    assert (message.event, message.data["phase"], message.data["progress"]) == ("phase_update", "summary", 40)


async def test_a_job_that_waits_has_no_phase_to_tell_of_and_beats_as_queued(build: Any) -> None:
    harness = await build(stream_heartbeat=0.02)
    job_id = await harness.submit()
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        message = await reader.next()
    assert (message.event, message.data) == ("heartbeat", {"job_id": job_id, "status": "queued", "ts": START})


def test_the_daemon_beats_every_five_seconds() -> None:
    assert http_settings(Settings.model_validate({})).stream_heartbeat == 5.0


async def test_a_job_that_is_retried_as_it_ends_is_followed_on(harness: Any) -> None:
    job_id = await harness.submit()
    ended = Event(job_id, "idle", "partial", harness.clock.now(), Status.PARTIAL, 1.0)
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        await harness.until(lambda: harness.readers)
        harness.live(ended)  # while the job itself is queued again
        harness.live(replace(ended, name="progress", status=Status.RUNNING, progress=0.5))
        assert (await reader.next()).event == "phase_update"
        await harness.settle(job_id)
        message = await reader.next()
    assert (message.event, message.data["status"]) == ("completed", "done")


async def test_a_heartbeat_comes_at_its_time_also_between_other_events(build: Any) -> None:
    harness = await build(stream_heartbeat=0.05)
    job_id = await harness.submit()
    event = Event(job_id, "idle", "progress", harness.clock.now(), Status.RUNNING, 0.5)
    beats = 0
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        while beats < 3:
            harness.live(event)
            message = await reader.next()
            if message.event == "heartbeat":
                beats += 1
                assert message.data == {"job_id": job_id, "status": message.data["status"], "ts": START}


async def test_other_jobs_are_not_told_of(harness: Any) -> None:
    job_id, other = await harness.submit(), await harness.submit()
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        await harness.until(lambda: harness.readers)
        for id in (other, job_id):
            harness.live(Event(id, "idle", "progress", harness.clock.now(), Status.RUNNING, 0.5))
        await harness.settle(other)
        await harness.settle(job_id)
        messages = await reader.take(2)
    assert {message.data["job_id"] for message in messages} == {job_id}


async def test_an_unknown_job_has_no_stream(harness: Any) -> None:
    await harness.call("GET", "/api/jobs/job_x/stream", status=404)


async def test_a_reader_that_left_is_forgotten(build: Any) -> None:
    harness = await build(stream_heartbeat=0.02)
    async with harness.listen(f"/api/jobs/{await harness.submit()}/stream") as reader:
        await reader.next()
    await harness.until(lambda: harness.readers == 0)
