"""One job's named events, as TrailTag's clients read them, to its end."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.http.listeners import http_settings
from secondunit.queue import state
from secondunit.queue.model import Event, Status
from secondunit.queue.outcome import Completed, Failed, JobError, Partial, Postpone
from secondunit.queue.value import replace

FLAKY = Failed(JobError("transient", "flaky", "try again"))
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))
TOLD = {"class": "deterministic", "type": "broken", "message": "it is broken"}
START = 1893456000
NOW = datetime.fromtimestamp(START, UTC)


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
        waits, last = await reader.take(2)
    assert (waits.event, last.event) == ("phase_update", "completed")
    assert waits.data.items() >= {"status": "queued", "message": "try again", "progress": 0, "phase": None}.items()
    assert waits.data["runAt"].startswith("2030-01-01T00:00:0")


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
    assert http_settings(Settings.model_validate({}), 1024).stream_heartbeat == 5.0


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
                assert message.data == {"job_id": job_id, "status": "running", "ts": START}


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


def found(job_id: str, *names: str, progress: float = 0.8) -> Event:
    """What a run publishes of these places."""
    places = [{"location": name} for name in names]
    return Event(job_id, "idle", "data", NOW, Status.RUNNING, progress, data={"locations": places})


def names(*messages: Any) -> list[list[str]]:
    """The places that each message brings."""
    assert {message.event for message in messages} == {"partial_locations"}
    return [[place["location"] for place in message.data["locations"]] for message in messages]


async def test_who_comes_late_hears_in_one_message_what_is_known_and_then_what_comes(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.start(job_id)
    for name in ("Taipei 101", "Shilin", "Shilin"):
        harness.live(found(job_id, name))
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        told = [await reader.next()]
        harness.live(found(job_id, "Beitou"))
        told.append(await reader.next())
        harness.live(found(job_id, "Taipei 101"))  # a run that goes on after a pause publishes again what it knows
        harness.live(found(job_id, "Longshan"))
        told.append(await reader.next())
    assert names(*told) == [["Taipei 101", "Shilin"], ["Beitou"], ["Longshan"]]


async def test_who_comes_back_hears_just_what_was_missed_whatever_was_said_last(build: Any) -> None:
    harness = await build(stream_heartbeat=0.02)
    job_id = await harness.submit()
    path = f"/api/jobs/{job_id}/stream"
    await harness.start(job_id)
    seen, ids, last = [], [], ""
    for name in ("Taipei 101", "Shilin", "Beitou", "Longshan"):
        harness.live(found(job_id, name))
        async with harness.listen(path, Last_Event_ID=last) as reader:
            message = await reader.next()
            seen += names(message)
            beat = await reader.next()
        assert beat.event == "heartbeat"
        ids += [message.id, beat.id]
        last = beat.id
    assert seen == [["Taipei 101"], ["Shilin"], ["Beitou"], ["Longshan"]]
    assert len(set(ids)) == len(ids)
    routes = [{"location": name} for name in ("Shilin", "Elephant", "Taipei 101")]
    await harness.settle(job_id, Completed({"routes": routes}))
    async with harness.listen(f"{path}?lastEventId={last}") as reader:
        rest, end = await reader.take(2)
    assert (names(rest), end.event) == ([["Elephant"]], "completed")


async def test_who_comes_back_after_the_end_gets_nothing_so_that_an_event_source_stops(harness: Any) -> None:
    job_id = await harness.submit()
    path = f"/api/jobs/{job_id}/stream"
    await harness.settle(job_id, Completed({"routes": [{"location": "Taipei 101"}]}))
    async with harness.listen(path) as reader:
        places, end = await reader.take(2)
    assert names(places) == [["Taipei 101"]]
    answer = await harness.raw("GET", path, headers={"Last-Event-ID": end.id})
    assert (answer.status, await answer.read()) == (204, b"")
    assert (await harness.raw("GET", f"{path}?lastEventId={end.id}")).status == 204
    async with harness.listen(path, Last_Event_ID=places.id) as reader:  # who missed the end is told of it
        assert (await reader.take(2))[-1].event == "completed"
    await harness.queue.retry(job_id)
    await harness.clock.advance(1)
    await harness.settle(job_id, BROKEN)
    async with harness.listen(path, Last_Event_ID=end.id) as reader:
        again = await reader.next()
    assert again.event == "error", "it ended once more since"


@pytest.mark.parametrize(
    "id",
    [
        "x",
        "1.2.3",
        "1.9.0.another-life",
        "-1.1.0.b1-1",
        "1.²1.0.b1-1",
        "9" * 40 + ".1.0.b1-1",
        "0.0.0.x\ndata: evil",
        "0.0.0.\u00ff",
    ],
)
async def test_an_id_of_another_life_or_of_nobody_begins_anew(harness: Any, id: str) -> None:
    job_id = await harness.submit()
    await harness.start(job_id)
    harness.live(found(job_id, "Taipei 101"))
    async with harness.listen(f"/api/jobs/{job_id}/stream?lastEventId={quote(id)}") as reader:
        assert names(await reader.next()) == [["Taipei 101"]]


async def test_a_retry_of_a_job_that_ended_tells_its_places_anew(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.start(job_id)
    harness.live(found(job_id, "Taipei 101", "Shilin"))
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        last = (await reader.next()).id
    await harness.settle(job_id, Partial({}, ["Beitou"]))
    await harness.queue.retry(job_id)
    await harness.start(job_id)
    harness.live(found(job_id, "Taipei 101"))
    async with harness.listen(f"/api/jobs/{job_id}/stream", Last_Event_ID=last) as reader:
        assert names(await reader.next()) == [["Taipei 101"]]


async def test_a_job_that_waits_for_others_says_for_whom_and_until_when(build: Any) -> None:
    harness = await build(stream_heartbeat=0.02)
    job_id = await harness.submit()
    await harness.settle(job_id, Postpone(timedelta(minutes=1), "gemini_limited: a pause of 60 s"))
    async with harness.listen(f"/api/jobs/{job_id}/stream") as reader:
        told, beat = await reader.take(2)
    shown = await harness.call("GET", f"/api/jobs/{job_id}")
    waits = {"status": "queued", "message": "gemini_limited: a pause of 60 s", "runAt": "2030-01-01T00:01:00.000Z"}
    assert (told.event, beat.event) == ("phase_update", "heartbeat")
    assert all(waits.items() <= content.items() for content in (told.data, beat.data, shown))
