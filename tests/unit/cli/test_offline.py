"""The queue without a daemon: what is told of its jobs, and what is not."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secondunit.cli import offline
from secondunit.cli.client import DaemonRefused
from secondunit.cli.offline import SECRETS
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.config.sources import installed
from secondunit.daemon.process.clock import SystemClock
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.model import Bonds
from secondunit.queue.outcome import Failed, JobError
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import end, new, start

NOTHING: Any = None
TOOLS = Tools(ManualClock(), NOTHING, NOTHING, MediaMissing("no"), "python")
PAYLOADS: dict[str, dict[str, Any]] = {
    "hls": {"inputPath": "/media/a.mp4", "outputDir": "/media/a"},
    "download": {"url": "https://example.com/a", "outputPath": "/media/a", "headers": {"X-Key": "hush"}},
    "plugged": {"token": "hush"},
}


async def kept(database: Path) -> None:
    store = await open_store(database)
    await store.add([new(type, type=type, payload=payload) for type, payload in PAYLOADS.items()])
    await store.close()


def called(data: Path, *args: str) -> tuple[Any, str]:
    """What the command printed, and what it said beside that."""
    environ = {"DATA_DIR": str(data), "SECONDUNIT_CONFIG": "/dev/null", "PATH": os.environ["PATH"]}
    argv = [sys.executable, "-m", "secondunit", *args, "--json"]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_payloads_are_shown_as_the_daemon_shows_them_but_for_types_that_it_alone_knows(tmp_path: Path) -> None:
    asyncio.run(kept(tmp_path / "queue.db"))
    shown = {job["type"]: job["payload"] for job in called(tmp_path, "jobs", "list")[0]["jobs"]}
    assert shown["hls"] == PAYLOADS["hls"]
    assert shown["download"] == PAYLOADS["download"] | {"headers": {"X-Key": "***"}}
    job, said = called(tmp_path, "jobs", "show", "plugged")
    assert job["payload"] == shown["plugged"] == {"token": "***"}
    assert "no daemon runs: this is how the database has it" in said
    assert "which fields of plugged are secret is known while a daemon runs" in said


async def killed(database: Path) -> None:
    """What a killed daemon left: a download that failed with its child, an hls that ran, a plugin's job that failed."""
    store, now = await open_store(database), SystemClock().now()
    for job_id, type, why in (("a", "download", "no such file 7"), ("d", "plugged", "no such file 8")):
        await end(store, job_id, Failed(JobError("deterministic", "gone", why)), type=type, at=now)
    await store.add([new("b", type="hls", bonds=Bonds(["a"]), at=now), new("e", type="webp", at=now)])
    await start(store, "c", type="hls", at=now)
    await store.close()


async def test_jobs_are_moved_as_the_daemon_would_move_them(tmp_path: Path) -> None:
    await killed(tmp_path / "queue.db")
    here = Settings.model_validate({"data_dir": tmp_path})
    assert await offline.cancel(here, "c") == {"jobId": "c", "status": "cancelled"}, "it ran, and nothing runs any more"
    moved = await offline.move_all(here, "retry", ["failed"], [], None)
    assert moved["done"] == 2, "the child came back with its parent"
    [refused] = moved["refused"]
    assert refused["jobId"] == "d" and "is known while a daemon runs; retry it then" in refused["message"]
    moved = await offline.move_all(here, "cancel", [], [], "type:download,hls status:queued")
    assert moved == {"done": 2, "refused": []}
    assert await offline.retry(here, "a") == {"jobId": "a", "status": "queued"}
    found = await offline.find(here.database, [], [], None, None, 10)
    statuses = {job["jobId"]: job["status"] for job in found["jobs"]}
    assert statuses == {"a": "queued", "b": "cancelled", "c": "cancelled", "d": "failed", "e": "queued"}
    entries = [(one["action"], one["target"]) for one in (await offline.audit(here.database, None, 9, None))["entries"]]
    assert entries == [("retry", "a"), ("bulk cancel", None), ("bulk retry", None), ("cancel", "c")]


async def test_a_type_is_paused_before_the_daemon_starts_and_its_failures_are_told(tmp_path: Path) -> None:
    await killed(tmp_path / "queue.db")
    here = Settings.model_validate({"data_dir": tmp_path})

    async def paused() -> set[str]:
        found = await offline.find(here.database, [], [], None, None, 10)
        return {job["type"] for job in found["jobs"] if job["paused"]}

    await offline.pause(here, "webp", True)
    assert await paused() == {"webp"}
    await offline.pause(here, "webp", False)
    assert await paused() == set()
    with pytest.raises(DaemonRefused, match="unknown job type 'wepb'; known are analyze"):
        await offline.pause(here, "wepb", True)
    groups = (await offline.errors(here.database, "24h", ["download", "plugged"]))["groups"]
    told = [("gone", "no such file 7"), ("gone", "no such file 8")]
    assert sorted((group["errorType"], group["message"]) for group in groups) == told
    assert (await offline.stats(here.database, "1h", []))["stepSeconds"] == 60


def test_a_command_says_that_it_works_on_the_database(tmp_path: Path) -> None:
    asyncio.run(killed(tmp_path / "queue.db"))
    moved, said = called(tmp_path, "jobs", "cancel", "e")
    assert moved == {"jobId": "e", "status": "cancelled"}
    assert "no daemon runs: this is done in the database" in said


def test_a_list_is_as_long_as_was_asked_for_though_pages_of_large_jobs_end_early(tmp_path: Path) -> None:
    async def large() -> None:
        store = await open_store(tmp_path / "queue.db")
        await store.add([new(id, payload={"x": "y" * (PAGE_BYTES // 2)}) for id in "abcd"])
        await store.close()

    asyncio.run(large())
    for limit, ids, cursor in ((3, "dcb", "2"), (9, "dcba", None)):
        found, _ = called(tmp_path, "jobs", "list", "--limit", str(limit))
        assert [job["jobId"] for job in found["jobs"]] == [*ids] and found["nextCursor"] == cursor


def test_the_secrets_of_our_own_types_are_those_that_they_name() -> None:
    ours = [source for source in installed() if source.name.startswith("secondunit.handlers.")]
    specs = [source.load()(TOOLS) for source in ours]
    assert {spec.type: tuple(spec.secrets) for spec in specs} == SECRETS
