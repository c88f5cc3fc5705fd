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


async def test_a_run_is_told_phase_by_phase_and_the_stream_ends_with_the_job(house: Any) -> None:
    job_id = await house.submit()
    progress = Event(job_id, "idle", "progress", house.clock.now(), Status.RUNNING, 0.355, "summary", "chunk 2 of 3")
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        await house.start(job_id)
        house.live(progress)
        running = await reader.next()
        house.live(replace(progress, name="data", data={"locations": [{"location": "Taipei 101"}]}))
        part = await reader.next()
        house.live(replace(progress, name="data", data=[1, 2], progress=0.75))
        bare = await reader.next()
        await house.clock.advance(61.5)
        await house.settle(job_id, Completed({"routes": []}))
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
    house: Any, outcome: Any, event: str, told: dict[str, Any], already: bool
) -> None:
    job_id = await house.submit()

    async def end() -> None:
        await (house.settle(job_id, outcome) if outcome else house.queue.cancel(job_id))

    if already:
        await end()
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        if not already:
            await house.until(lambda: house.readers)
            await end()
        message = await reader.next()
        with pytest.raises(EOFError):
            await reader.next()
    assert message.event == event
    assert told.items() <= message.data.items()


async def test_a_retried_job_is_followed_through_its_backoff(house: Any) -> None:
    job_id = await house.submit()
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        await house.until(lambda: house.readers)
        await house.settle(job_id, FLAKY)
        await house.clock.advance(60)
        await house.settle(job_id)
        assert (await reader.next()).event == "completed"


async def test_who_comes_amid_a_run_hears_at_once_where_it_stands(house: Any) -> None:
    job_id = await house.submit()
    lease, now = await house.start(job_id), house.clock.now()
    await house.store.change(job_id, lambda job: state.progress(job, 0.4, None, "summary", now), lease=lease)
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        message = await reader.next()
    assert (message.event, message.data["phase"], message.data["progress"]) == ("phase_update", "summary", 40)


async def test_a_job_that_waits_has_no_phase_to_tell_of_and_beats_as_queued(build: Any) -> None:
    house = await build(stream_heartbeat=0.02)
    job_id = await house.submit()
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        message = await reader.next()
    assert (message.event, message.data) == ("heartbeat", {"job_id": job_id, "status": "queued", "ts": START})


def test_the_daemon_beats_every_five_seconds() -> None:
    assert http_settings(Settings.model_validate({})).stream_heartbeat == 5.0


async def test_a_job_that_is_retried_as_it_ends_is_followed_on(house: Any) -> None:
    job_id = await house.submit()
    ended = Event(job_id, "idle", "partial", house.clock.now(), Status.PARTIAL, 1.0)
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        await house.until(lambda: house.readers)
        house.live(ended)  # while the job itself is queued again
        house.live(replace(ended, name="progress", status=Status.RUNNING, progress=0.5))
        assert (await reader.next()).event == "phase_update"
        await house.settle(job_id)
        message = await reader.next()
    assert (message.event, message.data["status"]) == ("completed", "done")


async def test_a_heartbeat_comes_at_its_time_also_between_other_events(build: Any) -> None:
    house = await build(stream_heartbeat=0.05)
    job_id = await house.submit()
    event = Event(job_id, "idle", "progress", house.clock.now(), Status.RUNNING, 0.5)
    beats = 0
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        while beats < 3:
            house.live(event)
            message = await reader.next()
            if message.event == "heartbeat":
                beats += 1
                assert message.data == {"job_id": job_id, "status": message.data["status"], "ts": START}


async def test_other_jobs_are_not_told_of(house: Any) -> None:
    job_id, other = await house.submit(), await house.submit()
    async with house.listen(f"/api/jobs/{job_id}/stream") as reader:
        await house.until(lambda: house.readers)
        for id in (other, job_id):
            house.live(Event(id, "idle", "progress", house.clock.now(), Status.RUNNING, 0.5))
        await house.settle(other)
        await house.settle(job_id)
        messages = await reader.take(2)
    assert {message.data["job_id"] for message in messages} == {job_id}


async def test_an_unknown_job_has_no_stream(house: Any) -> None:
    await house.call("GET", "/api/jobs/job_x/stream", status=404)


async def test_a_reader_that_left_is_forgotten(build: Any) -> None:
    house = await build(stream_heartbeat=0.02)
    async with house.listen(f"/api/jobs/{await house.submit()}/stream") as reader:
        await reader.next()
    await house.until(lambda: house.readers == 0)
