"""Conformance tests of pages, claims and dues of large jobs: each ends before it is too much, and none is lost by that.

What is large are payloads, results, and what steps and parents have stored.
"""

from collections.abc import Sequence

import pytest

from secondunit.queue.follow import each, first
from secondunit.queue.model import Batch, Bonds, Change, Filter, Job, Status, Term
from secondunit.queue.outcome import Completed, Released
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.store import Store
from secondunit.testing.jobs import CALLBACK, NOW, TTL, claim_one, end, later, names, new, settled, submit

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


async def claimed(store: Store) -> list[str]:
    """The ids of those that a claim gets that takes no more than a page holds."""
    return [job.id for job in await store.claim({"hls": 9}, 9, "b", TTL, NOW, most_bytes=PAGE_BYTES)]


async def due(store: Store, limit: int, *, but: str = "") -> tuple[str, bool]:
    """The jobs whose deliveries are due, as one word, and whether more follow."""
    held = [row.id for id in but for row in await store.outbox.of_job(id)]
    rows, more = await store.outbox.due(later(99), limit, except_for=held)
    return "".join(row.notice.job_id for row in rows), more


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

    async def test_a_claim_of_so_many_bytes_leaves_the_others_as_they_were(self, store: Store) -> None:
        await large(store, [1, THIRD, THIRD, THIRD])
        submitted = await store.get("d")
        assert await claimed(store) == ["a", "b", "c"]
        assert await store.get("d") == submitted
        assert await names(store, "d") == ["queued"]
        assert await claimed(store) == ["d"]

    async def test_a_job_with_more_than_so_many_bytes_is_claimed_alone(self, store: Store) -> None:
        await large(store, [1, PAGE_BYTES, 1])
        assert [await claimed(store) for _ in range(4)] == [["a"], ["b"], ["c"], []]

    async def test_a_claim_of_any_size_takes_as_many_as_have_room(self, store: Store) -> None:
        await large(store, [THIRD] * 3)
        jobs = await store.claim({"hls": 9}, 9, "b", TTL, NOW)
        assert [job.id for job in jobs] == ["a", "b", "c"]

    async def test_what_the_steps_of_a_job_have_stored_counts_as_claimed(self, store: Store) -> None:
        await submit(store, *"abc")
        for id, lease in {id: await claim_one(store, id) for id in "abc"}.items():
            for step in ("one", "two"):
                await store.steps.finish(lease, step, "x" * (THIRD // 2), Change, NOW)
            await store.change(id, settled(Released("drain")), lease=lease)
        assert [await claimed(store) for _ in range(2)] == [["a", "b"], ["c"]]

    async def test_what_the_parents_of_a_job_have_made_counts_as_claimed(self, store: Store) -> None:
        for id in "abc":
            await end(store, id, Completed("x" * THIRD))
        await store.add([new("d", bonds=Bonds(["a", "b"])), new("e", bonds=Bonds(["c"])), new("f")])
        assert [await claimed(store) for _ in range(2)] == [["d"], ["e", "f"]]

    async def test_those_that_are_due_are_a_page_and_the_next_one_follows(self, store: Store) -> None:
        for nth, id in enumerate("abcd"):
            await end(store, id, Completed("x" * (1 if id == "a" else THIRD)), at=later(nth), target=CALLBACK)
        assert await due(store, 10) == ("abc", True)
        assert await due(store, 2) == ("ab", True)
        assert await due(store, 3) == ("abc", True)
        assert await due(store, 10, but="abc") == ("d", False)
        assert await due(store, 10, but="abcd") == ("", False)

    async def test_one_that_is_due_is_told_however_large_it_is(self, store: Store) -> None:
        for nth, id in enumerate("ab"):
            await end(store, id, Completed("x" * PAGE_BYTES), at=later(nth), target=CALLBACK)
        assert await due(store, 10) == ("a", True)
