"""Schedules over HTTP: how they stand, a run by hand, pause and resume."""

from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from secondunit.daemon.automation.schedule_rules import Schedule
from secondunit.daemon.cron import Cron
from secondunit.daemon.formats import instant
from secondunit.queue.model import Submission
from secondunit.queue.outcome import Failed, JobError

TAIPEI = ZoneInfo("Asia/Taipei")
ODD = '每晚 "%2F" ?#&;+.'
FIELDS = "name cron timezone nextAt lastAt lastJobId lastStatus paused why failuresInRow".split()


def schedule(name: str, type: str = "idle", **fields: Any) -> Schedule:
    return Schedule(name, Cron("30 3 * * *", TAIPEI), Submission(type, {}), **fields)


@pytest.fixture
async def harness(build: Any) -> Any:
    made = await build(schedules=[schedule("nightly"), schedule(ODD), schedule("paid", "paid")])
    await made.scheduler.start()
    return made


async def test_schedules_are_listed_as_they_stand(harness: Any) -> None:
    found = (await harness.call("GET", "/api/schedules"))["schedules"]
    assert [one["name"] for one in found] == ["nightly", ODD, "paid"]
    assert list(found[0]) == FIELDS
    assert found[0] == {
        "name": "nightly", "cron": "30 3 * * *", "timezone": "Asia/Taipei", "nextAt": "2030-01-01T19:30:00.000Z",
        "lastAt": None, "lastJobId": None, "lastStatus": None, "paused": False, "why": None, "failuresInRow": 0,
    }  # fmt: skip


async def test_a_run_by_hand_is_a_job_of_the_schedule(harness: Any) -> None:
    made = await harness.call("POST", "/api/schedules/nightly/run", status=201)
    job = await harness.call("GET", f"/api/jobs/{made['jobId']}")
    assert (job["type"], job["source"], job["submittedBy"]) == ("idle", "schedule", "schedule nightly")
    await harness.start(made["jobId"])
    [one, *_] = (await harness.call("GET", "/api/schedules"))["schedules"]
    assert (one["lastJobId"], one["lastAt"]) == (made["jobId"], instant(harness.clock.now()))
    assert one["lastStatus"] == "running"
    await harness.settle(made["jobId"], Failed(JobError("deterministic", "broken", "it broke")))
    [one, *_] = (await harness.call("GET", "/api/schedules"))["schedules"]
    assert one["lastStatus"] == "failed"


async def test_a_schedule_is_paused_and_resumed(harness: Any) -> None:
    paused = await harness.call("POST", "/api/schedules/nightly/pause")
    assert (paused["paused"], paused["nextAt"], paused["why"]) == (True, None, "paused by hand")
    assert (await harness.call("GET", "/api/schedules"))["schedules"][0] == paused
    await harness.call("POST", "/api/schedules/nightly/run", status=201)
    resumed = await harness.call("POST", "/api/schedules/nightly/resume")
    assert (resumed["paused"], resumed["nextAt"], resumed["why"]) == (False, "2030-01-01T19:30:00.000Z", None)


async def test_what_is_done_to_a_schedule_is_audited(harness: Any) -> None:
    for verb, status in (("pause", 200), ("run", 201), ("resume", 200)):
        await harness.call("POST", f"/api/schedules/{quote(ODD, safe='')}/{verb}", status=status)
    entries = (await harness.call("GET", "/api/audit"))["entries"]
    assert [(entry["action"], entry["target"]) for entry in entries] == [
        ("schedule resume", ODD),
        ("schedule run", ODD),
        ("schedule pause", ODD),
    ]
    assert entries[1]["detail"].startswith("job_")


async def test_a_schedule_that_is_not_there_and_a_job_that_can_not_be(harness: Any) -> None:
    for verb in ("run", "pause", "resume"):
        problem = await harness.call("POST", f"/api/schedules/nobody/{verb}", status=404)
        assert problem["type"] == "urn:secondunit:problem:schedule-not-found"
    problem = await harness.call("POST", "/api/schedules/paid/run", status=422)
    assert "GEMINI_API_KEY" in problem["detail"]
    assert (await harness.call("GET", "/api/schedules"))["schedules"][2]["lastAt"] is None


async def test_a_daemon_without_schedules_lists_none(build: Any) -> None:
    assert await (await build()).call("GET", "/api/schedules") == {"schedules": []}
