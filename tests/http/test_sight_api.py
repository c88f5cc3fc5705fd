"""What operators ask: why a job waits, and the job types with their limits."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.outcome import Failed, JobError, Outcome, Postpone
from secondunit.queue.sight.estimates import Sample


async def test_explain_says_why_a_job_is_where_it_is(harness: Any) -> None:
    job_id = await harness.submit()
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert told == {
        "jobId": job_id,
        "status": "queued",
        "reason": "slot",
        "sentence": "a slot is free and it is the next: it starts in a moment",
        "until": None,
        "ahead": 0,
        "blockedBy": [],
        "etaSeconds": None,
        "etaErrorSeconds": None,
        "startsAt": "2030-01-01T00:00:00.000Z",
        "startsAtErrorSeconds": 0.0,
        "estimate": None,
    }
    second = await harness.submit()
    assert (await harness.call("GET", f"/api/jobs/{second}/explain"))["blockedBy"] == [job_id]
    await harness.settle(job_id)
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert (told["reason"], told["status"], told["ahead"]) == ("ended", "completed", None)
    await harness.call("GET", "/api/jobs/job_nowhere/explain", status=404)


async def test_explain_tells_when_a_job_for_later_starts(harness: Any) -> None:
    at = harness.clock.now() + timedelta(hours=3)
    job_id = await harness.submit(runAt=at.isoformat())
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert (told["reason"], told["until"]) == ("scheduled", "2030-01-01T03:00:00.000Z")
    await harness.call("POST", "/api/types/idle/pause")
    assert (await harness.call("GET", f"/api/jobs/{job_id}/explain"))["reason"] == "paused"


async def test_a_job_says_when_it_starts_and_ends_by_what_earlier_runs_took(harness: Any) -> None:
    await harness.store.sight.keep_samples({"idle": [Sample(90.0, 41.0, {}), Sample(110.0, 43.0, {})]})
    await harness.experience.restore()
    running = await harness.submit()
    await harness.start(running)
    first, second = await harness.submit(), await harness.submit()
    estimate = {"seconds": 100.0, "errorSeconds": 20.202, "cpuSeconds": 42.0, "basis": "runs", "runs": 2}
    shown = await harness.call("GET", f"/api/jobs/{running}")
    assert shown["estimate"] == estimate
    assert (shown["etaSeconds"], shown["etaErrorSeconds"], shown["startsAt"]) == (100.0, 20.202, None)
    for path in (f"/api/jobs/{second}", f"/api/jobs/{second}/explain"):
        told = await harness.call("GET", path)
        assert (told["startsAt"], told["etaSeconds"]) == ("2030-01-01T00:03:20.000Z", 300.0)
        assert (told["startsAtErrorSeconds"], told["etaErrorSeconds"]) == (28.57, 34.991)
    listed = {job["jobId"]: job for job in (await harness.call("GET", "/api/jobs"))["jobs"]}
    assert [listed[one]["etaSeconds"] for one in (running, first, second)] == [100.0, 200.0, 300.0]
    await harness.settle(running)
    ended = await harness.call("GET", f"/api/jobs/{running}")
    assert [ended[name] for name in ("etaSeconds", "startsAt", "estimate")] == [None] * 3
    await harness.call("POST", "/api/types/idle/pause")
    told = await harness.call("GET", f"/api/jobs/{first}/explain")
    assert (told["reason"], told["startsAt"], told["etaSeconds"], told["estimate"]) == ("paused", None, None, estimate)


async def explained(harness: Any, job_id: str) -> tuple[str, str, str | None]:
    """Reason, sentence and until."""
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    return told["reason"], told["sentence"], told["until"]


async def test_what_a_run_left_says_why_its_job_waits(harness: Any) -> None:
    outcomes: dict[str, Outcome] = {
        "backoff": Failed(JobError("transient", "flaky", "try again"), timedelta(seconds=600)),
        "provider": Postpone(timedelta(seconds=600), "gemini_down: no answer"),
        "budget": Postpone(timedelta(seconds=600), "budget_used_up: 9 of GEMINI_DAILY_TOKENS=9 are used"),
        "disk": Postpone(timedelta(seconds=600), "disk_full: on the disk of film.mp4 3 MiB are free"),
    }
    said = {}
    for reason, outcome in outcomes.items():
        job_id = await harness.submit()
        await harness.settle(job_id, outcome)
        found, said[reason], until = await explained(harness, job_id)
        assert (found, until) == (reason, "2030-01-01T00:10:00.000Z")
    in_time = "it may start at 2030-01-01T00:10:00Z, in 10 min"
    assert said == {
        "backoff": f"attempt 1 of 6 failed (try again); {in_time}",
        "provider": f"gemini_down: no answer; the way is free again, but it waits for its time; {in_time}",
        "budget": "budget_used_up: 9 of GEMINI_DAILY_TOKENS=9 are used; the budget has room again, but it waits for its"
        f" time; {in_time}",
        "disk": f"disk_full: on the disk of film.mp4 3 MiB are free; {in_time}",
    }


async def test_what_the_daemon_is_at_says_why_jobs_wait(harness: Any) -> None:
    running = await harness.submit()
    await harness.start(running)
    assert (await explained(harness, running))[:2] == (
        "running",
        "it runs since 2030-01-01T00:00:00Z, attempt 1 of 6, 0 % done",
    )
    job_id = await harness.submit(priority=3)
    await harness.submit(priority=1)
    busy = {"busy": {"idle": 1}, "total": 1}
    harness.load = busy
    line = "1 idle job is ahead, 1 of them submitted later, with a higher priority than its 3"
    slots = "1 of 1 slots is busy; the one that runs is 0 % done"
    assert (await explained(harness, job_id))[:2] == ("priority", f"{line}; {slots}")
    harness.load = busy | {"draining": True}
    assert (await explained(harness, job_id))[0] == "draining"
    harness.load = busy | {"full": True}
    assert (await explained(harness, job_id))[:2] == (
        "store_full",
        "the disk of the database is full; nothing starts until there is room",
    )
    harness.load = {"limits": {"clip": 1}}
    assert (await explained(harness, job_id))[:2] == (
        "unknown_type",
        "this daemon does not serve the type idle; it serves clip",
    )


async def test_types_are_listed_with_their_limits_and_what_waits(harness: Any) -> None:
    running = await harness.submit()
    await harness.start(running)
    await harness.submit()
    await harness.call("POST", "/api/types/idle/pause")
    types = (await harness.call("GET", "/api/types"))["types"]
    assert [one["type"] for one in types] == ["clip", "idle", "paid"]
    assert types[1] == {
        "type": "idle",
        "concurrency": 1,
        "running": 1,
        "queued": 1,
        "paused": True,
        "timeoutSeconds": 3600.0,
        "stallSeconds": 300.0,
        "retry": {"maxRetries": 5, "backoff": "fixed", "initialDelay": 9000},
        "source": "tests",
        "workers": [],
    }


async def test_a_limit_is_set_and_taken_back(harness: Any) -> None:
    assert (await harness.call("PATCH", "/api/types/idle", {"concurrency": 4}))["concurrency"] == 4
    assert await harness.store.limits() == {"idle": 4}
    assert (await harness.call("PATCH", "/api/types/idle", {"concurrency": None}))["concurrency"] == 1
    assert await harness.store.limits() == {}


async def test_a_limit_that_makes_no_sense_is_refused_by_its_field(harness: Any) -> None:
    for wrong in ({"concurrency": 0}, {"concurrency": "4"}, {"concurrency": 1001}, {}):
        assert set(await harness.refused("PATCH", "/api/types/idle", wrong)) == {"concurrency"}
    assert set(await harness.refused("PATCH", "/api/types/gone", {"concurrency": 1})) == {"type"}


async def test_one_query_finds_jobs_for_lists_and_for_moves(harness: Any) -> None:
    film = await harness.submit("clip", {"inputPath": "/media/film.mp4", "cookies": "hidden"})
    await harness.submit("clip", {"inputPath": "/media/other.mp4"})
    idle = await harness.submit()
    found = await harness.call("GET", "/api/jobs?q=type:clip%20film")
    assert ([job["jobId"] for job in found["jobs"]], found["total"], found["queued"]) == ([film], 1, 3)
    assert (await harness.call("GET", "/api/jobs?q=hidden"))["jobs"] == []
    assert (await harness.call("GET", "/api/jobs?q=film&type=idle"))["total"] == 0
    moved = await harness.call("POST", "/api/jobs/cancel", {"filter": {"q": "path:/media -film"}})
    assert moved["done"] == 1
    await harness.call("POST", "/api/jobs/cancel", {"filter": {"q": "film"}})
    assert (await harness.call("GET", "/api/jobs?q=status:queued"))["jobs"][0]["jobId"] == idle
    again = await harness.call("POST", "/api/jobs/retry", {"filter": {"q": "path:/media"}})
    assert (again["done"], [refused["jobId"] for refused in again["refused"]]) == (1, [film]), "its cookies are gone"


async def test_a_query_that_can_not_be_read_names_its_word_and_its_field(harness: Any) -> None:
    told = "`colour:red`: there is no key colour; known are type, status"
    assert (await harness.refused("GET", "/api/jobs?q=colour:red%20x"))["q"].startswith(told)
    refused = await harness.refused("POST", "/api/jobs/cancel", {"filter": {"q": "colour:red"}})
    assert refused["filter.q"].startswith(told)
    assert set(await harness.refused("POST", "/api/jobs/retry", {"filter": {"q": "  "}})) == {"filter"}
    assert set(await harness.refused("GET", f"/api/jobs?q={'x' * 1001}")) == {"q"}


async def test_a_key_that_may_only_submit_sees_why_its_own_jobs_wait_and_nobody_elses(build: Any) -> None:
    harness = await build(api_key="a" * 20)
    admin = {"X-API-Key": "a" * 20}
    made = await harness.call("POST", "/api/keys", {"name": "one", "scopes": ["submit"]}, status=201, headers=admin)
    own = {"X-API-Key": made["key"]}
    asked = {"type": "idle", "payload": {}}
    theirs = (await harness.call("POST", "/api/jobs", asked, status=201, headers=admin))["jobId"]
    mine = (await harness.call("POST", "/api/jobs", asked, status=201, headers=own))["jobId"]
    told = await harness.call("GET", f"/api/jobs/{mine}/explain", headers=own)
    assert (told["ahead"], told["blockedBy"]) == (1, []), "not even the name of another's job"
    await harness.call("GET", f"/api/jobs/{theirs}/explain", status=404, headers=own)
    assert (await harness.call("GET", f"/api/jobs/{mine}/explain", headers=admin))["blockedBy"] == [theirs]
    found = await harness.call("GET", "/api/jobs?q=by:one", headers=admin)
    assert [job["jobId"] for job in found["jobs"]] == [mine]
    assert (await harness.call("GET", "/api/jobs?q=-nothing", headers=own))["total"] == 1
    await harness.call("PATCH", "/api/types/idle", {"concurrency": 2}, status=403, headers=own)


async def test_what_failed_is_told_in_groups_of_a_window(harness: Any) -> None:
    jobs = [await harness.submit() for _ in range(3)]
    for n, job_id in enumerate(jobs):
        await harness.settle(job_id, Failed(JobError("deterministic", "broken", f"frame {n} is broken")))
    [group] = (await harness.call("GET", "/api/errors"))["groups"]
    assert group.pop("fingerprint") and group.pop("jobIds")[0] == jobs[-1]
    assert group == {
        "type": "idle",
        "class": "deterministic",
        "errorType": "broken",
        "message": "frame 2 is broken",
        "count": 3,
        "firstAt": "2030-01-01T00:00:00.000Z",
        "lastAt": "2030-01-01T00:00:00.000Z",
    }
    await harness.clock.advance(3601)
    assert (await harness.call("GET", "/api/errors?window=1h"))["groups"] == []
    assert set(await harness.refused("GET", "/api/errors?window=2h")) == {"window"}
    for types, found in (("clip", 0), ("idle", 1), ("clip,idle", 1)):
        assert len((await harness.call("GET", f"/api/errors?type={types}"))["groups"]) == found


async def test_stats_have_a_point_for_each_step_with_what_happened_in_it(harness: Any) -> None:
    await harness.submit()
    first = await harness.submit()
    await harness.clock.advance(130)
    await harness.settle(first)
    found = await harness.call("GET", "/api/stats?window=1h")
    assert (found["window"], found["stepSeconds"], len(found["points"])) == ("1h", 60, 60)
    begun, between, last = found["points"][-3:]
    assert (begun["at"], begun["submitted"], begun["queued"], begun["waitP50"]) == (
        "2030-01-01T00:00:00.000Z",
        2,
        2,
        None,
    )
    assert (between["submitted"], between["queued"], between["running"]) == (0, 2, 0)
    assert (last["started"], last["completed"], last["running"], last["queued"]) == (2, 1, 1, 0)
    assert 130 <= last["waitP95"] <= 143 and last["runP50"] == 0.001
    hour = (await harness.call("GET", "/api/stats?window=7d"))["points"]
    assert len(hour) == 168 and hour[-1]["completed"] == 1 and hour[0]["queued"] is None
    other = await harness.call("GET", "/api/stats?type=clip")
    assert not any(point["submitted"] for point in other["points"]) and other["stepSeconds"] == 900
    assert set(await harness.refused("GET", "/api/stats?window=2h")) == {"window"}


async def test_the_system_tells_versions_with_their_ages_and_what_is_not_known(harness: Any) -> None:
    found = await harness.call("GET", "/api/system")
    memory = found.pop("memory")
    assert 0 < memory["residentBytes"] <= memory["peakBytes"]
    released = "2029-12-30T00:00:00.000Z"
    assert found == {
        "version": "1.2.3",
        "programs": [
            {"name": "yt-dlp", "version": "2029.12.30", "path": None, "datedAt": released, "ageDays": 2},
            {"name": "deno", "version": None, "path": None, "datedAt": None, "ageDays": None},
        ],
        "disks": [{"name": "data", "freeBytes": 9, "fault": None}],
        "database": {"sizeBytes": None, "walBytes": None},
        "backup": {"path": "/backups/one.db", "madeAt": "2030-01-01T00:00:00.000Z", "verifiedAt": None},
        "loopLag": {"lastSeconds": None, "largestSeconds": None},
        "sandbox": {"landlock": 5},
        "exposure": 1.9,
    }


@pytest.mark.parametrize("query", ["status=", "type=", "status=,&type=", "status=&limit=5", "status=queued,"])
async def test_an_empty_word_of_a_list_is_none_as_the_document_says(harness: Any, query: str) -> None:
    job_id = await harness.submit()
    answer = await harness.call("GET", f"/api/jobs?{query}")
    assert [job["jobId"] for job in answer["jobs"]] == [job_id]
    await harness.call("GET", "/api/stats?type=")
    parameters = (await harness.call("GET", "/api/openapi.json"))["paths"]["/api/jobs"]["get"]["parameters"]
    words = {one["name"]: one["schema"]["items"] for one in parameters if one["schema"].get("type") == "array"}
    assert "" in words["status"]["enum"] and "minLength" not in words["type"]
