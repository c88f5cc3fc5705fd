"""The writer commits many writes together; one that fails halfway takes nothing else with it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondunit.queue import state
from secondunit.queue.errors import JobNotFound, Saturated
from secondunit.queue.model import Bonds, Change, Job, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.state import QueueLimits
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.queue.stores.sqlite.tables import jobs, pruning
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    ALL,
    NOW,
    by,
    claim,
    claim_one,
    end,
    held,
    later,
    listened,
    new,
    prune_at,
    settled,
    start,
    submit,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "queue.db")
    yield store
    await store.close()


def half(tx: Transaction) -> None:
    """Insert a job, see it, and fail."""
    jobs.add(tx, [new("half")])
    jobs.get(tx, "half")
    raise ValueError("halfway")


async def fails(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="halfway"):
        await store._writer.run(half)


async def test_neighbours_of_a_write_that_failed_halfway_are_stored_once(store: SqliteStore) -> None:
    heard = listened(store)
    before, _, after = await asyncio.gather(submit(store, "before"), fails(store), submit(store, "after"))
    assert [job.seq for job in (*before, *after)] == [1, 2]
    assert [(event.seq, event.job_id) for event in heard] == [(1, "before"), (2, "after")]
    assert list(await store.events(0, ALL, 10)) == heard
    assert [job.id for job in (await store.find(ALL, None, 10)).jobs] == ["after", "before"]
    assert (await store.counts()).queued == {"hls": 2}


async def test_what_failed_halfway_alone_leaves_no_gap(store: SqliteStore) -> None:
    heard = listened(store)
    await fails(store)
    [job] = await submit(store, "next")
    assert (job.seq, [event.seq for event in heard]) == (1, [1])


async def test_what_was_undone_takes_no_room_in_the_queue(store: SqliteStore) -> None:
    two = QueueLimits(of_one=2)
    await store.add([new("a1", owner="A")], two)

    def second(tx: Transaction) -> None:
        jobs.add(tx, [new("a2", owner="A")], two)
        jobs.get(tx, "a2")
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        await store._writer.run(second)
    await store.add([new("a2", owner="A")], two)
    with pytest.raises(Saturated):
        await store.add([new("a3", owner="A")], two)


async def test_a_refusal_before_the_first_write_undoes_nothing(store: SqliteStore) -> None:
    lease = await start(store, "a")

    def refuse(job: Job) -> Change:
        raise ValueError(job.id)

    calls = [store.change("a", refuse, lease=lease), submit(store, "b"), store.change("a", refuse)]
    one, two, three = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(one, ValueError) and isinstance(three, ValueError)
    assert not isinstance(two, BaseException)
    assert store._writer._known.running == {"a": await store.get("a")}


async def test_a_job_that_may_not_be_is_told_to_its_own_caller(store: SqliteStore) -> None:
    bad = new("bad")
    bad = replace(bad, job=replace(bad.job, priority=9))
    cancel = store.change("nobody", by(state.cancel, NOW))
    calls = store.add([bad]), cancel, submit(store, "good")
    one, two, three = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(one, sqlite3.IntegrityError) and isinstance(two, JobNotFound)
    assert not isinstance(three, BaseException)
    assert [job.id for job in (await store.find(ALL, None, 10)).jobs] == ["good"]


async def test_a_write_sees_the_jobs_that_were_submitted_with_it(store: SqliteStore) -> None:
    cancel = store.change("a", by(state.cancel, NOW))
    _, cancelled, _, claimed = await asyncio.gather(submit(store, "a"), cancel, submit(store, "b"), claim(store))
    assert cancelled.status is Status.CANCELLED and [job.id for job in claimed] == ["b"]


async def test_who_starts_in_the_transaction_that_stores_it_is_stored_running(store: SqliteStore) -> None:
    await claim(store)  # now it is known that nothing waits
    heard = listened(store)
    _, claimed = await asyncio.gather(submit(store, "a", "b", "c"), claim(store, 2))
    assert list(claimed) == [await store.get("a"), await store.get("b")]
    assert [job.status for job in claimed] == [Status.RUNNING] * 2
    assert (await store.get("c")).status is Status.QUEUED
    names = ["queued", "queued", "queued", "started", "started"]
    assert [event.name for event in heard] == names and list(await store.events(0, ALL, 10)) == heard
    assert ((await store.counts()).queued, (await store.counts()).running) == ({"hls": 1}, {"hls": 2})
    ended = await store.change("a", settled(Completed(1)), lease=held(claimed[0]))
    assert ended.status is Status.COMPLETED and await store.get("a") == ended


async def test_who_starts_in_the_transaction_that_stores_it_does_not_overtake(store: SqliteStore) -> None:
    await submit(store, "first")
    _, claimed = await asyncio.gather(submit(store, "second"), claim(store, 1))
    assert [job.id for job in claimed] == ["first"]
    _, _, claimed = await asyncio.gather(
        submit(store, "low", priority=4), submit(store, "high", priority=0), claim(store)
    )
    assert [job.id for job in claimed] == ["high", "second", "low"]
    _, _, claimed = await asyncio.gather(submit(store, "low-2", priority=4), submit(store, "high-2"), claim(store))
    assert [job.id for job in claimed] == ["high-2", "low-2"]


async def test_who_waits_for_a_time_does_not_start_in_the_transaction_that_stores_it(store: SqliteStore) -> None:
    await claim(store)  # now it is known that nothing is delayed
    _, claimed = await asyncio.gather(submit(store, "a", run_at=later(60)), claim(store))
    assert claimed == []
    assert [job.id for job in await claim(store, at=later(60))] == ["a"]


async def test_who_waits_for_another_does_not_start_in_the_transaction_that_stores_both(store: SqliteStore) -> None:
    await claim(store)
    both = store.add([new("b", bonds=Bonds(["a"])), new("a")])
    _, claimed = await asyncio.gather(both, claim(store))
    assert [job.id for job in claimed] == ["a"]


async def test_an_events_number_is_not_used_again_though_all_was_forgotten(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db")
    await end(store, "a")
    last = (await store.event_bounds())[1]
    assert await store.prune(prune_at(later(1))) == ["a"]
    await store.close()
    store = await open_store(tmp_path / "queue.db")
    assert await store.event_bounds() == (last + 1, last)
    await submit(store, "b")
    [event] = await store.events(0, ALL, 10)
    assert event.seq == last + 1
    await store.close()


async def test_a_job_that_ends_and_is_forgotten_in_one_transaction_takes_its_events_along(store: SqliteStore) -> None:
    await submit(store, "a", at=NOW)
    lease = await claim_one(store, "a")

    def both(tx: Transaction) -> list[str]:
        jobs.change(tx, "a", lambda job: state.cancel(job, NOW), lease)
        jobs.change(tx, "a", lambda job: state.expire(job, NOW), lease)
        return pruning.prune(tx, prune_at(later(1)))

    assert await store._writer.run(both) == ["a"]
    assert list(await store.events(0, ALL, 10)) == []
    assert (await store.counts()).ended == {}


async def test_a_row_that_may_not_be_is_refused_alone(store: SqliteStore) -> None:
    def wrong(tx: Transaction) -> int:
        return tx.execute("insert into counts values ('hls', 'queued', -1)").rowcount

    one, two = await asyncio.gather(store._writer.run(wrong), submit(store, "a"), return_exceptions=True)
    assert isinstance(one, sqlite3.IntegrityError) and not isinstance(two, BaseException)
    assert (await store.get("a")).seq == 1


async def test_the_writes_that_wait_are_counted_also_those_that_fail_or_that_nobody_waits_for(
    store: SqliteStore,
) -> None:
    waits = [asyncio.create_task(submit(store, "a")), asyncio.create_task(fails(store))]
    left = asyncio.create_task(submit(store, "b"))
    await asyncio.sleep(0)
    assert store.engine.waiting == 3
    left.cancel()
    await asyncio.gather(*waits)
    await store.engine.ping()
    assert store.engine.waiting == 0
