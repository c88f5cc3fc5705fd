"""The writer keeps running jobs at hand; what it holds is what their rows are."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import LeaseLost
from secondunit.queue.model import Change, Job
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, by, start


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await open_store(tmp_path / "queue.db")
    yield store
    await store.close()


async def test_what_was_rolled_back_is_not_remembered(store: SqliteStore) -> None:
    lease = await start(store, "a")
    nothing: Any = None

    def half(job: Job) -> Change:
        return Change(replace(job, progress=0.5), replace(state.started(job, NOW), progress=nothing))

    with pytest.raises(sqlite3.IntegrityError):
        await store.change("a", half, lease=lease)
    assert (await store.change("a", by(state.cancel, NOW), lease=lease)).progress == 0


async def test_a_row_that_is_not_what_it_was_taken_for_is_not_written(store: SqliteStore) -> None:
    lease = await start(store, "a")
    await store._writer.run(lambda tx: tx.execute("update jobs set epoch = 7").rowcount)
    with pytest.raises(LeaseLost):
        await store.change("a", by(state.cancel, NOW), lease=lease)
    assert not (await store.get("a")).cancel_requested
