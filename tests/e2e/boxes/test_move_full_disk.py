"""A disk that is full at either side of `secondunit move`: told, nothing is changed or left, and the next try works."""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from tests.e2e.boxes.move_command import moved, said
from tests.e2e.conftest import starting
from tests.postgres_server import PostgresServer, rows, started

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
JOBS, LONG = 100, 30_000  # 6 MB of payloads
NO_PART = (".lock", "-shm")  # who has it; what any reader makes
TABLES = "select count(*) from pg_tables where schemaname = 'public'"


@contextmanager
def disk(folder: Path, mib: int, owner: str | None = None) -> Iterator[Path]:
    """A file system of so many MiB; skips, aloud, where none can be made."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk in a move; only root can mount a small one")
    try:
        if owner:
            shutil.chown(folder, owner, owner)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not a byte free; the file that takes it all."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 20, 4096):
            try:
                while True:
                    stream.write(bytes(size))
            except OSError:
                pass
    return file


def digests(database: Path) -> dict[str, str]:
    """What each file of a database holds."""
    files = [file for file in sorted(database.parent.glob(f"{database.name}*")) if not file.name.endswith(NO_PART)]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.stat().st_size}


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return started()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The database of a daemon that was killed, with jobs that wait: some are in its WAL alone."""
    with starting(tmp_path) as start:
        daemon = start().ready()
        chance = Random(7)
        for _ in range(4):  # words that no server packs into less
            marks = [chance.randbytes(LONG).hex() for _ in range(JOBS // 4)]
            jobs = [{"type": "sleep", "payload": {"marks": one}, "runAt": "2099-01-01T00:00:00Z"} for one in marks]
            assert daemon.call("POST", "/api/jobs/batch", {"jobs": jobs}).status == 201
        daemon.signal(signal.SIGKILL)
        daemon.ended()
    return daemon.data / "queue.db"


def jobs_of(told: Any) -> Any:
    return next(one["rows"] for one in told["tables"] if one["table"] == "jobs")


def refused(source: str, target: str) -> str:
    done = said("--from", source, "--to", target)
    assert done.returncode == 1, done
    assert done.stderr.startswith("not moved: ") and "Traceback" not in done.stderr, done.stderr
    return done.stderr.lower()


def test_a_file_that_does_not_fit_is_told_and_nothing_of_it_stays(source: Path, tmp_path: Path) -> None:
    was = digests(source)
    with disk(tmp_path / "small", 4) as small:
        why = refused(f"sqlite:///{source}", f"sqlite:///{small / 'queue.db'}")
        assert "full" in why or "no space" in why, why
        assert str(small) in why
        assert [file.name for file in small.iterdir() if file.suffix != ".lock"] == []
        assert digests(source) == was
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert jobs_of(moved(f"sqlite:///{source}", f"sqlite:///{small / 'queue.db'}")) == {"from": JOBS, "to": JOBS}
        assert digests(source) == was


@pytest.mark.long
def test_a_server_whose_disk_is_full_is_told_and_has_nothing_of_it(
    source: Path, tmp_path: Path, server: PostgresServer
) -> None:
    was = digests(source)
    with disk(server.folder / "small", 16, "postgres") as small:
        server.say("postgres", f"create tablespace small location '{small}'", "create database narrow tablespace small")
        url = server.url("narrow")
        filler = fill(small)
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - (2 << 20))  # its tables fit, the jobs don't
        why = refused(f"sqlite:///{source}", url)
        assert "no space left on device" in why or "full" in why, why
        assert rows(url, TABLES) == [(0,)], "all of it was one transaction"
        assert digests(source) == was
        filler.unlink()
        told = moved(f"sqlite:///{source}", url)
        assert jobs_of(told) == {"from": JOBS, "to": JOBS}
        assert digests(source) == was
        back = tmp_path / "back" / "queue.db"
        fill(small)
        assert jobs_of(moved(url, f"sqlite:///{back}")) == {"from": JOBS, "to": JOBS}, (
            "a full source is read all the same"
        )
        with closing(psycopg.connect(server.url("postgres"), autocommit=True)) as connection:
            connection.execute("drop database narrow with (force)")
            connection.execute("drop tablespace small")


@pytest.mark.long
def test_a_source_on_a_full_disk_is_moved_or_told_and_never_changed(
    source: Path, tmp_path: Path, server: PostgresServer
) -> None:
    with disk(tmp_path / "home", 32) as home:
        for name in (source.name, f"{source.name}-wal"):  # as after a boot
            shutil.copy(source.with_name(name), home / name)
        source = home / source.name
        filler, was = fill(home), digests(source)
        url = server.database()
        done = said("--from", f"sqlite:///{source}", "--to", url)
        assert digests(source) == was, done
        if done.returncode:
            assert "full" in done.stderr.lower() and str(home) in done.stderr, done.stderr
            assert rows(url, TABLES) == [(0,)]
            filler.unlink()
            moved(f"sqlite:///{source}", url)
        assert rows(url, "select count(*) from jobs") == [(JOBS,)]
        assert digests(source) == was
