"""Conformance tests of the database beneath a store: it answers, is watched, and copied whole or not at all."""

import asyncio
import os
from asyncio import to_thread
from contextlib import suppress
from pathlib import Path

from secondunit.queue.errors import StoreBroken
from secondunit.queue.store import Store
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import submit


class EngineContract:
    """The database as its operator sees it."""

    async def test_a_healthy_database_answers_and_is_watched_for_ever(self, store: Store) -> None:
        clock = ManualClock()
        watching = asyncio.create_task(store.engine.watch(clock))
        await store.engine.ping()
        await clock.advance(3600)
        await store.engine.ping()
        assert not watching.done()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    async def test_no_write_waits_once_all_are_answered(self, store: Store) -> None:
        assert store.engine.waiting == 0
        await asyncio.gather(*(store.engine.ping() for _ in range(10)))
        await submit(store, "a", "b")
        assert store.engine.waiting == 0

    async def test_a_copy_is_whole_or_refused(self, store: Store, tmp_path: Path) -> None:
        await submit(store, "a", "b")
        target = tmp_path / "copy"
        await to_thread(target.write_text, "an older one")
        try:
            snapshot = await store.engine.snapshot(target, {})
        except StoreBroken:
            assert await to_thread(target.read_text) == "an older one"
        else:
            size = (await to_thread(target.stat)).st_size
            assert (snapshot.path, snapshot.size, snapshot.jobs) == (target, size, 2)
        assert [name for name in await to_thread(os.listdir, tmp_path) if "copy" in name] == ["copy"]

    async def test_a_file_far_from_the_database_is_no_part_of_it(self, store: Store, tmp_path: Path) -> None:
        assert not await to_thread(store.engine.owns, tmp_path / "elsewhere" / "copy")
