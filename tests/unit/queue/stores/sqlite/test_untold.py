"""Children that one transaction had no room for are told by the next ones, also by those of a later process."""

import asyncio
from pathlib import Path

import pytest

from secondunit.queue import state
from secondunit.queue.model import Batch, Bonds, Filter, Status
from secondunit.queue.outcome import Completed, Outcome
from secondunit.queue.stores.dependencies import TOLD_AT_ONCE
from secondunit.queue.stores.sqlite.connection import connect_writer
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.queue.stores.sqlite.tables import jobs
from secondunit.queue.stores.sqlite.transaction import Transaction, WriterCache
from secondunit.testing.jobs import BROKEN, CALLBACK, NOW, by, claim, held, later, listened, new, settled

CHILDREN = 2 * TOLD_AT_ONCE + 100
DONE = Completed({})


async def family(path: Path) -> SqliteStore:
    """A store with a running parent of many children, each of which has one of its own."""
    store = await open_store(path, synchronous="off")
    children = [new(f"c{n}", batch="batch", bonds=Bonds(["parent"])) for n in range(CHILDREN)]
    grand = [new(f"g{n}", batch="batch", bonds=Bonds([f"c{n}"])) for n in range(100)]
    await store.add([new("parent", batch="batch"), *children, *grand], batch=Batch("batch", NOW, target=CALLBACK))
    assert [job.id for job in await claim(store, 9)] == ["parent"]
    return store


def cut_off(path: Path, outcome: Outcome) -> int:
    """End the parent in one transaction of a process that dies right after it; how many children it told."""
    connection, _ = connect_writer(path, "off")
    transaction = Transaction(connection, WriterCache())
    connection.execute("begin immediate")
    lease = held(jobs.get(transaction, "parent"))
    jobs.change(transaction, "parent", settled(outcome, later(1)), lease)
    transaction.flush()
    connection.execute("commit")
    [told] = connection.execute("select count(*) from jobs where updated_at > created_at").fetchone()
    connection.close()
    return int(told) - 1


async def all_told(store: SqliteStore, status: Status, number: int) -> None:
    """Return once so many have this status."""
    async with asyncio.timeout(60):
        while (await store.find(Filter([status]), None, 1)).total != number:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("outcome", "status"), [(BROKEN, Status.FAILED), (DONE, Status.QUEUED)])
async def test_a_process_that_died_halfway_leaves_nobody_waiting(
    tmp_path: Path, outcome: Outcome, status: Status
) -> None:
    path = tmp_path / "queue.db"
    await (await family(path)).close()
    assert await asyncio.to_thread(cut_off, path, outcome) == TOLD_AT_ONCE
    store = await open_store(path, synchronous="off")
    if status is Status.FAILED:
        await all_told(store, status, CHILDREN + 101)
        assert (await store.graph.batch("batch")).finished_at is not None
        [delivery] = (await store.outbox.due(later(9), 9))[0]
        assert delivery.notice.status is Status.FAILED
    else:
        jobs_claimed = 0
        async with asyncio.timeout(60):
            while jobs_claimed < CHILDREN:
                jobs_claimed += len(await claim(store, 5000, at=later(2)))
        assert await claim(store, 5000, at=later(2)) == [], "grandchildren wait"
    await store.close()


async def test_each_child_is_told_once_and_the_parent_can_move_meanwhile(tmp_path: Path) -> None:
    store = await family(tmp_path / "queue.db")
    heard = listened(store)
    await store.change("parent", settled(BROKEN, later(1)))
    await store.change("parent", by(state.retry, later(2)))
    await all_told(store, Status.QUEUED, CHILDREN + 101)
    assert (await store.get("c0")).waiting_for == (await store.get("g0")).waiting_for == 1
    ends = [event.job_id for event in heard if event.name == "failed"]
    assert len(ends) == len(set(ends)), "nobody failed twice"
    assert (await store.graph.batch("batch")).finished_at is None
    await store.close()
