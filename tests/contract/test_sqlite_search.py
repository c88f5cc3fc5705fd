"""Searches of a large database: cut short when time is up, and going on where they stopped."""

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from secondunit.queue.follow import each
from secondunit.queue.model import Filter
from secondunit.queue.sight.query import searched
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.queue.stores.sqlite.tables.search import FIRST_PIECE, Seconds
from secondunit.testing.jobs import ALL, NOW, new

JOBS = 4 * FIRST_PIECE


@pytest.fixture
async def hurried(tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose clock is a second on at each look, so that a search is over after one piece; two jobs are rare."""
    store = await open_store(tmp_path / "queue.db", synchronous="off", clock=count().__next__)
    rare = {"word": "rare"}
    changes = [new(f"j{n}", payload=rare if n in (0, 5) else {"word": "usual"}) for n in range(JOBS)]
    await store.add(changes)
    yield store
    await store.close()


def wanted(text: str, filter: Filter = ALL) -> Filter:
    return searched(filter, text, NOW, {"hls": ()})


async def test_a_search_that_takes_long_ends_early_and_goes_on_where_it_stopped(hurried: Store) -> None:
    page = await hurried.find(wanted("rare"), None, 9)
    assert (page.jobs, page.total, page.truncated) == ([], 0, True)
    pages, found = 1, list[str]()
    while page.next_cursor is not None:
        page = await hurried.find(wanted("rare"), page.next_cursor, 9)
        pages, found = pages + 1, found + [job.id for job in page.jobs]
    assert found == ["j5", "j0"] and pages > 3
    assert [job.id async for job in each(hurried, wanted("rare"))] == ["j5", "j0"]


async def test_a_page_that_is_full_is_whole_though_not_all_is_counted(hurried: Store) -> None:
    page = await hurried.find(wanted("usual"), None, 3)
    assert [job.id for job in page.jobs] == [f"j{JOBS - n}" for n in (1, 2, 3)]
    assert page.truncated and 3 <= page.total < JOBS - 2
    rest = await hurried.find(wanted("usual"), page.next_cursor, 1)
    assert [job.id for job in rest.jobs] == [f"j{JOBS - 4}"]


async def test_what_an_index_leaves_is_not_looked_for_among_the_others(hurried: Store) -> None:
    await hurried.add([new("own", owner="me", payload={"word": "rare"})])
    await hurried.add([new("other", type="webp")])
    own = await hurried.find(wanted("rare", Filter(owner="me")), None, 9)
    assert ([job.id for job in own.jobs], own.total, own.truncated) == (["own"], 1, False)
    named = await hurried.find(wanted("rare", Filter(ids=["j5", "j6"])), None, 9)
    assert ([job.id for job in named.jobs], named.total, named.truncated) == (["j5"], 1, False)
    other = await hurried.find(wanted("type:webp -rare"), None, 9)
    assert ([job.id for job in other.jobs], other.truncated) == (["other"], False)


async def test_without_a_clock_all_is_looked_at(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db", synchronous="off")
    await store.add([new(f"j{n}") for n in range(JOBS)])
    page = await store.find(wanted("-x"), None, 1)
    second = await store.find(wanted("-x"), page.next_cursor, 1)
    assert (page.total, page.truncated) == (second.total, second.truncated) == (JOBS, False)
    await store.close()


def test_a_piece_is_as_long_as_thirty_milliseconds_allow() -> None:
    now = 0.0
    seconds = Seconds(lambda: now)
    sizes = []
    for took in (0.0, 0.01, 0.06, 0.3, 10.0):
        now += took
        sizes.append(seconds.next_piece(1000))
    assert sizes == [8000, 3000, 500, 100, 5]
