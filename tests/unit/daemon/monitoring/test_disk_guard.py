"""Room on the disk: the ballast, who may spend it, and the guard that refuses new work."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from secondunit.daemon.monitoring import disk_guard
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.queue.errors import StoreFull
from secondunit.queue.outcome import Completed
from secondunit.queue.stores.sqlite.ballast import Ballast
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import NOW, TTL, claim, held, settled, submit


@pytest.fixture
def ballast(tmp_path: Path) -> Ballast:
    made = Ballast(tmp_path / "ballast")
    made.size = 1 << 20
    return made


def test_the_ballast_takes_room_once_gives_it_back_once_and_takes_it_again(ballast: Ballast) -> None:
    assert not ballast.held and ballast.fill() and ballast.held
    assert ballast.path.stat().st_blocks * 512 >= ballast.size
    assert ballast.release() and not ballast.held and not ballast.path.exists()
    assert not ballast.release()
    assert ballast.fill()


def test_the_ballast_of_an_earlier_life_is_held(ballast: Ballast) -> None:
    ballast.fill()
    assert Ballast(ballast.path).held


def test_a_ballast_that_somebody_removed_is_taken_anew(ballast: Ballast) -> None:
    ballast.fill()
    ballast.path.unlink()
    assert ballast.fill() and ballast.path.exists()


def test_without_twice_its_room_the_ballast_is_not_taken(ballast: Ballast, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 2 * ballast.size - 1
    monkeypatch.setattr("secondunit.queue.stores.sqlite.ballast.free_bytes", lambda folder: free)
    assert not ballast.fill() and not ballast.path.exists()
    free += 1
    assert ballast.fill() and ballast.path.exists()


async def _look(guard: DiskGuard, clock: ManualClock) -> None:
    async with asyncio.timeout(30):
        while not clock.sleepers:
            await asyncio.sleep(0.001)


async def test_the_guard_refuses_while_the_ballast_is_gone_and_admits_once_it_is_back(ballast: Ballast) -> None:
    clock = ManualClock()
    guard = DiskGuard(ballast, clock)
    running = asyncio.create_task(guard.run())
    await _look(guard, clock)
    guard.admit()
    ballast.size = 1 << 50
    await asyncio.to_thread(ballast.release)
    with pytest.raises(StoreFull):
        guard.admit()
    await clock.advance(disk_guard.LOOK_EVERY)
    await _look(guard, clock)
    assert guard.full and guard.closed
    ballast.size = 1 << 20
    await clock.advance(disk_guard.LOOK_EVERY)
    await _look(guard, clock)
    guard.admit()
    running.cancel()


def test_where_nothing_is_set_aside_the_guard_watches_the_disk_of_the_folder(tmp_path: Path) -> None:
    reserve = disk_guard.NoReserve(tmp_path)
    assert reserve.fill() and reserve.held
    assert abs(reserve.free() - shutil.disk_usage(tmp_path).free) < 1 << 30
    guard = DiskGuard(reserve, ManualClock())
    guard.admit()
    reserve.free = lambda: reserve.size - 1  # type: ignore[method-assign]
    assert guard._look()
    reserve.free = lambda: reserve.size  # type: ignore[method-assign]
    assert not guard._look()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_store(tmp_path / "queue.db")
    yield opened
    await opened.close()


async def _filled_up(store: SqliteStore) -> None:
    """From now on the database may not grow, as on a full disk."""

    def no_more(tx: object) -> None:
        execute = tx.execute  # type: ignore[attr-defined]
        [pages] = execute("pragma page_count").fetchone()
        execute(f"pragma max_page_count = {pages}")

    await store._writer.run(no_more)


async def test_on_a_full_disk_new_work_is_refused_and_does_not_spend_the_ballast(store: SqliteStore) -> None:
    await submit(store, "runs")
    [job] = await claim(store)
    await _filled_up(store)
    with pytest.raises(StoreFull):
        await submit(store, *(f"job-{n}" for n in range(500)))
    assert store.engine.reserve.held
    ended = await store.change("runs", settled(Completed("x" * 10)), lease=held(job))
    assert ended.status.ended


async def test_the_end_of_a_run_spends_the_ballast_before_it_is_refused(store: SqliteStore) -> None:
    await submit(store, "runs")
    [job] = await claim(store)
    await _filled_up(store)
    with pytest.raises(StoreFull):
        await store.change("runs", settled(Completed("x" * 1_000_000)), lease=held(job))
    assert not store.engine.reserve.held
    assert (await store.get("runs")).status == "running"
    assert await store.extend([held(job)], NOW + TTL, NOW)


async def test_new_work_that_is_refused_takes_no_end_of_a_run_with_it(store: SqliteStore) -> None:
    await submit(store, "runs")
    [job] = await claim(store)
    await _filled_up(store)
    refused, ended = await asyncio.gather(
        submit(store, *(f"job-{n}" for n in range(500))),
        store.change("runs", settled(Completed("done")), lease=held(job)),
        return_exceptions=True,
    )
    assert isinstance(refused, StoreFull)
    assert (await store.get("runs")).status == "completed", ended
