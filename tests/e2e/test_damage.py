"""What an operator meets: a damaged, newer, foreign or read-only database, a loop that dies, runs that do not stop."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
STUBBORN = """
import asyncio

from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    pass


def build(tools):
    async def run(ctx, payload):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    return HandlerSpec(type="sleep", payload=Payload, run=run)
"""
DEADLY = """
from pydantic import BaseModel
from secondunit.queue import retention
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.stores.sqlite.store import SqliteStore


class Payload(BaseModel):
    pass


async def age(self, now, step, limit):
    raise ZeroDivisionError("planted")


def build(tools):
    retention.AGE_EVERY = 0.5
    SqliteStore.age = age

    async def run(ctx, payload):
        return None

    return HandlerSpec(type="sleep", payload=Payload, run=run)
"""


def _used_once(start: Any) -> Path:
    """A data folder with a database that a daemon wrote."""
    daemon = start(DRAIN_SECONDS="0").ready()
    for _ in range(20):
        daemon.submit(seconds=3600)
    daemon.signal(signal.SIGTERM)
    daemon.ended()
    data: Path = daemon.data
    return data


def _corrupt(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 8192)


def _newer(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("pragma user_version = 9999")
    connection.close()


def _foreign(database: Path) -> None:
    database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute("create table somebody (else_s text)")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_corrupt, "restore"),
        (_newer, "newer version"),
        (_foreign, "another program"),
        (lambda database: database.write_bytes(b""), "is empty"),
        (lambda database: database.unlink(), "is gone"),
    ],
    ids=["corrupt", "newer", "foreign", "empty", "missing"],
)
@pytest.mark.slow
def test_a_database_that_can_t_be_used_is_refused_with_instructions_and_kept(
    start: Any, damage: Any, told: str
) -> None:
    data = _used_once(start)
    database = data / "queue.db"
    damage(database)
    before = database.read_bytes() if database.exists() else None
    daemon = start()
    assert daemon.ended() == 74
    assert told in daemon.log, daemon.log
    assert (database.read_bytes() if database.exists() else None) == before


@pytest.mark.slow
def test_damage_in_a_large_database_ends_the_daemon_that_serves_and_the_next_start_at_once(start: Any) -> None:
    data = _used_once(start)
    database = data / "queue.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table rest (it)")
        connection.execute("insert into rest values (zeroblob(300000000))")
    connection.close()
    with database.open("r+b") as file:
        file.seek(290_000_000 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    serving = start()
    assert serving.ended() == 74
    assert "daemon.ready" in serving.log and "restore BACKUP" in serving.log, serving.log
    refused = start()
    assert refused.ended() == 74
    assert "daemon.ready" not in refused.log and "restore BACKUP" in refused.log, refused.log


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_read_only_database_is_refused_with_instructions(start: Any) -> None:
    data = _used_once(start)
    mount = ["mount", "--bind", str(data), str(data)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(data)], check=True)
        daemon = start()
        assert daemon.ended() == 74
        assert str(data) in daemon.log
    finally:
        subprocess.run(["umount", str(data)], check=True)
    shutil.rmtree(data)


def test_a_loop_that_dies_takes_the_daemon_with_it(start: Any, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "sleeper.py").write_text(DEADLY)
    daemon = start()
    assert daemon.ended() == 70
    assert "planted" in daemon.log


def test_a_database_removed_under_the_daemon_ends_it(start: Any) -> None:
    daemon = start().ready()
    (daemon.data / "queue.db").rename(daemon.data / "elsewhere.db")
    assert daemon.ended(within=30) == 74
    assert "removed or renamed" in daemon.log


@pytest.mark.long
@pytest.mark.slow
def test_who_follows_events_or_waits_for_a_lease_holds_up_no_death_and_its_reason(start: Any, tmp_path: Path) -> None:
    (config := tmp_path / "config.toml").write_text('[remote_types.ocr]\nschema = { type = "object" }\n')
    daemon = start(SECONDUNIT_CONFIG=str(config)).ready()
    with ThreadPoolExecutor() as pool, urllib.request.urlopen(f"http://127.0.0.1:{daemon.port}/api/events") as events:
        assert events.readline()
        ask = {"types": ["ocr"], "worker": "w", "waitSeconds": 60}
        waits = pool.submit(daemon.call, "POST", "/api/leases", ask, within=90)
        (daemon.data / "queue.db").unlink()
        assert daemon.ended(within=30) == 74
        assert '"event": "store.failed"' in daemon.log
        waits.exception(5)


def test_a_run_that_ignores_being_stopped_does_not_hold_the_process(start: Any, tmp_path: Path) -> None:
    (tmp_path / "plugins" / "sleeper.py").write_text(STUBBORN)
    daemon = start().ready()
    job_id = daemon.submit()
    daemon.until(job_id, "running")
    daemon.signal(signal.SIGTERM)
    time.sleep(0.3)
    began = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    assert time.monotonic() - began < 30
    assert start().ready().until(job_id, "running")["attempt"] == 1
