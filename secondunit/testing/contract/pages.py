"""Conformance tests of pages that hold large jobs: each ends before it holds too much, and none is lost by that."""

from collections.abc import Sequence

import pytest

from secondunit.queue.follow import each, first
from secondunit.queue.model import Batch, Filter, Job, Status, Term
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.store import Store
from secondunit.testing.jobs import NOW, new

THIRD = PAGE_BYTES * 3 // 8  # two are a page
FILTERS = {
    "all": Filter(),
    "types": Filter(types=["hls"]),
    "statuses": Filter(statuses=[Status.QUEUED]),
    "ids": Filter(ids=["a", "b", "c", "d"]),
    "owner": Filter(owner="me"),
    "batch": Filter(batch="batch"),
    "search": Filter(terms=[Term("path", ("film",))], searchable={"hls": []}),
    "negated": Filter(terms=[Term("word", ("nowhere",), negated=True)], searchable={"hls": []}),
}


async def large(store: Store, sizes: Sequence[int], fill: str = "x") -> None:
    """Submit jobs of a batch, whose payloads are so long."""
    changes = [
        new(id, payload={"inputPath": "/film", "x": fill * size}, owner="me", batch="batch")
        for id, size in zip("abcdefgh", sizes, strict=False)
    ]
    await store.add(changes, batch=Batch("batch", NOW, owner="me"))


async def walk(store: Store, filter: Filter, limit: int) -> list[str]:
    """The ids on each page, as one word a page; each page tells how many there are."""
    pages: list[Sequence[Job]] = []
    cursor: int | None = None
    while not pages or cursor is not None:
        page = await store.find(filter, cursor, limit)
        assert page.total == 4
        pages.append(page.jobs)
        cursor = page.next_cursor
    return ["".join(job.id for job in jobs) for jobs in pages]


class PageContract:
    """Pages of jobs that are large."""

    @pytest.mark.parametrize("kind", FILTERS)
    async def test_a_page_ends_before_it_holds_too_much(self, store: Store, kind: str) -> None:
        await large(store, [1, THIRD, THIRD, THIRD])
        assert await walk(store, FILTERS[kind], 100) == ["dc", "ba"]
        assert await walk(store, FILTERS[kind], 1) == ["d", "c", "b", "a"]

    @pytest.mark.parametrize("kind", FILTERS)
    async def test_a_job_that_is_larger_than_a_page_is_one(self, store: Store, kind: str) -> None:
        await large(store, [1, 1, PAGE_BYTES, 1])
        assert await walk(store, FILTERS[kind], 100) == ["d", "c", "ba"]

    async def test_sizes_are_bytes_and_not_letters(self, store: Store) -> None:
        await large(store, [PAGE_BYTES // 8] * 4, "字")  # three bytes each
        assert await walk(store, Filter(), 100) == ["dc", "ba"]

    async def test_what_reads_page_by_page_meets_every_job_once(self, store: Store) -> None:
        await large(store, [THIRD] * 4)
        assert [job.id async for job in each(store, Filter())] == [*"dcba"]
        assert [job.id for job in await first(store, Filter(), 3)] == [*"dcb"]
