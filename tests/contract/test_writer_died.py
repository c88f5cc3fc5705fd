"""A fault of ours on a writer's thread, which nobody foresaw: every caller is told, and the store has failed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.process.exit_codes import LOOP_DIED, exit_code
from secondunit.queue.errors import StoreBroken
from secondunit.queue.store import Store
from secondunit.queue.stores.group_commit import WriterDied
from secondunit.queue.stores.postgres.store import open_store as open_postgres
from secondunit.queue.stores.sqlite.store import open_store as open_sqlite
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import ALL, submit
from tests.postgres_server import shared_server


def leaves_what_nobody_can_write(tx: Any) -> None:
    """By a mistake of ours that comes to light when the transaction is written, after the work itself went well."""
    dict.update(tx._counted, {("hls", "queued"): "many", (5, "queued"): 1})


def nothing(_: Any) -> None:
    """What fails only with its neighbours."""


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    postgres = request.param == "postgres"
    store = await (open_postgres(shared_server().database()) if postgres else open_sqlite(tmp_path / "queue.db"))
    yield store
    await asyncio.wait_for(store.close(), 10)


async def refused(asking: Callable[[], Any]) -> BaseException | None:
    try:
        await asyncio.wait_for(asking(), 10)
    except WriterDied as error:
        return error
    return None


async def test_whoever_waits_for_a_writer_that_died_is_told_and_the_store_has_failed(store: Any) -> None:
    watching = asyncio.create_task(store.engine.watch(ManualClock()))
    await submit(store, "before")
    asked = [lambda: store._writer.run(leaves_what_nobody_can_write), lambda: store._writer.run(nothing)]
    told = await asyncio.gather(*map(refused, asked))
    assert all(told), told
    assert await refused(lambda: submit(store, "later"))
    with pytest.raises(WriterDied, match="TypeError") as failed:
        await asyncio.wait_for(watching, 10)
    assert exit_code(failed.value) == LOOP_DIED
    assert store.engine.waiting == 0


async def test_what_was_acknowledged_before_is_there(store: Store) -> None:
    await submit(store, "before")
    await refused(lambda: store._writer.run(leaves_what_nobody_can_write))  # type: ignore[attr-defined]
    assert (await store.get("before")).id == "before"


async def test_a_value_that_no_driver_takes_is_its_own_writes_fault_and_no_neighbours() -> None:
    async with AsyncExitStack() as stack:
        store = await open_postgres(shared_server().database())
        stack.push_async_callback(store.close)
        faulty = store._writer.run(lambda tx: tx.send("select %s", 1))  # type: ignore[arg-type]
        told, [job] = await asyncio.gather(faulty, submit(store, "beside"), return_exceptions=True)  # type: ignore[misc]
        assert isinstance(told, StoreBroken) and (await store.get("beside")) == job
        assert [event.job_id for event in await store.events(0, ALL, 9)] == ["beside"]
