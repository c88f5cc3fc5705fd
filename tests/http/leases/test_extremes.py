"""What workers may send that nobody thought of: names of any script, times at the ends of their range, twins."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from secondunit.queue.model import Status
from tests.http.harness import ApiHarness
from tests.http.leases.scene import one, submit, take

NAMES = ("工人 🛠", "a b@c/d", "remote - x", "%40%20", "x" * 100, "-", "@")


@pytest.mark.parametrize("name", NAMES)
async def test_a_worker_of_whatever_name_is_known_by_it(harness: ApiHarness, name: str) -> None:
    job_id, path = await one(harness, worker=name)
    told = await harness.call("GET", f"/api/jobs/{job_id}/explain")
    assert f"the worker {name} has it" in told["sentence"]
    await harness.call("PUT", path, {"progress": 1})
    types = {of["type"]: of for of in (await harness.call("GET", "/api/types"))["types"]}
    assert [worker["name"] for worker in types["ocr"]["workers"]] == [name]
    await harness.call("POST", f"{path}/complete", {"result": None})


async def test_a_name_that_nobody_can_read_is_refused(harness: ApiHarness) -> None:
    for name in (" ", "\u202eabc", "a\u0000", "a ", None, 7):
        assert list(await harness.refused("POST", "/api/leases", {"types": ["ocr"], "worker": name})) == ["worker"]


@pytest.mark.parametrize("wait", [-1, -0.001, 60.001, 1e300, 10**400, "5", True, None, [1]])
async def test_a_wait_that_is_none_is_refused_by_its_field(harness: ApiHarness, wait: Any) -> None:
    body = {"types": ["ocr"], "worker": "w", "waitSeconds": wait}
    assert list(await harness.refused("POST", "/api/leases", body)) == ["waitSeconds"]


@pytest.mark.parametrize("most", [0, -1, 101, 10**30, 1.5, "1", True])
async def test_no_number_of_jobs_is_refused_by_its_field(harness: ApiHarness, most: Any) -> None:
    assert list(await harness.refused("POST", "/api/leases", {"types": ["ocr"], "worker": "w", "max": most})) == ["max"]


async def test_a_type_that_is_named_twice_is_one(harness: ApiHarness) -> None:
    await submit(harness), await submit(harness)
    assert len(await take(harness, "ocr", "ocr", max=1)) == 1
    for types in ([], ["ocr"] * 101, ["類型"], ["o" * 10_000], [1], [None], "ocr"):
        faults = await harness.refused("POST", "/api/leases", {"types": types, "worker": "w"})
        assert {field.partition(".")[0] for field in faults} == {"types"}


async def test_twins_of_a_name_are_two_workers(harness: ApiHarness) -> None:
    waiting = [asyncio.create_task(take(harness, worker="w", waitSeconds=60)) for _ in range(2)]
    await harness.until(lambda: len(harness.leasing.room) == 2)
    ids = {await submit(harness), await submit(harness)}
    leases = [lease for taken in await asyncio.gather(*waiting) for lease in taken]
    assert {lease["jobId"] for lease in leases} == ids and len({lease["token"] for lease in leases}) == 2
    for lease in leases:
        await harness.call("POST", f"/api/leases/{lease['token']}/complete", {"result": 1})


@pytest.mark.parametrize("seconds", [0, 1e-9, 0.5, 366 * 86400])
async def test_a_failure_may_ask_for_any_wait_up_to_a_year(harness: ApiHarness, seconds: float) -> None:
    job_id, path = await one(harness)
    body = {"error": {"class": "transient", "type": "異常", "message": "\u0000odd"}, "retryAfterSeconds": seconds}
    await harness.call("POST", f"{path}/fail", body)
    job = await harness.store.get(job_id)
    assert job.status is Status.QUEUED and job.run_at is not None
    assert job.run_at >= harness.clock.now() + timedelta(seconds=seconds)


@pytest.mark.parametrize("seconds", [-1, 366 * 86400 + 1, 1e300, "1", True])
async def test_a_wait_of_years_is_refused(harness: ApiHarness, seconds: Any) -> None:
    _, path = await one(harness)
    body = {"error": {"class": "transient", "type": "x", "message": "y"}, "retryAfterSeconds": seconds}
    assert list(await harness.refused("POST", f"{path}/fail", body)) == ["retryAfterSeconds"]


async def test_a_class_that_nobody_knows_is_refused_with_those_that_are(harness: ApiHarness) -> None:
    _, path = await one(harness)
    for kind in ("fatal", "", "TRANSIENT", None, 1):
        body = {"error": {"class": kind, "type": "x", "message": "y"}}
        [told] = (await harness.refused("POST", f"{path}/fail", body)).values()
        assert "transient" in told and "deterministic" in told


@pytest.mark.parametrize("name", ["a/b", "步驟 1", "%", "a?b#c", "." * 3])
async def test_a_step_of_whatever_name_comes_back_under_it(harness: ApiHarness, name: str) -> None:
    _, path = await one(harness)
    stored = await harness.call("PUT", f"{path}/steps/{quote(name, safe='')}", {"result": [name]})
    assert stored["name"] == name
    await harness.call("POST", f"{path}/release", {"reason": ""})
    [lease] = await take(harness)
    assert lease["steps"] == {name: [name]}


async def test_each_write_sent_again_is_answered_the_same(harness: ApiHarness) -> None:
    _, path = await one(harness)
    for method, end, body in (
        ("PUT", "", {"progress": 30, "message": "m", "stats": {"a": 1}}),
        ("PUT", "/steps/a", {"result": 1}),
        ("POST", "/partial", {"result": 1, "missing": ["b"]}),
    ):
        first, again = [await harness.call(method, f"{path}{end}", body) for _ in range(2)]
        assert first == again
