"""The SQLite store keeps the contract."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondunit.queue.model import Filter, Status
from secondunit.queue.outcome import Released
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import BOOT, TTL, later, settled, submit
from secondunit.testing.store_contract import StoreContract


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new database, to be copied: making one costs six times an opening, and is what `test_sqlite_file` is about."""

    async def made(path: Path) -> None:
        await (await open_store(path, synchronous="off")).close()

    path = tmp_path_factory.mktemp("empty") / "queue.db"
    asyncio.run(made(path))
    assert not path.with_name("queue.db-wal").exists(), "closed, the file is all of it"
    return path


class TestSqliteStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path, empty: Path) -> AsyncIterator[Store]:
        shutil.copy(empty, tmp_path)
        store = await open_store(tmp_path / "queue.db")
        yield store
        await store.close()

    async def test_a_job_on_the_move_is_missing_from_no_list(self, store: Store) -> None:
        await submit(store, "a")
        live = Filter(statuses=[Status.QUEUED, Status.RUNNING])

        async def moving() -> None:
            for n in range(100):
                [job] = await store.claim({"hls": 1}, 1, BOOT, TTL, later(n))
                await store.change("a", settled(Released("moved"), later(n)), lease=job.lease)

        mover = asyncio.create_task(moving())
        while not mover.done():
            assert [job.id for job in (await store.find(live, None, 10)).jobs] == ["a"]
        await mover
