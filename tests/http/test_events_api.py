"""The events of all jobs: in order, without gap or repeat, for readers that come, go, lag and never read."""

import socket
import struct
from typing import Any

import pytest
from structlog.testing import capture_logs

from secondunit.daemon.http.transport.event_streams import STREAMS
from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Event, Filter, Status
from secondunit.queue.outcome import Failed, JobError, Partial
from secondunit.queue.value import replace
from secondunit.testing.jobs import prune_at

FLAKY = Failed(JobError("transient", "flaky", "try again"))
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))


async def test_a_job_is_followed_from_queued_to_its_end(harness: Any) -> None:
    async with harness.listen("/api/events") as reader:
        await harness.until(lambda: harness.readers == 1)
        job_id = await harness.submit()
        await harness.settle(job_id, FLAKY)
        await harness.clock.advance(60)
        await harness.settle(job_id)
        messages = await reader.take(5)
    assert [message.data["type"] for message in messages] == [
        "job:queued", "job:started", "job:retrying", "job:started", "job:completed",
    ]  # fmt: skip
    assert [message.id for message in messages] == [f"g1-{number}" for number in range(1, 6)]
    assert {message.event for message in messages} == {None}
    assert messages[0].data == {
        "type": "job:queued", "jobId": job_id, "jobType": "idle", "status": "queued", "progress": 0, "phase": None,
        "message": None, "attempt": 1, "timestamp": "2030-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert messages[2].data["error"] == {"class": "transient", "type": "flaky", "message": "try again"}
    assert messages[2].data["runAt"] > messages[2].data["timestamp"]
    assert messages[4].data["progress"] == 100


@pytest.mark.parametrize(
    ("outcome", "type"), [(BROKEN, "job:failed"), (Partial({}, ["a"]), "job:partial"), (None, "job:cancelled")]
)
async def test_each_way_to_end_has_its_name(harness: Any, outcome: Any, type: str) -> None:
    async with harness.listen("/api/events") as reader:
        await harness.until(lambda: harness.readers == 1)
        job_id = await harness.submit()
        await (harness.settle(job_id, outcome) if outcome else harness.queue.cancel(job_id))
        messages = await reader.take(3 if outcome else 2)
    assert messages[-1].data["type"] == type


async def test_progress_is_live_and_moves_nobodys_position(harness: Any) -> None:
    job_id = await harness.submit()
    event = Event(job_id, "idle", "progress", harness.clock.now(), Status.RUNNING, 0.255, "encode", "frame 7")
    async with harness.listen("/api/events") as reader:
        await harness.until(lambda: harness.readers == 1)
        harness.live(event)
        harness.live(replace(event, name="data", data={"locations": []}))
        first = await reader.next()
        harness.live(replace(event, progress=0.5))
        second = await reader.next()
    assert (first.id, first.data["type"], first.data["progress"]) == (None, "job:progress", 25.5)
    assert (first.data["phase"], first.data["message"]) == ("encode", "frame 7")
    assert second.data["progress"] == 50


async def test_a_stream_is_opened_for_browsers_and_proxies(harness: Any) -> None:
    await harness.submit()
    async with harness.listen("/api/events", Accept_Encoding="gzip") as reader:
        assert reader.response.content_type == "text/event-stream"
        assert reader.response.headers["Cache-Control"] == "no-cache"
        assert reader.response.headers["X-Accel-Buffering"] == "no"
        assert "Content-Encoding" not in reader.response.headers
        opening = await reader.block()
    assert (opening.id, opening.retry, opening.data) == ("g1-1", "3000", None)


@pytest.mark.parametrize(
    ("path", "headers"), [("/api/events", {"Last_Event_ID": "g1-3"}), ("/api/events?lastEventId=g1-3", {})]
)
async def test_a_reader_that_comes_back_gets_what_it_missed_then_what_happens(
    harness: Any, path: str, headers: dict[str, str]
) -> None:
    batch = {"jobs": [{"type": "idle", "payload": {}}] * 1000}
    ids = [job["jobId"] for job in (await harness.call("POST", "/api/jobs/batch", batch, status=201))["jobs"]]
    async with harness.listen(path, **headers) as reader:
        missed = await reader.take(997)
        last = await harness.submit()
        live = await reader.next()
    assert [message.data["jobId"] for message in missed] == ids[3:]
    assert (live.data["jobId"], live.id) == (last, "g1-1001")


async def test_nothing_is_lost_or_repeated_however_often_a_reader_is_cut_off(harness: Any) -> None:
    seen: list[str] = []
    position = ""
    for _ in range(5):
        headers = {"Last_Event_ID": position} if position else {}
        async with harness.listen("/api/events", **headers) as reader:
            position = position or (await reader.block()).id
            await harness.submit()
            message = await reader.next()
            seen.append(message.id)
            position = message.id
        await harness.submit()
        await harness.submit()
    async with harness.listen("/api/events", Last_Event_ID=position) as reader:
        seen += [message.id for message in await reader.take(2 + 8)][-2:]
    assert seen == ["g1-1", "g1-2", "g1-3", "g1-4", "g1-5", "g1-14", "g1-15"]


async def test_a_reader_that_missed_nothing_gets_only_what_follows(harness: Any) -> None:
    await harness.submit()
    async with harness.listen("/api/events", Last_Event_ID="g1-1") as reader:
        await harness.until(lambda: harness.readers == 1)
        await harness.submit()
        assert (await reader.next()).id == "g1-2"


@pytest.mark.parametrize(
    "last_seen", ["g0-1", "g1-99", "g1-", "g1", "1", "-1", "g1--1", "g1-١", "g1-" + "9" * 30, "x" * 5000, "g1-1e3"]
)
async def test_a_position_that_means_nothing_here_gives_a_reset_first(harness: Any, last_seen: str) -> None:
    done, running, waiting = [await harness.submit() for _ in range(3)]
    await harness.settle(done)
    await harness.start(running)
    async with harness.listen("/api/events", Last_Event_ID=last_seen) as reader:
        reset = await reader.next()
        fresh = await harness.submit()
        live = await reader.next()
    assert reset.data["type"] == "reset"
    assert [(job["jobId"], job["status"]) for job in reset.data["jobs"]] == [
        (waiting, "queued"), (running, "running"), (done, "completed"),
    ]  # fmt: skip
    assert "payload" not in reset.data["jobs"][0]
    assert (live.data["jobId"], reset.id) == (fresh, "g1-6")
    async with harness.listen("/api/events", Last_Event_ID=reset.id) as reader:
        assert (await reader.next()).data["jobId"] == fresh


async def test_a_position_older_than_what_is_kept_gives_a_reset(harness: Any) -> None:
    await harness.settle(await harness.submit())
    kept = await harness.submit()
    await harness.clock.advance(60)
    await harness.store.prune(prune_at(harness.clock.now()))
    async with harness.listen("/api/events", Last_Event_ID="g1-1") as reader:
        reset = await reader.next()
    assert [job["jobId"] for job in reset.data["jobs"]] == [kept]


async def test_a_snapshot_is_bounded(harness: Any) -> None:
    for _ in range(250):
        await harness.submit()
    async with harness.listen("/api/events", Last_Event_ID="g0-1") as reader:
        assert len((await reader.next()).data["jobs"]) == 100


@pytest.mark.parametrize(
    ("query", "seen"),
    [("type=clip", [1]), ("jobId={0},{2}", [0, 2]), ("jobId={0}&jobId={2}", [0, 2]), ("type=clip,idle", [0, 1, 2])],
)
async def test_readers_can_ask_for_jobs_or_types_live_and_in_replay(harness: Any, query: str, seen: list[int]) -> None:
    ids = [await harness.submit(), await harness.submit("clip", {"inputPath": "/a"}), await harness.submit()]
    async with harness.listen("/api/events?" + query.format(*ids), Last_Event_ID="g1-0") as reader:
        messages = await reader.take(len(seen))
        for job_id in ids:
            await harness.queue.cancel(job_id)
        messages += await reader.take(len(seen))
    assert [message.data["jobId"] for message in messages] == [ids[number] for number in seen] * 2


async def test_a_query_that_makes_no_sense_is_refused(harness: Any) -> None:
    problem = await harness.call("GET", "/api/events?job=x", status=422)
    assert problem["errors"][0]["field"] == "job"


async def test_comments_keep_a_quiet_stream_alive(build: Any) -> None:
    harness = await build(events_heartbeat=0.02)
    async with harness.listen("/api/events") as reader:
        assert (await reader.block()).comment is None
        assert (await reader.block()).comment is not None
        await harness.submit()
        assert (await reader.next()).data["type"] == "job:queued"


async def test_a_reader_that_left_is_forgotten(build: Any) -> None:
    harness = await build(events_heartbeat=0.02)
    async with harness.listen("/api/events"):
        await harness.until(lambda: harness.readers == 1)
    await harness.until(lambda: harness.readers == 0)


async def test_streams_end_first_when_the_daemon_stops_and_no_new_ones_open(harness: Any) -> None:
    job_id = await harness.submit()
    async with harness.listen("/api/events") as reader, harness.listen(f"/api/jobs/{job_id}/stream") as other:
        await harness.until(lambda: harness.readers == 2)
        harness.stopping.set()
        with pytest.raises(EOFError):
            await reader.next()
        with pytest.raises(EOFError):
            await other.next()
    response = await harness.raw("GET", "/api/events")
    assert (response.status, response.headers["Retry-After"]) == (503, "10")


async def test_readers_that_do_not_read_are_dropped_and_hold_little_meanwhile(build: Any) -> None:
    harness = await build()
    event = Event("job_x", "idle", "queued", harness.clock.now(), Status.QUEUED, message="x" * 4000, seq=1)
    assert event.message
    sockets = [_silent(harness.client.port) for _ in range(10)]
    await harness.until(lambda: harness.readers == len(sockets))
    async with harness.listen("/api/events") as good:
        await harness.until(lambda: harness.readers == len(sockets) + 1)
        for number in range(1, 2501):
            harness.hub.publish([replace(event, seq=number)])
            assert (await good.next()).id == f"g1-{number}"
        await harness.until(lambda: harness.readers == 1)
    for silent in sockets:
        assert _rest(silent) < 2500 * len(event.message)


async def test_a_reader_that_takes_nothing_for_too_long_is_dropped(build: Any) -> None:
    harness = await build(send_timeout=0.1)
    event = Event("job_x", "idle", "queued", harness.clock.now(), Status.QUEUED, message="x" * 60_000, seq=1)
    silent = _silent(harness.client.port)
    await harness.until(lambda: harness.readers == 1)
    for number in range(1, 500):
        harness.hub.publish([replace(event, seq=number)])
    await harness.until(lambda: harness.readers == 0)
    silent.close()


async def test_a_reader_that_hangs_up_while_much_waits_for_it_is_no_fault_of_ours(harness: Any) -> None:
    event = Event("job_x", "idle", "queued", harness.clock.now(), Status.QUEUED, message="x" * 60_000, seq=1)
    silent = _silent(harness.client.port)
    await harness.until(lambda: harness.readers == 1)
    [channel] = harness.client.app[STREAMS]._open
    for number in range(1, 200):
        harness.hub.publish([replace(event, seq=number)])
    await harness.until(lambda: channel._blocked_since)
    with capture_logs() as logs:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        silent.close()  # by a reset, as the kernel ends one whose machine is gone
        await harness.until(lambda: harness.readers == 0)
    assert [line for line in logs if line["log_level"] in ("warning", "error")] == []


async def test_a_store_that_fails_ends_the_stream(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(after: int, filter: Filter, limit: int) -> Any:
        raise StoreBroken("the disk failed")

    monkeypatch.setattr(harness.store, "events", broken)
    async with harness.listen("/api/events") as reader:
        with pytest.raises(EOFError):
            await reader.next()


def _rest(silent: socket.socket) -> int:
    """How many bytes there are until the end."""
    with silent:
        return sum(map(len, iter(lambda: silent.recv(1 << 20), b"")))


def _silent(port: int) -> socket.socket:
    """A reader that asks for events and never takes any."""
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.connect(("127.0.0.1", port))
    silent.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return silent
