"""Dependencies, references and batches as callers send them and are told of them."""

from itertools import pairwise
from typing import Any

import pytest

from secondunit.queue.outcome import Completed, Failed, JobError
from tests.http.keys import API_KEY

IDLE = {"type": "idle", "payload": {}}
BROKEN = Failed(JobError("deterministic", "broken", "it is broken"))


def clip(input_path: Any, **more: Any) -> dict[str, Any]:
    return {"type": "clip", "payload": {"inputPath": input_path}, **more}


async def batch(harness: Any, *jobs: dict[str, Any], status: int = 201, **fields: Any) -> Any:
    """Send a batch."""
    return await harness.call("POST", "/api/jobs/batch", {"jobs": list(jobs), **fields}, status=status)


async def faults(harness: Any, *jobs: dict[str, Any]) -> dict[str, str]:
    """What is refused of a batch."""
    problem = await batch(harness, *jobs, status=422)
    assert (await harness.store.counts()).queued == {}
    return {error["field"]: error["message"] for error in problem["errors"]}


async def test_a_job_waits_for_another_and_says_so(harness: Any) -> None:
    parent = await harness.submit()
    child = await harness.submit(dependsOn=[parent])
    shown = await harness.call("GET", f"/api/jobs/{child}")
    assert (shown["status"], shown["dependsOn"], shown["batchId"], shown["ref"]) == ("queued", [parent], None, None)
    told = await harness.call("GET", f"/api/jobs/{child}/explain")
    assert (told["reason"], told["blockedBy"]) == ("dependency", [parent])
    assert told["sentence"] == f"it waits for 1 of 1 job: {parent} is queued"
    await harness.settle(parent)
    assert (await harness.call("GET", f"/api/jobs/{child}/explain"))["reason"] == "slot"


async def test_who_waits_for_several_names_those_that_have_not_ended(harness: Any) -> None:
    parents = [await harness.submit() for _ in range(3)]
    child = await harness.submit(dependsOn=parents)
    await harness.settle(parents[0])
    await harness.start(parents[1])
    told = await harness.call("GET", f"/api/jobs/{child}/explain")
    assert told["sentence"] == f"it waits for 2 of 3 jobs: {parents[1]} runs (0 % done), {parents[2]} is queued"
    assert told["blockedBy"] == parents[1:]


async def test_a_parents_failure_ends_the_child_and_names_it(harness: Any) -> None:
    parent = await harness.submit()
    fails, goes = (
        await harness.submit(dependsOn=[parent]),
        await harness.submit(dependsOn=[parent], onParentFailure="cancel"),
    )
    await harness.settle(parent, BROKEN)
    error = (await harness.call("GET", f"/api/jobs/{fails}"))["error"]
    told = f"{parent}, which it depends on, failed"
    assert error == {"class": "deterministic", "type": "parent_failed", "message": told}
    assert (await harness.call("GET", f"/api/jobs/{goes}"))["status"] == "cancelled"
    problem = await harness.call("POST", f"/api/jobs/{fails}/retry", status=409)
    assert "retry that one" in problem["detail"]
    await harness.call("POST", f"/api/jobs/{parent}/retry")
    assert (await harness.call("GET", f"/api/jobs/{fails}"))["status"] == "queued"


async def test_the_jobs_of_a_batch_name_each_other(harness: Any) -> None:
    outside = await harness.submit()
    answer = await batch(
        harness,
        clip({"$from": "first", "path": "outputPath"}, ref="second", dependsOn=[outside]),
        IDLE | {"ref": "first"},
        IDLE,
    )
    second, first, third = answer["jobs"]
    assert [job["ref"] for job in answer["jobs"]] == ["second", "first", None]
    shown = await harness.call("GET", f"/api/jobs/{second['jobId']}")
    assert shown["dependsOn"] == [outside, first["jobId"]], "what is referred to is depended on"
    assert shown["payload"]["inputPath"] == {"$from": "first", "path": "outputPath"}
    assert (shown["batchId"], shown["ref"]) == (answer["batchId"], "second")
    assert (await harness.call("GET", f"/api/jobs/{third['jobId']}"))["dependsOn"] == []


@pytest.mark.parametrize(
    ("jobs", "field", "says"),
    [
        ([IDLE | {"dependsOn": ["x"]}], "jobs.0.dependsOn.0", "is called x"),
        ([IDLE, clip({"$from": "x"})], "jobs.1.payload.inputPath", "is called x"),
        ([IDLE | {"ref": "a", "dependsOn": ["a"]}], "jobs.0.dependsOn.0", "names the job itself"),
        ([IDLE | {"ref": "a"}, IDLE | {"ref": "a"}], "jobs.1.ref", "another job's"),
        ([IDLE | {"ref": "a b"}], "jobs.0.ref", "should match"),
        ([clip({"$from": "a", "way": "x"})], "jobs.0.payload.inputPath", "a reference is"),
        ([IDLE | {"ref": "a"}, clip({"$from": "a", "path": "x..y"})], "jobs.1.payload.inputPath", "a reference is"),
        (
            [IDLE | {"ref": "a"}, {"type": "clip", "payload": {"inputPath": {"$from": "a"}, "width": "wide"}}],
            "jobs.1.payload.width", "whole number",
        ),
        (
            [IDLE | {"ref": "a"}, {"type": "clip", "payload": {"inputPath": "/a", "more": {"$from": "a"}}}],
            "jobs.1.payload.more", "unknown field",
        ),
    ],
)  # fmt: skip
async def test_a_wrong_name_is_refused_under_its_place(
    harness: Any, jobs: list[dict[str, Any]], field: str, says: str
) -> None:
    told = await faults(harness, *jobs)
    assert says in told[field]


async def test_a_cycle_is_named(harness: Any) -> None:
    ring = [IDLE | {"ref": ref, "dependsOn": [up]} for ref, up in (("a", "c"), ("b", "a"), ("c", "b"))]
    [(field, message)] = (await faults(harness, IDLE, *ring)).items()
    assert field.endswith("dependsOn") and message.startswith("goes round in a cycle: ")
    names = message.partition(": ")[2].split(" -> ")
    assert names[0] == names[-1] and sorted(names[1:]) == ["a", "b", "c"]
    assert {("a", "c"), ("b", "a"), ("c", "b")} == set(pairwise(names)), "each waits for the next"


async def test_a_batch_is_shown_with_a_page_of_its_jobs(harness: Any) -> None:
    answer = await batch(harness, IDLE, IDLE, IDLE, name="films")
    path = f"/api/batches/{answer['batchId']}"
    shown = await harness.call("GET", f"{path}?limit=2")
    ids = [job["jobId"] for job in answer["jobs"]]
    assert [job["jobId"] for job in shown["jobs"]] == ids[:0:-1]
    assert (shown["name"], shown["total"], shown["byStatus"], shown["finishedAt"]) == ("films", 3, {"queued": 3}, None)
    rest = await harness.call("GET", f"{path}?limit=2&cursor={shown['nextCursor']}")
    assert ([job["jobId"] for job in rest["jobs"]], rest["nextCursor"]) == (ids[:1], None)
    for id in ids:
        await harness.settle(id)
    shown = await harness.call("GET", path)
    assert (shown["byStatus"], shown["finishedAt"]) == ({"completed": 3}, "2030-01-01T00:00:00.000Z")
    await harness.call("GET", "/api/batches/batch_nowhere", status=404)


async def test_a_batch_is_cancelled_whole(harness: Any) -> None:
    answer = await batch(
        harness, IDLE | {"ref": "c", "dependsOn": ["b"]}, IDLE | {"ref": "b", "dependsOn": ["a"]}, IDLE | {"ref": "a"}
    )
    done = await harness.call("DELETE", f"/api/batches/{answer['batchId']}")
    assert done == {"done": 3, "refused": []}
    shown = await harness.call("GET", f"/api/batches/{answer['batchId']}")
    assert shown["byStatus"] == {"cancelled": 3}
    assert await harness.call("DELETE", f"/api/batches/{answer['batchId']}") == {"done": 0, "refused": []}


async def test_what_failed_of_a_batch_is_retried_with_what_failed_for_its_sake(harness: Any) -> None:
    answer = await batch(
        harness, IDLE | {"ref": "a"}, IDLE | {"ref": "b", "dependsOn": ["a"]}, IDLE | {"ref": "c", "dependsOn": ["b"]},
        IDLE,
    )  # fmt: skip
    ids = [job["jobId"] for job in answer["jobs"]]
    await harness.settle(ids[0], BROKEN)
    await harness.settle(ids[3])
    path = f"/api/batches/{answer['batchId']}"
    assert (await harness.call("GET", path))["byStatus"] == {"failed": 3, "completed": 1}
    assert await harness.call("POST", f"{path}/retry") == {"done": 3, "refused": []}
    assert (await harness.call("GET", path))["byStatus"] == {"queued": 3, "completed": 1}


async def test_what_can_not_be_retried_alone_says_why(harness: Any) -> None:
    outside = await harness.submit()
    answer = await batch(harness, IDLE | {"dependsOn": [outside]})
    await harness.settle(outside, BROKEN)
    done = await harness.call("POST", f"/api/batches/{answer['batchId']}/retry")
    assert done["done"] == 0 and f"{outside}, which it depends on, failed" in done["refused"][0]["message"]


async def test_the_same_batch_again_is_the_same_batch(harness: Any) -> None:
    key, jobs = {"Idempotency-Key": "once"}, [IDLE | {"ref": "a"}, IDLE | {"dependsOn": ["a"]}]
    first = await harness.call("POST", "/api/jobs/batch", {"jobs": jobs}, status=201, headers=key)
    assert await harness.call("POST", "/api/jobs/batch", {"jobs": jobs}, status=200, headers=key) == first
    other = [IDLE | {"ref": "b"}, IDLE | {"dependsOn": ["b"]}]
    problem = await harness.call("POST", "/api/jobs/batch", {"jobs": other}, status=409, headers=key)
    assert "used for" in problem["detail"], "a name is a part of the request"


async def test_a_callback_of_a_batch_is_written_with_its_last_end(harness: Any) -> None:
    answer = await batch(harness, IDLE, IDLE, callback="http://93.184.216.34/done")
    for job in answer["jobs"]:
        assert (await harness.store.outbox.counts()).get("pending", 0) == 0
        await harness.settle(job["jobId"], Completed({}))
    [delivery] = await harness.store.outbox.of_job(answer["jobs"][1]["jobId"])
    assert (delivery.notice.target.kind, delivery.notice.result["batch"]) == ("batch", answer["batchId"])
    problem = await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE], "callback": "ftp://x"}, status=422)
    assert problem["errors"][0]["field"] == "callback"


async def test_a_tenant_depends_on_its_own_jobs_and_sees_its_own_batches(build: Any) -> None:
    harness = await build(api_key=API_KEY, rate_limit=None)
    one, two = await harness.key("submit", name="a"), await harness.key("submit", name="b")
    job = (await harness.call("POST", "/api/jobs", IDLE, status=201, headers=one))["jobId"]
    body = IDLE | {"dependsOn": [job]}
    problem = await harness.call("POST", "/api/jobs", body, status=422, headers=two)
    unknown = await harness.call("POST", "/api/jobs", IDLE | {"dependsOn": ["x" * len(job)]}, status=422, headers=two)
    assert str(problem).replace(job, "x" * len(job)) == str(unknown), "it looks like one that is not there"
    await harness.call("POST", "/api/jobs", body, status=201, headers=one)
    for name, headers, status in ((job, two, 422), ("x" * len(job), two, 422), (job, one, 201)):
        payload = {"inputPath": {"$from": name, "path": "outputPath"}}
        told = await harness.call(
            "POST", "/api/jobs", {"type": "clip", "payload": payload}, status=status, headers=headers
        )
        if status == 422:
            [fault] = told["errors"]
            assert fault["field"] == "payload.inputPath" and "no job" in fault["message"]
    mine = (await harness.call("POST", "/api/jobs/batch", {"jobs": [IDLE]}, status=201, headers=one))["batchId"]
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/retry")):
        await harness.call(method, f"/api/batches/{mine}{path}", status=404, headers=two)
        await harness.call(method, f"/api/batches/{mine}{path}", headers=one)


async def test_what_is_done_to_a_batch_is_in_the_audit_trail(harness: Any) -> None:
    made = (await batch(harness, IDLE))["batchId"]
    await harness.call("DELETE", f"/api/batches/{made}")
    await harness.call("POST", f"/api/batches/{made}/retry")
    entries = (await harness.call("GET", "/api/audit"))["entries"]
    assert [(entry["action"], entry["target"]) for entry in entries] == [("batch retry", made), ("batch cancel", made)]
