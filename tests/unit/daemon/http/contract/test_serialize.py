"""Jobs, events and deliveries under their names in JSON."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec import convert, to_builtins
from pydantic import BaseModel

from secondunit.cli import output
from secondunit.daemon.files.artifacts import ArtifactFile
from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract import batches, responses, serialize
from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.handler import HandlerSpec, JobContext, Registry
from secondunit.queue.model import Event, Job, Lease, Notice, Run, Status, Target
from secondunit.queue.outcome import JobError
from secondunit.queue.payloads.secret_fields import struck
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import Delivery
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, later


class Anything(BaseModel):
    """A payload."""


async def never(ctx: JobContext, payload: Any) -> None:
    """Tests here run nothing."""


REGISTRY = Registry([HandlerSpec("fetch", Anything, never, secrets=("headers", "cookies", "token"))])
PAYLOAD = {"url": "http://x/", "headers": {"Cookie": "a=b", "X": "c"}, "cookies": "a=b", "token": None}
ERROR = JobError("transient", "flaky", "try again")
FIRST = Run(1, 4, NOW, later(0.5), "failed", ERROR, timedelta(seconds=0.5))
JOB = Job(
    id="job_a",
    type="fetch",
    payload=PAYLOAD,
    priority=0,
    status=Status.RUNNING,
    created_at=NOW,
    updated_at=later(2.5),
    retry=RetryPolicy(3),
    started_at=later(1),
    attempt=2,
    epoch=5,
    lease=Lease("job_a", 5, "boot", later(30)),
    progress=0.25,
    phase="fetch",
    message="12 MB",
    error=ERROR,
    first_started_at=NOW,
    worked=timedelta(seconds=0.5),
    runs=(FIRST,),
)
ENDED = replace(
    JOB,
    status=Status.PARTIAL,
    finished_at=later(3.25),
    result={"n": 1},
    missing=["b"],
    lease=None,
    worked=timedelta(seconds=2.75),
    runs=(FIRST, Run(2, 5, later(1), later(3.25), "partial", None, timedelta(seconds=2.25))),
)


def test_a_running_job_has_no_end_and_no_duration() -> None:
    assert to_builtins(serialize.summary(JOB)) == {
        "jobId": "job_a",
        "type": "fetch",
        "status": "running",
        "priority": 0,
        "progress": 25,
        "phase": "fetch",
        "message": "12 MB",
        "attempt": 2,
        "maxAttempts": 4,
        "error": {"class": "transient", "type": "flaky", "message": "try again"},
        "createdAt": "2030-01-01T00:00:00.000Z",
        "updatedAt": "2030-01-01T00:00:02.500Z",
        "startedAt": "2030-01-01T00:00:01.000Z",
        "finishedAt": None,
        "duration": None,
        "firstStartedAt": "2030-01-01T00:00:00.000Z",
        "totalDuration": 500,
        "runAt": None,
        "source": "api",
        "sourceId": None,
        "submittedBy": None,
        "box": None,
    }


def test_an_ended_job_lasted_from_its_last_start_and_one_that_never_ran_no_time_at_all() -> None:
    told = to_builtins(serialize.summary(ENDED))
    assert (told["duration"], told["totalDuration"]) == (2250, 2750)
    cancelled = replace(ENDED, status=Status.CANCELLED, started_at=None)
    assert to_builtins(serialize.summary(cancelled))["duration"] is None


def test_all_of_a_job_fits_what_the_document_says_of_it() -> None:
    told = to_builtins(serialize.detail(ENDED, REGISTRY))
    assert (told["result"], told["missing"], told["stats"], told["dependsOn"]) == ({"n": 1}, ["b"], None, [])
    attempt, _ = told["attempts"]
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]["type"]) == (1, "failed", "flaky")
    convert(told | {"jobId": "job_" + "a" * 26}, responses.Job)


def test_of_secrets_the_names_are_shown_and_of_nothing_nothing() -> None:
    assert to_builtins(serialize.detail(JOB, REGISTRY))["payload"] == {
        "url": "http://x/",
        "headers": {"Cookie": "***", "X": "***"},
        "cookies": "***",
        "token": None,
    }
    assert JOB.payload == PAYLOAD, "what is stored stays as it is"


@pytest.mark.parametrize("value", ["", 0, False, [], ["a"], {}, 3.5])
def test_no_secret_of_any_kind_is_shown(value: Any) -> None:
    shown = struck({"a": value, "b": value}, {"a"})
    assert shown == {"a": {} if value == {} else "***", "b": value}


def test_of_a_type_that_is_not_served_any_more_nothing_of_the_payload_is_shown() -> None:
    shown = to_builtins(serialize.detail(JOB, Registry([])))["payload"]
    assert shown == {"url": "***", "headers": {"Cookie": "***", "X": "***"}, "cookies": "***", "token": None}


def test_jobs_that_came_together_are_told_in_their_order() -> None:
    jobs = [replace(JOB, id=f"job_{n}", created_at=later(n // 2)) for n in range(4)]
    told = batches.accepted(jobs, ()).jobs
    assert [(one.job_id, one.status) for one in told] == [(job.id, "running") for job in jobs]
    assert [one.created_at[17:19] for one in told] == ["00", "00", "01", "01"]


def event(**fields: Any) -> Event:
    return Event("job_a", "fetch", fields.pop("name", "progress"), NOW, Status.RUNNING, **fields)


def test_an_event_says_why_and_when_again_only_where_there_is_something_to_say() -> None:
    plain = to_builtins(serialize.message(event(progress=0.333, phase="fetch", message="m")))
    assert plain == {
        "type": "job:progress",
        "jobId": "job_a",
        "jobType": "fetch",
        "status": "running",
        "progress": 33.3,
        "phase": "fetch",
        "message": "m",
        "attempt": 1,
        "timestamp": "2030-01-01T00:00:00.000Z",
    }
    retrying = to_builtins(serialize.message(event(name="retrying", error=ERROR, run_at=later(60))))
    assert retrying.keys() - plain.keys() == {"error", "runAt"}
    assert (retrying["type"], retrying["runAt"]) == ("job:retrying", "2030-01-01T00:01:00.000Z")


def test_a_move_over_many_counts_the_moved_and_names_the_others() -> None:
    assert to_builtins(serialize.bulk(Bulk(["a", "b"], [("c", "it is completed")]))) == {
        "done": 2,
        "refused": [{"jobId": "c", "message": "it is completed"}],
    }


def test_a_job_of_the_backend_s_names_it_there_wherever_the_job_is_shown() -> None:
    job = replace(JOB, source="backend", labels={"analysis_id": "a-1", "video_url": "https://x/"})
    shown: list[Any] = [
        serialize.detail(job, REGISTRY),
        *serialize.reset([job]).jobs,
        *serialize.stuck([job], NOW).jobs,
    ]
    assert [(one.source, one.source_id) for one in shown] == [("backend", "a-1")] * 3
    assert (
        output.source(to_builtins(shown[0])) == "backend a-1"
        and output.source(to_builtins(serialize.summary(JOB))) == "api"
    )


def test_a_delivery_tells_its_receiver_and_its_last_trouble() -> None:
    notice = Notice(
        Target("callback", "http://x/"), "job_a", "fetch", Status.FAILED, 5, NOW, None, ERROR, None, "api", {}
    )
    row = Delivery("job_a-1", notice, "pending", 2, NOW, later(10), None, 503, "busy")
    told = to_builtins(serialize.delivery(row))
    assert (told["kind"], told["url"], told["status"], told["attempts"]) == ("callback", "http://x/", "pending", 2)
    assert (told["nextAt"], told["finishedAt"]) == ("2030-01-01T00:00:10.000Z", None)
    assert (told["lastStatus"], told["lastError"]) == (503, "busy")


def test_a_stuck_job_has_not_moved_for_whole_seconds_and_never_for_less_than_none() -> None:
    told = to_builtins(serialize.stuck([JOB, replace(JOB, id="job_b", lease=None)], later(62.4)))["jobs"]
    assert [one["jobId"] for one in told] == ["job_a", "job_b"]
    assert [one["stuckSeconds"] for one in told] == [59, 59]
    assert [one["leaseUntil"] for one in told] == ["2030-01-01T00:00:30.000Z", None]
    [told] = to_builtins(serialize.stuck([JOB], NOW))["jobs"]
    assert told["stuckSeconds"] == 0, "the clock was set back"


@pytest.mark.parametrize(
    ("fields", "elapsed", "remaining"),
    [
        ({"progress": 0.25}, 30, 90),
        ({"progress": 0.0}, 30, None),
        ({"progress": 1.0}, 30, 0),
        ({"started_at": None}, 0, 0),
        ({"started_at": later(1000)}, 0, 0),
    ],
)
def test_what_is_left_of_a_run_is_guessed_from_its_progress(
    fields: Mapping[str, Any], elapsed: int, remaining: int | None
) -> None:
    told = to_builtins(serialize.restart_check([(replace(JOB, **fields), ["ask"])], later(1) + timedelta(seconds=30)))
    [job] = told["running"]
    assert (job["elapsedSeconds"], job["remainingSeconds"], job["paidSteps"]) == (elapsed, remaining, ["ask"])
    assert (told["safe"], told["seconds"]) == (False, remaining)


def test_a_restart_waits_for_the_longest_run_and_for_no_time_that_is_known_where_one_is_not() -> None:
    now, half = later(101), replace(JOB, progress=0.5)
    assert to_builtins(serialize.restart_check([], now)) == {"safe": True, "running": [], "seconds": 0}
    assert to_builtins(serialize.restart_check([(half, []), (JOB, [])], now))["seconds"] == 300
    assert to_builtins(serialize.restart_check([(half, []), (replace(JOB, progress=0.0), [])], now))["seconds"] is None


def test_a_recipe_is_told_with_the_job_that_made_it() -> None:
    result = {"recipe": {"name": "Soup"}, "metadata": {"cached": False, "language": None}}
    told = to_builtins(serialize.recipe("job_a", result))
    assert told == {"jobId": "job_a", **result}


def test_health_shows_its_reasons_and_figures_only_to_whom_all_may_be_told() -> None:
    full = Condition("disk_full", "0 MiB are free", NOW, "free some space", "there is room", "/data")
    report = HealthReport("degraded", ["the disk is full"], {"queueDepth": 3}, [full], ["hls is refused"])
    assert serialize.health(report, whole=False) == {"status": "degraded"}
    assert serialize.health(report, whole=True) == {
        "status": "degraded",
        "reasons": ["the disk is full"],
        "conditions": [
            {
                "reason": "disk_full",
                "subject": "/data",
                "text": "0 MiB are free",
                "since": instant(NOW),
                "remedy": "free some space",
            }
        ],
        "notes": ["hls is refused"],
        "queueDepth": 3,
    }
    nothing = {"status": "ok", "reasons": [], "conditions": [], "notes": []}
    assert serialize.health(HealthReport("ok", [], None), whole=True) == nothing


def test_files_are_listed_with_what_a_browser_may_make_of_them() -> None:
    told = to_builtins(serialize.artifacts([ArtifactFile("master.m3u8", 7), ArtifactFile("a/page.html", 8)]))
    assert told["artifacts"] == [
        {"name": "master.m3u8", "size": 7, "contentType": "application/vnd.apple.mpegurl"},
        {"name": "a/page.html", "size": 8, "contentType": "application/octet-stream"},
    ]
