"""Clearing away at start: what dead runs left goes, what others may still need stays."""

from pathlib import Path

from secondunit.daemon.files.startup_cleanup import tidy
from secondunit.handlers.tools.storage.roots import STAGING
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.queue.stores.memory import MemoryStore
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
