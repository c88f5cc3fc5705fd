"""The database file: made whole, and giving its room back to the disk."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from secondunit.queue import state
from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.model import Batch
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.folders import PublishedFolder
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.store import Store
from secondunit.queue.stores.sqlite import connection
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import NOW, by, later, new, settled, start, submit

BATCH, SLICE = 2_000, 500


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def told(path: Path, pragma: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute(f"pragma {pragma}").fetchone()[0])


async def end(store: Store, ids: Sequence[str]) -> None:
    """Add jobs with some payload, and cancel them."""
    await store.add([new(id, payload={"path": f"/srv/media/{id}" * 10}) for id in ids])
    await asyncio.gather(*(store.change(id, by(state.cancel, later(1))) for id in ids))


async def prune(store: Store) -> None:
    while await store.prune(Prune(later(9), later(9), later(9), SLICE)):
        pass


def with_no_room(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    disk = list(os.statvfs(folder))
    disk[4] = 0  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(disk))


async def test_a_new_database_can_shrink_though_there_was_no_room_to_write_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_no_room(monkeypatch, tmp_path)
    await (await open_store(tmp_path / "queue.db")).close()
    assert told(tmp_path / "queue.db", "auto_vacuum") == connection.INCREMENTAL
    assert told(tmp_path / "queue.db", "application_id") == connection.APPLICATION_ID
    assert names(tmp_path) <= {"queue.db", "queue.db.ballast", "queue.db.exists"}


async def test_what_a_start_that_was_killed_left_does_not_hinder_the_next(tmp_path: Path) -> None:
    for suffix in ("", "-journal"):
        (tmp_path / f"queue.db.making{suffix}").write_bytes(b"half of a database")
    store = await open_store(tmp_path / "queue.db")
    await submit(store, "a")
    await store.close()
    assert names(tmp_path) <= {"queue.db", "queue.db.ballast", "queue.db.exists"}


async def test_a_database_that_could_not_shrink_can_after_a_start_and_keeps_its_jobs(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db")
    await submit(store, "a", "b")
    await store.close()
    with closing(sqlite3.connect(tmp_path / "queue.db", isolation_level=None)) as db:
        db.execute("pragma auto_vacuum = none")
        db.execute("vacuum")
    assert told(tmp_path / "queue.db", "auto_vacuum") == 0
    store = await open_store(tmp_path / "queue.db")
    assert [(await store.get(id)).id for id in "ab"] == ["a", "b"]
    await store.close()
    assert told(tmp_path / "queue.db", "auto_vacuum") == connection.INCREMENTAL


@pytest.mark.parametrize(
    "peak",
    [
        pytest.param(2_000, id="small"),
        pytest.param(200_000, marks=[pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
async def test_after_a_peak_the_file_is_small_again(tmp_path: Path, peak: int) -> None:
    store, path = await open_store(tmp_path / "queue.db", synchronous="off"), tmp_path / "queue.db"
    for first in range(0, peak, BATCH):
        await end(store, [f"job-{n}" for n in range(first, first + BATCH)])
    await store.close()
    largest = path.stat().st_size
    store = await open_store(path, synchronous="off")
    await prune(store)
    await store.close()
    left = path.stat().st_size
    assert left < largest / 3 and left < 4 << 20, f"{left} of {largest} bytes are left"


def sqlite_error(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SQLITE_FULL", StoreFull),
        ("SQLITE_IOERR_SHMSIZE", StoreFull),
        ("SQLITE_IOERR_SHMOPEN", StoreFull),
        ("SQLITE_CANTOPEN", StoreFull),
        ("SQLITE_IOERR_FSYNC", StoreBroken),
        ("SQLITE_IOERR_DIR_FSYNC", StoreBroken),
        ("SQLITE_IOERR_READ", StoreBroken),
        ("SQLITE_CORRUPT", StoreBroken),
    ],
)
def test_where_there_is_no_room_only_what_wants_room_is_told_as_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: type[Exception]
) -> None:
    with_no_room(monkeypatch, tmp_path)
    assert type(connection.translated(sqlite_error(name), tmp_path / "queue.db")) is meant


MIGRATION = (Path(connection.__file__).parent / "migrations" / "0006_folders.sql").read_text()


async def test_streams_that_earlier_versions_published_are_adopted_once(tmp_path: Path) -> None:
    film = {"masterPath": "/media/film/master.m3u8"}
    jobs = {
        "told": ({"outputDir": "/media/film/"}, film),
        "elsewhere": ({"outputDir": "/media/other"}, film),
        "in_a_bucket": ({"outputDir": "s3://b/film"}, {"masterPath": "s3://b/film/master.m3u8"}),
        "no_folder": ({"outputPath": "/media/a.webp"}, {"outputPath": "/media/a.webp"}),
    }
    store = await open_store(tmp_path / "queue.db")
    for id, (payload, result) in jobs.items():
        lease = await start(store, id, payload=payload)
        await store.change(id, settled(Completed(result), later(9)), lease=lease)
    await store.close()
    with closing(sqlite3.connect(tmp_path / "queue.db", isolation_level=None)) as db:
        db.executescript(f"drop table folders; drop table replaced; {MIGRATION}")
    store = await open_store(tmp_path / "queue.db")
    adopted = await store.folders.known("/media/film", 0)
    await store.close()
    assert list(adopted) == [PublishedFolder("/media/film", 0, later(9), "told", 1, later(9))]


async def test_a_batch_keeps_the_numbers_of_its_jobs_though_they_are_forgotten(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db")
    await store.add([new("a", batch="b"), new("b", batch="b")], batch=Batch("b", NOW))
    for job_id in "ab":
        await store.change(job_id, by(state.cancel, later(1)))
    assert len(await store.prune(Prune(later(9), later(9), later(0), SLICE))) == 2
    await store.close()
    store = await open_store(tmp_path / "queue.db")
    [(job, _)] = await store.add([new("c")])
    await store.close()
    assert job.seq == 3, "it is none of the batch's"


async def test_a_database_has_a_secret_of_its_own_for_as_long_as_it_lives(tmp_path: Path) -> None:
    secrets = []
    for name in ("one.db", "one.db", "other.db"):
        store = await open_store(tmp_path / name)
        secrets.append(store.secret)
        await store.close()
    assert secrets[0] == secrets[1] != secrets[2]
    assert {len(secret) for secret in secrets} == {32}
