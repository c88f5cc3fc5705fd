"""The queue's database by its settings: alone, where it is missing, and put back from a copy."""

from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from secondunit.daemon.config.settings import Database, database_of
from secondunit.daemon.process.lock import Locked
from secondunit.daemon.wiring import database
from secondunit.queue.errors import StoreBroken
from secondunit.testing.jobs import ALL, NOW, submit


@pytest.fixture
def queue(tmp_path: Path) -> Database:
    return Database(tmp_path / "data" / "queue.db")


@asynccontextmanager
async def alone(queue: Database) -> AsyncIterator[None]:
    """Under its lock."""
    lock = database.locked(queue)
    await to_thread(lock.__enter__)
    try:
        yield
    finally:
        await to_thread(lock.__exit__, None, None, None)


def test_only_one_has_it_and_its_folder_is_its_owners_alone(queue: Database) -> None:
    with database.locked(queue):
        assert queue.path.parent.stat().st_mode & 0o777 == 0o700
        with pytest.raises(Locked), database.locked(queue):
            pass
    with database.locked(queue):
        pass


async def test_a_missing_one_is_named_and_a_lost_one_told_of(queue: Database) -> None:
    assert await database.missing(queue) == str(queue.path)
    async with alone(queue), database.store_of(queue):
        assert await database.missing(queue) is None and await to_thread(database.lost, queue) is None
    await to_thread(queue.path.unlink)
    assert str(queue.path) in (await to_thread(database.lost, queue) or "")


async def test_what_fails_beside_a_database_that_is_gone_is_told_by_that_and_by_nothing_that_never_was(
    queue: Database,
) -> None:
    async with alone(queue):
        with pytest.raises(RuntimeError, match="of its own"):
            async with database.store_of(queue):
                raise RuntimeError("of its own")
        with pytest.raises(StoreBroken, match="was removed or renamed") as caught:
            async with database.store_of(queue):
                await _removed_and_stumbled(queue)
    assert str(caught.value.__cause__) == "stumbled"


async def _removed_and_stumbled(queue: Database) -> None:
    await to_thread(queue.path.unlink)
    raise RuntimeError("stumbled")


async def test_a_copy_takes_its_place_and_what_stood_there_is_kept(queue: Database, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with alone(queue):
        async with database.store_of(queue) as store:
            await submit(store, "a")
            await store.engine.snapshot(copy, {})
            await submit(store, "b")
        assert (await to_thread(database.check, copy)).jobs == 1
        aside = await to_thread(database.restore, copy, queue, NOW)
        assert aside == tmp_path / "data" / "queue.db.before-restore-20300101T000000Z" and await to_thread(aside.exists)
        async with database.store_of(queue) as store:
            assert [job.id for job in (await store.find(ALL, None, 10)).jobs] == ["a"]


async def test_where_nothing_stood_nothing_is_kept(queue: Database, tmp_path: Path) -> None:
    copy, elsewhere = tmp_path / "copy.db", Database(tmp_path / "elsewhere" / "queue.db")
    async with alone(queue), database.store_of(queue) as store:
        await store.engine.snapshot(copy, {})
    async with alone(elsewhere):
        assert await to_thread(database.restore, copy, elsewhere, NOW) is None
        assert await database.missing(elsewhere) is None


@pytest.mark.parametrize("url", ["sqlite:///var/q.db", "sqlite:////srv/q/queue.db"])
def test_a_database_says_the_url_that_means_it(url: str) -> None:
    assert database_of(url).url == url and database_of(database_of(url).url) == database_of(url)


def test_what_is_told_of_a_server_that_is_away_names_the_setting_and_what_to_look_at(queue: Database) -> None:
    server = database_of("postgresql://h/db")
    told = database.failure(StoreBroken("PostgreSQL: refused", "see that the server runs"), server)
    assert told == "QUEUE_URL: PostgreSQL: refused; see that the server runs"
    assert database.failure(StoreBroken("it is torn"), queue) == "it is torn"
