"""Every client has the same verbs and the same manners: against a live daemon, over a line that breaks."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.clients.conftest import KEY, Driver, Proxy, Said
from tests.e2e.conftest import Daemon

pytestmark = pytest.mark.e2e

JOB = {"type": "sleep", "payload": {"seconds": 0}}
LONG = {"type": "sleep", "payload": {"seconds": 600}}
DELAYED = {"type": "sleep", "payload": {"seconds": 0}, "runAt": "2999-01-01T00:00:00Z"}


def test_a_job_is_submitted_waited_for_and_found(proxy: Proxy, by: Driver) -> None:
    accepted = by(proxy.url, "submit", JOB).value
    said = by(proxy.url, "wait", accepted["jobId"])
    assert said.value["status"] == "completed" and said.value["result"] == {"slept": 0}, said
    assert by(proxy.url, "get", accepted["jobId"]).value["jobId"] == accepted["jobId"]
    page = by(proxy.url, "list", {"type": ["sleep"], "status": "completed", "limit": 1}).value
    assert len(page["jobs"]) == 1 and page["total"] >= 1
    assert by(proxy.url, "explain", accepted["jobId"]).value["reason"] == "ended"


def test_a_job_is_cancelled_and_retried(proxy: Proxy, by: Driver) -> None:
    job_id = by(proxy.url, "submit", DELAYED).value["jobId"]
    assert by(proxy.url, "explain", job_id).value["reason"] == "scheduled"
    assert by(proxy.url, "cancel", job_id).value["status"] == "cancelled"
    assert by(proxy.url, "cancel", job_id).value["status"] == "cancelled", "it is, whoever did it"
    assert by(proxy.url, "retry", job_id).value["status"] == "queued"
    assert by(proxy.url, "wait", job_id).value["status"] == "completed"
    job_id = by(proxy.url, "submit", LONG).value["jobId"]
    assert by(proxy.url, "retry", job_id).error == "Conflict"
    assert by(proxy.url, "cancel", job_id).value["status"] == "cancelled"
    done = by(proxy.url, "submit", JOB).value["jobId"]
    assert by(proxy.url, "wait", done).value["status"] == "completed"
    assert by(proxy.url, "cancel", done).error == "Conflict"


def test_every_job_is_listed_once_however_many_pages_that_takes(proxy: Proxy, by: Driver) -> None:
    made = {by(proxy.url, "submit", {**DELAYED, "priority": 4}).value["jobId"] for _ in range(3)}
    proxy.faults = [("GET /api/jobs", "lose")]
    found = [job["jobId"] for job in by(proxy.url, "each", {"type": "sleep", "status": ["queued"], "limit": 2}).value]
    assert made <= {*found} and len(found) == len({*found})
    for job_id in made:
        by(proxy.url, "cancel", job_id)


def test_the_boxes_of_the_queue_are_listed(proxy: Proxy, by: Driver) -> None:
    [box] = by(proxy.url, "boxes").value["boxes"]
    assert box["state"] == "up" and box["running"] <= box["capacity"] and "sleep" in box["types"]


def test_a_batch_is_accepted_as_a_whole(proxy: Proxy, by: Driver) -> None:
    batch = {"jobs": [{**JOB, "ref": "first"}, {**JOB, "ref": "second", "dependsOn": ["first"]}], "name": "two"}
    proxy.faults = [("POST /api/jobs/batch", "lose")]
    accepted = by(proxy.url, "submit_batch", batch).value
    assert [job["ref"] for job in accepted["jobs"]] == ["first", "second"]
    assert by(proxy.url, "wait", accepted["jobs"][1]["jobId"]).value["status"] == "completed"


def test_a_submit_whose_answer_was_lost_makes_one_job(proxy: Proxy, by: Driver, daemon: Daemon) -> None:
    def count() -> int:
        return by(proxy.url, "list", {"limit": 1}).value["total"]  # type: ignore[no-any-return]

    before = count()
    proxy.faults = [("POST /api/jobs", "lose")]
    job_id = by(proxy.url, "submit", DELAYED).value["jobId"]
    sent = proxy.sent("POST /api/jobs")
    assert len(sent) == 2 and len({headers["Idempotency-Key"] for headers in sent}) == 1
    assert count() == before + 1
    other = by(proxy.url, "submit", DELAYED).value["jobId"]
    assert other != job_id, "each call has a key of its own"
    assert (
        by(proxy.url, "submit", DELAYED, "mine").value["jobId"]
        == by(proxy.url, "submit", DELAYED, "mine").value["jobId"]
    )
    assert by(proxy.url, "submit", JOB, "mine").kind == "idempotency-key-reused"
    for one in (job_id, other, by(proxy.url, "submit", DELAYED, "mine").value["jobId"]):
        daemon.call("DELETE", f"/api/jobs/{one}", X_API_Key=KEY)


def test_a_cancel_and_a_retry_whose_answers_were_lost_are_done(proxy: Proxy, by: Driver) -> None:
    job_id = by(proxy.url, "submit", LONG).value["jobId"]
    proxy.faults = [("DELETE", "lose"), ("POST", "lose")]
    assert by(proxy.url, "cancel", job_id).value == {"jobId": job_id, "status": "cancelled"}
    assert by(proxy.url, "retry", job_id).value["status"] in ("queued", "running")
    assert by(proxy.url, "cancel", job_id).value["status"] == "cancelled"
    assert proxy.faults == []


def test_a_daemon_that_is_busy_is_asked_again_when_it_says(proxy: Proxy, by: Driver) -> None:
    proxy.faults = [("GET /api/jobs", "busy")]
    assert by(proxy.url, "list", {}, patience=0.9).error == "Unavailable", "a second is more than its patience"
    proxy.faults = [("GET /api/jobs", "busy")]
    assert "jobs" in by(proxy.url, "list", {}).value
    assert len(proxy.sent("GET /api/jobs")) == 3


def test_a_refusal_is_a_typed_error_with_its_fields(proxy: Proxy, by: Driver) -> None:
    wrong = by(proxy.url, "submit", {"type": "sleep", "payload": {"seconds": "soon"}})
    assert (wrong.error, wrong.status, wrong.kind) == ("Invalid", 422, "bad-fields")
    assert [fault["field"] for fault in wrong.faults] == ["payload.seconds"]
    assert by(proxy.url, "get", "job_nobody").error == "NotFound"
    assert by(proxy.url, "get", "job_nobody", key="wrong").error == "Unauthorized"
    assert len(proxy.sent("")) == 3, "none of these is sent again"
    proxy.faults = [("GET", "lose")] * 2  # aiohttp asks once more by itself
    assert by(proxy.url, "get", "job_nobody", patience=0).error == "NoAnswer"


def waited_for(by: Driver, proxy: Proxy, job_id: str, daemon: Daemon, moves: Mapping[str, Callable[[], bool]]) -> Said:
    """What a client says that waits for a job, while each move is made once its moment has come."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(by, proxy.url, "wait", job_id)
        for move, has_come in moves.items():
            while not has_come() and not waiting.done():
                time.sleep(0.01)
            method, path = move.split(" ")
            assert daemon.call(method, path, X_API_Key=KEY).status == 200
        return waiting.result(60)


def test_a_stream_that_is_cut_is_taken_up_where_it_broke(proxy: Proxy, by: Driver, daemon: Daemon) -> None:
    daemon.call("POST", "/api/types/sleep/pause", X_API_Key=KEY)
    job_id = by(proxy.url, "submit", LONG).value["jobId"]
    look = f"/api/jobs/{job_id}"
    proxy.faults = [("GET /api/events", "cut"), ("GET /api/events", "cut")]
    moves = {
        "POST /api/types/sleep/resume": lambda: look in proxy.answered,
        f"DELETE {look}": lambda: proxy.answered.count("stream") == 3 and proxy.answered[-1] == look,
    }
    said = waited_for(by, proxy, job_id, daemon, moves)
    assert said.value["status"] == "cancelled", said
    first, *later = proxy.sent("GET /api/events")
    assert "Last-Event-Id" not in first and all(headers["Last-Event-Id"] for headers in later)
    assert [event["type"] for event in said.events if event["type"] == "job:started"] == ["job:started"]


def test_where_no_stream_is_to_be_had_the_job_is_looked_at(proxy: Proxy, by: Driver, daemon: Daemon) -> None:
    daemon.call("POST", "/api/types/sleep/pause", X_API_Key=KEY)
    job_id = by(proxy.url, "submit", JOB).value["jobId"]
    proxy.faults = [("GET /api/events", "busy")] * 99
    moves = {"POST /api/types/sleep/resume": lambda: proxy.answered.count(f"/api/jobs/{job_id}") > 2}
    said = waited_for(by, proxy, job_id, daemon, moves)
    assert said.value["status"] == "completed" and {event["type"] for event in said.events} == {"job:now"}


def test_waiting_ends_in_time(proxy: Proxy, by: Driver) -> None:
    job_id = by(proxy.url, "submit", DELAYED).value["jobId"]
    assert by(proxy.url, "wait", job_id, 0.2).error == "WaitTimedOut"
    assert by(proxy.url, "cancel", job_id).value["status"] == "cancelled"


def test_a_file_is_uploaded_and_its_progress_told(proxy: Proxy, by: Driver, tmp_path: Path, daemon: Daemon) -> None:
    film = tmp_path / 'a "film".mp4'
    film.write_bytes(bytes(2**20) + tmp_path.name.encode())
    size = film.stat().st_size
    url = f"http://127.0.0.1:{daemon.port}"
    said = by(url, "analyze", str(film))
    assert said.value["status"] == "queued", said
    sent = [at for at, _ in said.progress]
    assert sent == sorted(sent) and said.progress[-1] == [size, size] and len(sent) > 2
    assert by(url, "analyze", str(film)).value["jobId"] == said.value["jobId"], "the same film joins the job"
    film.write_bytes(bytes(5 * 2**20))
    assert by(url, "analyze", str(film)).status == 413
