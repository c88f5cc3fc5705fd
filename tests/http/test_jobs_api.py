"""Looking at jobs, and moving them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from secondunit.daemon.delivery.webhooks import callback_body
from secondunit.queue import state
from secondunit.queue.errors import Saturated, StoreBroken, StoreFull
from secondunit.queue.model import Change, Job
from secondunit.queue.outcome import Completed, Failed, JobError, Partial
from secondunit.testing.jobs import submit

FLAKY = Failed(JobError("transient", "flaky", "try again"))
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))
FIELDS = """jobId type status priority progress phase message attempt maxAttempts payload result missing error stats
createdAt updatedAt startedAt finishedAt duration firstStartedAt totalDuration runAt dependsOn attempts source
sourceId submittedBy paused batchId ref phases
box etaSeconds etaErrorSeconds startsAt startsAtErrorSeconds estimate""".split()
NOWHERE = "job_" + "a" * 26


async def test_a_fresh_job_has_every_field_and_null_where_nothing_is_known(harness: Any) -> None:
    job = await harness.call("GET", f"/api/jobs/{await harness.submit()}")
    assert sorted(job) == sorted(FIELDS)
    unknown = [name for name, value in job.items() if value is None]
    assert unknown == [
        "phase", "message", "error", "startedAt", "finishedAt", "duration", "firstStartedAt", "totalDuration", "runAt",
        "sourceId", "submittedBy", "box", "result", "missing", "stats", "batchId", "ref",
        "etaSeconds", "etaErrorSeconds", "estimate",
    ]  # fmt: skip
    assert (job["progress"], job["attempt"], job["maxAttempts"], job["attempts"]) == (0, 1, 6, [])


async def test_a_completed_job_shows_its_result_times_and_runs(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.start(job_id)
    await harness.clock.advance(2.0625)
    await harness.settle(job_id, Completed({"size": 12345}))
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["status"], job["progress"], job["result"]) == ("completed", 100, {"size": 12345})
    assert (job["startedAt"], job["finishedAt"]) == ("2030-01-01T00:00:00.000Z", "2030-01-01T00:00:02.062Z")
    assert job["duration"] == 2062
    [run] = job["attempts"]
    assert (run["attempt"], run["outcome"], run["error"]) == (1, "completed", None)


async def test_a_job_in_backoff_is_queued_with_its_time_and_its_error(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.settle(job_id, FLAKY)
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["status"], job["attempt"]) == ("queued", 2)
    assert job["runAt"].startswith("2030-01-01T00:00:")
    assert job["error"] == {"class": "transient", "type": "flaky", "message": "try again"}
    assert job["attempts"][0]["error"] == job["error"]


async def test_a_partial_job_names_what_is_missing(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.settle(job_id, Partial({"routes": []}, [{"raw": "Shilin", "reason": "not_found"}]))
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert (job["status"], job["missing"]) == ("partial", [{"raw": "Shilin", "reason": "not_found"}])


@pytest.mark.parametrize(("fraction", "shown"), [(0.5, 50), (1 / 3, 33.3), (0.999, 99.9), (1.0, 100), (0.0, 0)])
async def test_progress_counts_to_a_hundred_and_is_whole_where_it_can_be(
    harness: Any, fraction: float, shown: float
) -> None:
    job_id = await harness.submit()
    lease = await harness.start(job_id)
    now = harness.clock.now()
    await harness.store.change(job_id, lambda job: state.progress(job, fraction, "so far", "encode", now), lease=lease)
    response = await harness.raw("GET", f"/api/jobs/{job_id}")
    text = await response.text()
    assert f'"progress":{shown},"phase":"encode","message":"so far"' in text


async def test_secrets_are_struck_out_and_names_of_headers_stay(harness: Any) -> None:
    payload = {"inputPath": "/a", "headers": {"Authorization": "Bearer x", "Referer": "y"}, "cookies": "sid=1"}
    job = await harness.call("GET", f"/api/jobs/{await harness.submit('clip', payload)}")
    assert job["payload"] == {
        "inputPath": "/a",
        "headers": {"Authorization": "***", "Referer": "***"},
        "cookies": "***",
    }
    response = await harness.raw("GET", "/api/jobs")
    assert "Bearer" not in await response.text()


async def test_a_retry_that_would_miss_a_secret_names_the_fields_to_be_sent_again(harness: Any) -> None:
    payload = {"inputPath": "/a", "headers": {"Authorization": "Bearer x"}, "cookies": None}
    job_id = await harness.submit("clip", payload)
    await harness.call("DELETE", f"/api/jobs/{job_id}")
    assert "Bearer" not in str(await harness.store.get(job_id))
    assert list(await harness.refused("POST", f"/api/jobs/{job_id}/retry")) == ["payload.headers"]


async def test_of_a_payload_whose_type_is_gone_only_the_names_are_shown(harness: Any) -> None:
    await submit(harness.store, NOWHERE, type="gone", payload={"password": "x", "none": None})
    job = await harness.call("GET", f"/api/jobs/{NOWHERE}")
    assert job["payload"] == {"password": "***", "none": None}


@pytest.mark.parametrize("move", [("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("GET", "/deliveries")])
@pytest.mark.parametrize("job_id", [NOWHERE, "1", "%00", "job_x'--"])
async def test_an_unknown_job_is_not_found(harness: Any, move: tuple[str, str], job_id: str) -> None:
    await harness.call(move[0], f"/api/jobs/{job_id}{move[1]}", status=404)


async def test_jobs_are_listed_newest_first_in_pages_that_do_not_shift(harness: Any) -> None:
    ids = [await harness.submit() for _ in range(5)]
    first = await harness.call("GET", "/api/jobs?limit=2")
    assert [job["jobId"] for job in first["jobs"]] == ids[:2:-1]
    assert (first["total"], first["queued"], first["running"]) == (5, 5, 0)
    await harness.submit()
    second = await harness.call("GET", f"/api/jobs?limit=2&cursor={first['nextCursor']}")
    assert [job["jobId"] for job in second["jobs"]] == ids[2:0:-1]
    last = await harness.call("GET", f"/api/jobs?limit=2&cursor={second['nextCursor']}")
    assert [job["jobId"] for job in last["jobs"]] == ids[:1]
    assert last["nextCursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=queued", 2),
        ("status=completed", 1),
        ("status=queued,completed", 3),
        ("status=queued&status=completed", 3),
        ("type=clip", 1),
        ("type=clip,idle", 3),
        ("type=clip&status=completed", 0),
        ("type=nobody", 0),
        ("status=", 3),
    ],
)
async def test_a_list_can_be_narrowed_and_counts_what_matches(harness: Any, query: str, found: int) -> None:
    await harness.settle(await harness.submit())
    await harness.submit()
    await harness.submit("clip", {"inputPath": "/a"})
    answer = await harness.call("GET", f"/api/jobs?{query}")
    assert (len(answer["jobs"]), answer["total"], answer["queued"]) == (found, found, 2)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=done", "status"),
        ("status=queued,done", "status"),
        ("cursor=x", "cursor"),
        ("cursor=0", "cursor"),
        ("cursor=99999999999999999999", "cursor"),
        ("state=failed", "state"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_by_name(harness: Any, query: str, field: str) -> None:
    problem = await harness.call("GET", f"/api/jobs?{query}", status=422)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_waiting_job_is_cancelled_at_once_and_only_once(harness: Any) -> None:
    job_id = await harness.submit()
    assert await harness.call("DELETE", f"/api/jobs/{job_id}") == {"jobId": job_id, "status": "cancelled"}
    problem = await harness.call("DELETE", f"/api/jobs/{job_id}", status=409)
    assert "cancelled already" in problem["detail"]


async def test_cancelling_a_running_job_answers_when_its_run_is_over(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.start(job_id)
    answer = asyncio.create_task(harness.call("DELETE", f"/api/jobs/{job_id}"))
    await harness.until(lambda: harness.stopped)
    assert not answer.done()
    await harness.settle(job_id, FLAKY)
    assert (await answer)["status"] == "cancelled"


async def test_a_shared_job_is_not_cancelled_by_one_of_its_callers(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.store.change(job_id, lambda job: state.share(job, harness.clock.now()))
    problem = await harness.call("DELETE", f"/api/jobs/{job_id}", status=409)
    assert "share" in problem["detail"]


async def test_an_ended_job_can_be_retried_and_a_waiting_one_can_not(harness: Any) -> None:
    job_id = await harness.submit()
    problem = await harness.call("POST", f"/api/jobs/{job_id}/retry", status=409)
    assert job_id in problem["detail"] and "it is queued" in problem["detail"]
    await harness.settle(job_id, BROKEN)
    assert await harness.call("POST", f"/api/jobs/{job_id}/retry") == {"jobId": job_id, "status": "queued"}


async def test_many_jobs_are_retried_or_cancelled_by_a_filter(harness: Any) -> None:
    failed = await harness.submit()
    await harness.settle(failed, BROKEN)
    waiting = await harness.submit()
    answer = await harness.call("POST", "/api/jobs/retry", {"filter": {"status": ["failed"]}})
    assert answer == {"done": 1, "refused": []}
    answer = await harness.call("POST", "/api/jobs/cancel", {"filter": {"ids": [failed]}})
    assert answer == {"done": 1, "refused": []}
    answer = await harness.call("POST", "/api/jobs/cancel", {"filter": {"type": "idle"}})
    assert answer == {"done": 1, "refused": [{"jobId": failed, "message": "it is cancelled"}]}
    assert (await harness.store.get(waiting)).status == "cancelled"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filter"),
        ({"filter": {}}, "filter"),
        ({"filter": {"status": [], "ids": []}}, "filter"),
        ({"filter": {"status": "done"}}, "filter.status"),
        ({"filter": {"ids": "job_a"}}, "filter.ids"),
        ({"filter": {"id": ["job_a"]}}, "filter.id"),
    ],
)
@pytest.mark.parametrize("move", ["retry", "cancel"])
async def test_a_filter_that_says_nothing_or_nonsense_moves_nothing(
    harness: Any, move: str, body: Any, field: str
) -> None:
    job_id = await harness.submit()
    problem = await harness.call("POST", f"/api/jobs/{move}", body, status=422)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert (await harness.store.get(job_id)).status == "queued"


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreFull("no space left"), 507), (StoreBroken("the disk failed"), 503), (Saturated("full"), 503)],
)
async def test_a_store_that_can_not_write_answers_with_patience(
    harness: Any, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(harness.store, "add", refuse)
    response = await harness.raw("POST", "/api/jobs", {"type": "idle", "payload": {}})
    assert response.status == status
    assert int(response.headers["Retry-After"]) > 0


async def test_a_fault_of_our_own_is_a_500_that_tells_nothing(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(job_id: str) -> Job:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(harness.store, "get", broken)
    with capture_logs() as logs:
        problem = await harness.call("GET", f"/api/jobs/{NOWHERE}", status=500)
    assert "secret" not in str(problem)
    assert [(entry["event"], entry["exc_info"]) for entry in logs] == [("http.failed", True)]


@pytest.mark.parametrize("batch", [False, True])
async def test_a_check_that_would_end_the_process_is_a_500_and_the_log_has_the_cause(harness: Any, batch: bool) -> None:
    job = {"type": "clip", "payload": {"inputPath": "/exits"}}
    path, body = ("/api/jobs/batch", {"jobs": [job]}) if batch else ("/api/jobs", job)
    with capture_logs() as logs:
        problem = await harness.call("POST", path, body, status=500)
    assert problem["type"] == "urn:secondunit:problem:type-broken"
    assert "clip" in problem["detail"] and "secret" not in str(problem)
    assert [(entry["event"], entry["exc_info"]) for entry in logs] == [("http.failed", True)]
    await harness.submit()


async def test_a_name_that_is_no_unicode_does_not_break_an_answer(harness: Any) -> None:
    job_id = await harness.submit()
    await harness.settle(job_id, Completed({"outputPath": b"/a\xff".decode("utf-8", "surrogateescape")}))
    job = await harness.call("GET", f"/api/jobs/{job_id}")
    assert job["result"]["outputPath"] == "/a?"


async def test_a_duration_is_the_same_wherever_it_is_told(harness: Any) -> None:
    job_id = await harness.submit(callback="https://example.com/done")
    lease = await harness.start(job_id)
    took = timedelta(microseconds=1_234_600)
    now = harness.clock.now() + timedelta(hours=1)

    def settle(job: Job) -> Change:
        return state.settle(job, Completed({}), harness.rng, now, took)

    await harness.store.change(job_id, settle, lease=lease)
    shown = await harness.call("GET", f"/api/jobs/{job_id}")
    [listed] = (await harness.call("GET", "/api/jobs"))["jobs"]
    [delivery] = await harness.store.outbox.of_job(job_id)
    [attempt] = shown["attempts"]
    told = [shown["duration"], listed["duration"], callback_body(delivery.notice)["duration"], attempt["duration"]]
    assert told == [1234] * 4
    assert (shown["totalDuration"], shown["firstStartedAt"]) == (1234, shown["startedAt"])
