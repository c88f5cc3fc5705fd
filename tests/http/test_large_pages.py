"""Lists of jobs that are large: a page ends early, who follows its cursor meets each once, and others are served."""

import asyncio
from typing import Any

import pytest

from secondunit.queue.model import Batch
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.testing.jobs import NOW, new

IDS = [f"job_{letter * 26}" for letter in "abcdefghij"]
BATCH = f"batch_{'a' * 26}"
MIB = 1 << 20


@pytest.fixture
async def large(harness: Any) -> Any:
    changes = [new(id, type="idle", payload={"x": "y" * MIB}, batch=BATCH) for id in IDS]
    await harness.store.add(changes, batch=Batch(BATCH, NOW))
    return harness


@pytest.mark.parametrize("path", ["/api/jobs?limit=1000", "/api/jobs?limit=100&q=-nowhere", f"/api/batches/{BATCH}?"])
async def test_pages_end_early_and_hold_each_job_once(large: Any, path: str) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while not seen or cursor is not None:
        page = await large.call("GET", path + (f"&cursor={cursor}" if cursor else ""))
        cursor = page["nextCursor"]
        assert 0 < len(page["jobs"]) < PAGE_BYTES // MIB + 1
        assert page["total"] == len(IDS)
        seen += [job["jobId"] for job in page["jobs"]]
    assert seen == IDS[::-1]


async def test_a_job_on_a_page_is_told_as_by_itself(large: Any) -> None:
    page = await large.call("GET", "/api/jobs?limit=2")
    assert page["jobs"] == [await large.call("GET", f"/api/jobs/{id}") for id in IDS[:-3:-1]]


async def test_a_reader_that_missed_events_is_told_of_every_job(large: Any) -> None:
    async with large.listen("/api/events", Last_Event_ID="of another queue-1") as reader:
        reset = await reader.next()
    assert [job["jobId"] for job in reset.data["jobs"]] == IDS[::-1]


async def test_what_depends_on_large_jobs_may_name_all_of_them(large: Any) -> None:
    child = await large.submit("idle", {}, dependsOn=IDS)
    assert (await large.call("GET", f"/api/jobs/{child}"))["dependsOn"] == IDS


async def test_many_who_ask_at_once_are_all_answered(large: Any) -> None:
    pages = await asyncio.gather(*(large.call("GET", "/api/jobs?limit=9") for _ in range(9)))
    assert {page["nextCursor"] for page in pages} == {pages[0]["nextCursor"]}
