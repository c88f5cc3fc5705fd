"""Backups: whole or not at all, the newest of our own naming kept; and the way back, which fences what came after."""

import os
import sqlite3
from asyncio import to_thread
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from secondunit.daemon.files.backups import last, take
from secondunit.queue.errors import BadPayload, LeaseLost, StoreBroken
from secondunit.queue.outcome import Completed, Partial
from secondunit.queue.stores.sqlite.backup import EPOCHS_APART, back_up, check, restore
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.testing.jobs import ALL, BROKEN, NOW, claim, end, held, settled, submit


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    (tmp_path / "data").mkdir()
    opened = await open_store(tmp_path / "data" / "queue.db")
    yield opened
    await opened.close()


async def test_the_newest_of_ours_stay_and_nothing_else_is_touched(store: SqliteStore, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("secondunit.db", "secondunit-20200101T000000Z.db.old", "zzz"):
        (folder / name).touch()
    for hour in range(5):
        await take(store, folder, 2, NOW + timedelta(hours=hour), {})
    assert sorted(file.name for file in folder.iterdir()) == [
        "secondunit-20200101T000000Z.db.old",
        "secondunit-20300101T030000.000Z.db",
        "secondunit-20300101T030000.000Z.db.verified",
        "secondunit-20300101T040000.000Z.db",
        "secondunit-20300101T040000.000Z.db.verified",
        "secondunit.db",
        "zzz",
    ]


async def test_a_backup_never_takes_the_place_of_the_database_or_its_parts(store: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.engine.path.parent)
    files = sorted(store.engine.path.parent.iterdir())
    for target, keep, field, says in (
        (store.engine.path, None, "path", "is the database"),
        (store.engine.path.with_name("queue.db-wal"), None, "path", "named like its parts"),
        (tmp_path / "link" / "queue.db", None, "path", "is the database"),
        (Path("relative.db"), None, "path", "is not absolute"),
        (tmp_path / "no" / "folder.db", None, "path", "is no folder"),
        (tmp_path / "file.db", 2, "keep", "only a folder holds more than one"),
    ):
        with pytest.raises(BadPayload) as refused:
            await take(store, target, keep, NOW, {})
        [fault] = refused.value.errors
        assert fault.field == field and says in fault.message
    assert sorted(store.engine.path.parent.iterdir()) == files and not (tmp_path / "file.db").exists()


async def test_a_backup_holds_what_was_committed_and_replaces_an_older_one(store: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    await submit(store, "a")
    assert (await to_thread(back_up, store.engine.path, target, {})).jobs == 1
    await submit(store, "b")
    assert (await to_thread(back_up, store.engine.path, target, {})).jobs == 2
    assert (await to_thread(check, target)).jobs == 2
    assert set(await to_thread(os.listdir, tmp_path)) == {"data", "copy.db"}


def test_a_backup_that_fails_leaves_what_stood_there(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("an older one")
    with pytest.raises(StoreBroken):
        back_up(tmp_path / "no.db", target, {})
    assert target.read_text() == "an older one" and [file.name for file in tmp_path.iterdir()] == ["copy.db"]


async def test_a_backup_holds_no_byte_of_the_secrets_of_ended_jobs(store: SqliteStore, tmp_path: Path) -> None:
    """Those that are still to run keep theirs: a copy that can't do their work would be none."""
    secret = {"url": "u", "cookies": "s3cr3t" * 900}
    await end(store, "over0", BROKEN, payload=secret)
    await end(store, "over1", Partial({}, []), payload=secret)
    await submit(store, "waits", payload={"url": "u", "cookies": "to be sent"})
    target = tmp_path / "copy.db"
    await take(store, target, None, NOW, {"hls": ("headers", "cookies"), "webp": ("url",)})
    copied = target.read_bytes()
    assert b"s3cr3t" not in copied and b"to be sent" in copied
    assert (await store.get("over0")).payload["cookies"].startswith("s3cr3t"), "the database itself is as it was"
    copy = await open_store(target)
    assert [(await copy.get(id)).payload for id in ("over0", "over1")] == [{"url": "u", "cookies": "***"}] * 2
    await copy.close()


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_backup_is_refused_and_the_database_stays(tmp_path: Path, content: bytes) -> None:
    database, copy = tmp_path / "queue.db", tmp_path / "copy.db"
    database.write_text("what stands here")
    copy.write_bytes(content)
    with pytest.raises(StoreBroken):
        restore(copy, database, tmp_path / "aside.db")
    assert database.read_text() == "what stands here" and not (tmp_path / "aside.db").exists()


def test_a_copy_that_can_not_be_read_is_told_as_that() -> None:
    with pytest.raises(StoreBroken, match="/proc/self/mem: "):
        check(Path("/proc/self/mem"))


async def test_a_copy_that_is_damaged_or_another_programs_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    await to_thread(back_up, store.engine.path, copy, {})
    whole = copy.read_bytes()
    other = bytearray(whole)
    other[68:72] = b"else"  # the application id
    torn = whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2)
    uneven = bytearray(whole)
    uneven[36:40] = (9).to_bytes(4, "big")  # pages in its list of free ones: all of it can be read, and does not add up
    damaged = (torn, bytes(uneven))
    for content, said in ((bytes(other), "no backup of this program"), *((content, "damaged") for content in damaged)):
        copy.write_bytes(content)
        with pytest.raises(StoreBroken, match=said):
            await to_thread(check, copy)


async def test_after_a_restore_no_lease_from_after_the_backup_can_write(store: SqliteStore, tmp_path: Path) -> None:
    copy, generation = tmp_path / "copy.db", store.generation
    await submit(store, "a")
    await to_thread(back_up, store.engine.path, copy, {})
    lease = held((await claim(store))[0])
    await submit(store, "b")
    await store.close()
    await to_thread(restore, copy, store.engine.path, tmp_path / "aside.db")
    with sqlite3.connect(tmp_path / "aside.db") as aside:
        assert aside.execute("select count(*) from jobs").fetchone() == (2,)
    aside.close()
    again = await open_store(store.engine.path)
    try:
        assert (await again.find(ALL, None, 10)).total == 1
        [job] = await claim(again)
        assert job.epoch > EPOCHS_APART and again.generation != generation
        with pytest.raises(LeaseLost):
            await again.change("a", settled(Completed(None)), lease=lease)
    finally:
        await again.close()


async def test_the_newest_backup_is_known_with_its_time_also_by_those_who_open_the_database_later(
    store: SqliteStore, tmp_path: Path
) -> None:
    assert await last(store.cache, NOW) is None
    for hour in range(2):
        await take(store, tmp_path / "copy.db", None, NOW + timedelta(hours=hour), {})
    with pytest.raises(BadPayload, match="not absolute"):
        await take(store, Path("relative.db"), None, NOW + timedelta(hours=3), {})
    again = await open_store(tmp_path / "data" / "queue.db")
    found = await last(again.cache, NOW + timedelta(days=400))
    await again.close()
    assert found is not None and (found.path, found.verified) == (tmp_path / "copy.db", NOW + timedelta(hours=1))
    (tmp_path / "copy.db").unlink()
    assert await last(store.cache, NOW) is None, "it is gone"
