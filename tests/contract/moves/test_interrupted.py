"""A move that is killed, or finds no room: the target is as it was, and the next move does it all."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from secondunit.daemon.config.settings import Database
from secondunit.daemon.moving import MovedQueue, move
from secondunit.queue.errors import NotMoved, StoreFull
from secondunit.queue.stores.moving.tables import BY_NAME
from secondunit.queue.stores.sqlite import moving
from tests.contract.moves.queues import filled, place, tables
from tests.postgres_server import PostgresServer

# A move that stands still at a point, and says so.
STANDS = """
import sys, time
from pathlib import Path
from secondunit.daemon.config.settings import database_of
from secondunit.daemon.moving import move

at = sys.argv[3]

def told(doing, table, rows):
    if f"{doing} {table}" == at:
        print("there", flush=True)
        time.sleep(100)

move(database_of(sys.argv[1]), database_of(sys.argv[2]), told)
"""


@pytest.fixture
def file(tmp_path: Path) -> Database:
    return asyncio.run(filled(Database(tmp_path / "from.db")))


def url(database: Database) -> str:
    return database.server or f"sqlite:///{database.path}"


@pytest.mark.parametrize("there", ["sqlite", "postgresql"])
@pytest.mark.parametrize("at", ["reading events", "writing events", "comparing deliveries"])
def test_a_kill_leaves_nothing_and_the_next_move_does_it_all(
    at: str, there: str, file: Database, tmp_path: Path, server: PostgresServer
) -> None:
    target = place(there, tmp_path / "to.db", server)
    argv = [sys.executable, "-c", STANDS, url(file), url(target), at]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}) as mover:
        assert mover.stdout and mover.stdout.readline() == b"there\n"
        if there == "sqlite":
            with pytest.raises(NotMoved, match=f"in use by process {mover.pid}"):
                go(file, target)
        mover.send_signal(signal.SIGKILL)
    assert not (tables(target.server) if target.server else target.path.exists())
    while not (went := go_unless_held(file, target)):
        time.sleep(0.05)
    assert went.there and went.there.tables == went.found.tables
    assert not [*tmp_path.glob("to.db.making*")]


def go(source: Database, target: Database) -> MovedQueue:
    return move(source, target, lambda *_: None)


def go_unless_held(source: Database, target: Database) -> MovedQueue | None:
    """None until the server has noticed who is gone."""
    try:
        return go(source, target)
    except NotMoved as error:
        if "somebody else makes or moves" not in str(error):
            raise
    return None


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk on which the queue has no room."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: a full disk; only root can mount a small one")
    (folder := tmp_path / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk; this machine does not let root mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_leaves_nothing(file: Database, small: Path) -> None:
    with pytest.raises(StoreFull, match="disk is full"):
        go(file, Database(small / "to.db"))
    assert {path.name for path in small.iterdir()} <= {"to.db.lock"}


@pytest.mark.parametrize("there", ["sqlite", "postgresql"])
def test_what_arrives_otherwise_than_it_was_is_undone(
    there: str, file: Database, tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = moving.SqliteQueue.rows
    asked: list[str] = []

    def rows(self: moving.SqliteQueue, table: object) -> object:
        asked.append(table.name)  # type: ignore[attr-defined]
        for n, row in enumerate(plain(self, table)):  # type: ignore[arg-type]
            if table is BY_NAME["events"] and asked.count("events") == 2 and n == 3:  # when it is copied
                row = [*row[:-1], 77]  # noqa: PLW2901  it is the fault
            yield row

    monkeypatch.setattr(moving.SqliteQueue, "rows", rows)
    target = place(there, tmp_path / "to.db", server)
    with pytest.raises(NotMoved, match="what was written is not what was read, and was undone: the digest of events:"):
        go(file, target)
    assert not (tables(target.server) if target.server else target.path.exists())
