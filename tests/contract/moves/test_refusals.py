"""What is not moved, and why: each time it is said which thing is in the way, and neither side has changed."""

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from secondunit.daemon.config.settings import Database
from secondunit.daemon.moving import move, struck
from secondunit.daemon.process.lock import box_lock
from secondunit.queue.errors import NotMoved, StoreBroken
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.store import Store
from secondunit.queue.stores.moving.ports import LARGEST_ROW, Limits
from secondunit.queue.stores.moving.survey import faults_of
from secondunit.queue.stores.moving.tables import BY_NAME
from secondunit.queue.stores.sqlite.connection import newest_schema
from secondunit.queue.value import replace
from secondunit.testing.full_values import full
from secondunit.testing.jobs import TTL
from tests.contract.moves.queues import filled, moved, opened, place, put, tables
from tests.postgres_server import PostgresServer


@pytest.fixture
async def file(tmp_path: Path) -> Database:
    return await filled(Database(tmp_path / "from.db"))


async def refused(source: Database, target: Database, **how: bool) -> str:
    """Why not. Nothing is there then that was not before."""
    before = sorted(target.path.parent.iterdir()) if not target.server else sorted(tables(target.server))
    with pytest.raises((NotMoved, StoreBroken)) as told:
        await moved(source, target, **how)
    after = sorted(target.path.parent.iterdir()) if not target.server else sorted(tables(target.server))
    assert {str(one) for one in after} - {str(one) for one in before} <= {f"{target.path}.lock", f"{source.path}.lock"}
    return str(told.value)


async def test_a_target_with_something_in_it_is_left_alone(
    file: Database, tmp_path: Path, server: PostgresServer
) -> None:
    for target in (Database(tmp_path / "to.db"), place("postgresql", tmp_path, server)):
        await filled(target)
        for dry in (True, False):
            said = await refused(file, target, dry=dry)
            assert "not empty" in said and "jobs 12," in said and "access_keys 1" in said


async def test_a_place_where_no_file_can_be_made_is_told_by_a_dry_run_too(file: Database, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    places = {
        "text/to.db": f"{tmp_path}/text is a file, not a folder",
        "from.db-wal": "is what SQLite calls a file beside a database",
        ".": f"is a folder: name a file in it, such as {tmp_path}/queue.db",
    }
    for name, why in places.items():
        for dry in (True, False):
            with pytest.raises(NotMoved, match=re.escape(why)):
                await moved(file, Database(tmp_path / name), dry=dry)
    with pytest.raises(
        NotMoved, match=r"needs more than [\d,]+ bytes, and 0 are free there: free some, or name another"
    ):
        await moved(file, Database(Path("/proc/nowhere/to.db")), dry=True)


async def test_a_queue_without_anything_in_it_may_be_replaced(
    file: Database, tmp_path: Path, server: PostgresServer
) -> None:
    for target in (Database(tmp_path / "to.db"), place("postgresql", tmp_path, server)):
        await (await opened(target)).close()
        went = await moved(file, target)
        assert went.there and went.there.rows == went.found.rows
        store = await opened(target)
        assert (await store.get("late")).id == "late"
        await store.close()


async def test_a_daemon_on_either_side_is_named_and_nothing_moves(
    file: Database, tmp_path: Path, server: PostgresServer
) -> None:
    target = place("postgresql", tmp_path, server)
    with box_lock(file.path):
        assert "is in use by process" in await refused(file, target)
    with box_lock(tmp_path / "to.db"):
        assert "systemctl stop" in await refused(file, Database(tmp_path / "to.db"))
    for engine in ("sqlite", "postgresql"):
        on = await opened(target)
        other = Database(tmp_path / "to.db") if engine == "sqlite" else file
        said = await (refused(target, other) if engine == "sqlite" else refused(other, target))
        await on.close()
        assert "secondunit is connected from this machine since" in said and "Stop every daemon" in said
    assert (await moved(file, target)).there


async def test_a_box_that_may_be_cut_off_is_waited_for_and_a_remote_worker_is_not(
    tmp_path: Path, server: PostgresServer
) -> None:
    source = await filled(place("postgresql", tmp_path, server), "far/1")
    assert "box far has leases until 00:00:30 UTC" in await refused(source, Database(tmp_path / "to.db"))
    assert RemoteHolder("key", "a/b").heard("far/1") == "remote key@far/1 a/b"
    put(source, "update leases set boot = 'remote key@far/1 a/b'")
    assert (await moved(source, Database(tmp_path / "to.db"))).there


async def test_a_box_that_was_seen_a_moment_ago_is_named_though_it_is_not_connected(
    tmp_path: Path, server: PostgresServer
) -> None:
    source = await filled(place("postgresql", tmp_path, server))
    put(source, "update leases set lease_until = 5")
    store = await opened(source)
    await store.boxes.enter(replace(full(BoxRow), name="far", phase="up", lease=TTL))
    await store.close()
    assert "box far (address) was seen at" in await refused(source, Database(tmp_path / "to.db"))
    put(source, "update boxes set phase = 'ended'")
    went = await moved(source, Database(tmp_path / "to.db"))
    assert went.there and "boxes" not in went.found.tables


async def test_a_daemon_that_starts_meanwhile_waits_until_the_target_is_whole(
    file: Database, tmp_path: Path, server: PostgresServer
) -> None:
    target = place("postgresql", tmp_path, server)
    starting: list[asyncio.Future[Store]] = []

    def start() -> None:
        starting.append(asyncio.ensure_future(opened(target)))

    loop = asyncio.get_running_loop()

    def told(doing: str, table: str, _: int) -> None:
        if (doing, table) == ("writing", "jobs"):
            loop.call_soon_threadsafe(start)
            time.sleep(0.5)
            assert not starting[0].done()

    went = await asyncio.to_thread(move, file, target, told)
    store = await starting[0]
    assert went.there and (await store.counts()).queued["hls"] == 8
    await store.close()


async def test_other_schemas_are_named_with_what_to_do(file: Database, tmp_path: Path, server: PostgresServer) -> None:
    target = Database(tmp_path / "to.db")
    older = await asyncio.to_thread(newest_schema) - 1
    for schema, remedy in ((older, "start this version's daemon on it once"), (999, "use the newer")):
        put(file, f"pragma user_version = {schema}")
        assert remedy in await refused(file, target)
    source = await filled(place("postgresql", tmp_path, server))
    for value, remedy in (("-1", "start this version's daemon on it once"), ("999", "use the newer")):
        put(source, SET_SCHEMA.replace("?", value))
        assert remedy in await refused(source, target)
    assert "no daemon has made its tables" in await refused(place("postgresql", tmp_path, server), target)


async def test_what_is_no_queue_or_damaged_is_not_moved(file: Database, tmp_path: Path, server: PostgresServer) -> None:
    target = Database(tmp_path / "to.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("create table jobs (id)")
    assert "another program" in await refused(Database(tmp_path / "other.db"), target)
    assert "another program" in await refused(file, Database(tmp_path / "other.db"))
    assert "there is no queue at" in await refused(Database(tmp_path / "none.db"), target)
    assert "to itself" in await refused(file, Database(tmp_path / "." / "from.db"))
    queue = await filled(place("postgresql", tmp_path, server))
    assert "to itself" in await refused(queue, queue)
    (tmp_path / "to.db-wal").write_bytes(b"of another")
    assert "to.db-wal of another database" in await refused(file, target)
    (tmp_path / "to.db-wal").unlink()
    with closing(sqlite3.connect(file.path)) as broken:
        broken.execute("pragma wal_checkpoint(truncate)")
        [root] = broken.execute("select rootpage from sqlite_master where name = 'jobs_listed'").fetchone()
        [size] = broken.execute("pragma page_size").fetchone()
    with file.path.open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(b"\x99" * 64)
    assert "damaged" in await refused(file, target)


async def test_a_server_that_can_not_hold_every_text_or_is_not_there_is_told(
    file: Database, tmp_path: Path, server: PostgresServer
) -> None:
    server.say("postgres", "create database latin encoding 'LATIN1' template template0 locale 'C'")
    assert "LATIN1" in await refused(file, Database(Path("queue"), server=server.url("latin")))
    with pytest.raises(StoreBroken, match=r"LATIN1.*--encoding=UTF8"):
        await opened(Database(Path("queue"), server=server.url("latin")))
    nowhere = Database(Path("queue"), server=server.url("nowhere"))
    with pytest.raises(StoreBroken, match='"nowhere" does not exist') as away:
        await moved(file, nowhere)
    assert str(away.value).startswith(str(nowhere)) and "lets this account in" in away.value.remedy


SET_SCHEMA = "update meta set value = '?' where key = 'schema'"
NUL = "update jobs set message = 'a' || char(0) || 'b' where id = 'j1'"
PATH = "update folders set path = replace(printf('%600d', 1), ' ', '/long')"
NO_TEXT = "update events set message = cast(x'ff41' as text) where seq = 2"


@pytest.mark.parametrize(
    ("there", "sql", "named"),
    [
        ("postgresql", NUL, "jobs, id j1, column message: it holds a NUL"),
        ("postgresql", PATH, "folders, path /long/long"),
        ("postgresql", NO_TEXT, "events, seq 2, column message: its text is no UTF-8 (byte 0)"),
        ("sqlite", "update folders set inode = 9223372036854775808", "folders, path /media/ü, manifest_at "),
    ],
)
async def test_what_the_target_can_not_hold_is_named_before_anything_is_written(
    there: str, sql: str, named: str, tmp_path: Path, server: PostgresServer
) -> None:
    source = await filled(place("sqlite" if there == "postgresql" else "postgresql", tmp_path / "from.db", server))
    if source.server:
        put(source, "update leases set lease_until = 5")
    put(source, sql)
    target = place(there, tmp_path / "to.db", server)
    for dry in (True, False):
        assert named in await refused(source, target, dry=dry)


async def test_nuls_are_replaced_where_that_is_wanted(file: Database, tmp_path: Path, server: PostgresServer) -> None:
    put(file, NUL)
    target = place("postgresql", tmp_path, server)
    assert "--replace-nul" in await refused(file, target)
    assert (await moved(file, target, replace_nul=True)).there
    store = await opened(target)
    assert (await store.get("j1")).message == "a\ufffdb"
    await store.close()


def test_a_row_too_large_to_be_sent_is_named() -> None:
    table = BY_NAME["cache"]
    [fault] = faults_of(table, ["k", "x" * 11, "j", 1, 1], Limits("X", largest_row=10))
    assert str(fault).startswith("cache, key k, column value: it has 11 characters") and LARGEST_ROW > 2**28


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:ge%20heim@h/db",
        "postgresql://u@h/db?password=ge%20heim",
        "postgresql://u@h/db?sslmode=require&sslpassword=ge+heim",
    ],
)
def test_passwords_of_urls_are_struck_out(url: str) -> None:
    assert "heim" not in struck(f"no way to {url}: ge heim", url)
    assert "heim" not in struck("no way to postgresql://u:ge heim@[h/db", "postgresql://u:ge heim@[h/db")
