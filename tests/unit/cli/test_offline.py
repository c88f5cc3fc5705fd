"""The queue without a daemon: what is told of its jobs, and what is not."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from secondunit.cli.offline import SECRETS
from secondunit.daemon.config.sources import installed
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import new

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
