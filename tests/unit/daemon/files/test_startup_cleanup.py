"""Clearing away at start: what dead runs left goes, what others may still need stays."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from secondunit.daemon.files.startup_cleanup import forget_pruned_elsewhere, tidy
from secondunit.handlers.tools.storage.roots import STAGING
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import end, submit


async def test_staged_outputs_of_our_dead_leases_go_and_those_of_another_box_stay(tmp_path: Path) -> None:
    store, root = MemoryStore("g1"), tmp_path / "media"
    await submit(store, "job_live")
    await end(store, "job_done", type="webp")
    for lease in ("job_live-1", "job_done-7", "job_elsewhere-1"):
        (root / STAGING / lease / "1").mkdir(parents=True)
        (root / STAGING / lease / "1" / "half.mp4").touch()
    await tidy(store, WorkFolders(tmp_path), [root, tmp_path / "no-root"])
    assert [left.name for left in (root / STAGING).iterdir()] == ["job_elsewhere-1"]


async def test_folders_of_runs_go_what_live_jobs_keep_stays_and_forgotten_jobs_go_entirely(tmp_path: Path) -> None:
    store = MemoryStore("g1")
    await submit(store, "job_live")
    await end(store, "job_done", type="webp")
    for job_id in ("job_live", "job_done", "job_forgotten"):
        for name in ("run-1", "kept"):
            (tmp_path / "work" / job_id / name).mkdir(parents=True)
        (tmp_path / "work" / job_id / "log").touch()
    await tidy(store, WorkFolders(tmp_path), [])
    left = sorted(str(path.relative_to(tmp_path / "work")) for path in (tmp_path / "work").rglob("*"))
    assert left == ["job_done", "job_done/log", "job_live", "job_live/kept", "job_live/log"]


async def test_what_another_box_of_the_queue_has_in_the_making_on_a_shared_root_stays(tmp_path: Path) -> None:
    store, root, clock = MemoryStore("g1"), tmp_path / "media", ManualClock()
    await submit(store, "job_there", type="webp")
    await store.claim({"webp": 1}, 1, "b/1", timedelta(minutes=1), clock.now())
    for lease in ("job_there-1", "job_there-0"):
        (root / STAGING / lease / "1").mkdir(parents=True)
    await tidy(store, WorkFolders(tmp_path), [root])
    assert [left.name for left in (root / STAGING).iterdir()] == ["job_there-1"], "an earlier run of it is over"


async def test_folders_of_jobs_that_another_daemon_has_pruned_go_within_the_hour(tmp_path: Path) -> None:
    store, clock = MemoryStore("g1"), ManualClock()
    await submit(store, "job_live")
    for job_id in ("job_live", "job_pruned"):
        (tmp_path / "work" / job_id / "artifacts").mkdir(parents=True)
    forgetting = asyncio.create_task(forget_pruned_elsewhere(store, WorkFolders(tmp_path), clock))
    await clock.advance(3600)
    while (tmp_path / "work" / "job_pruned").exists():
        await asyncio.sleep(0.01)
    assert (tmp_path / "work" / "job_live" / "artifacts").exists()
    forgetting.cancel()
    with suppress(asyncio.CancelledError):
        await forgetting
