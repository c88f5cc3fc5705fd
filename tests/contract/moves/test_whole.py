"""A queue that is moved is there as a whole and as it was, and goes on from there; its source stays to the byte."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from secondunit.daemon.config.settings import Database
from secondunit.queue.model import Job
from secondunit.queue.ports.access import AuditEntry
from secondunit.queue.stores.moving.tables import MOVED, NOT_MOVED
from secondunit.queue.stores.postgres.moving import INDEXED, OF_LEASE
from secondunit.testing.jobs import ALL, NOW, TTL, new
from tests.contract.moves.queues import DAY, SIDES, digests, filled, moved, opened, place, put, tables
from tests.postgres_server import PostgresServer, rows

COLUMNS = "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s"
INDEXED_TEXT = """
select distinct c.relname, a.attname
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
where a.atttypid = 'text'::regtype"""
SHORT = {("counts", "type"), ("counts", "status"), ("jobs", "status"), ("deliveries", "state")}  # as in other tables


@pytest.mark.parametrize("there", SIDES)
@pytest.mark.parametrize("here", SIDES)
async def test_there_and_back_again_it_is_the_same(
    here: str, there: str, tmp_path: Path, server: PostgresServer
) -> None:
    source = await filled(place(here, tmp_path / "from.db", server))
    if source.server:
        put(source, "update leases set lease_until = 5")  # else its box might be alive and cut off
    went = await moved(source, target := place(there, tmp_path / "to.db", server))
    empty = [name for name, tally in went.found.tables.items() if not tally.rows]
    assert empty == ["untold"], "the history is to have something of everything"
    assert went.there and went.there.tables == went.found.tables
    back = await moved(target, place(here, tmp_path / "back.db", server))
    assert digests(back) == digests(went)
    assert back.found.counters.items() >= went.there.counters.items()


@pytest.mark.parametrize("there", SIDES)
async def test_numbers_cursors_and_secrets_go_on_where_they_were(
    there: str, tmp_path: Path, server: PostgresServer
) -> None:
    source = await filled(place("sqlite", tmp_path / "from.db", server))
    before = await opened(source)
    floor, last = await before.event_bounds()
    kept = before.generation, before.secret, await before.keys.all(), await before.known("k", NOW)
    page: list[Job] = [*(await before.find(ALL, None, 100)).jobs]
    entries = [entry.seq for entry in await before.audit.find(None, 10)]
    await before.close()
    await moved(source, target := place(there, tmp_path / "to.db", server))
    after = await opened(target)
    try:
        assert (after.generation, after.secret, await after.keys.all(), await after.known("k", NOW)) == kept
        assert [*(await after.find(ALL, None, 100)).jobs] == page
        assert await after.event_bounds() == (floor, last)
        [(job, _)] = await after.add([new("next")])
        assert job.seq == page[0].seq + 1, "above every job that was ever there"
        [event] = await after.events(last, ALL, 10)
        assert event.seq == last + 1 and event.job_id == "next", "a reader who had read all reads on"
        [delivery] = await after.outbox.of_job("j0")
        assert delivery.state == "pending"
        assert await after.audit.add(AuditEntry(NOW, None, "a", "later", "t", None)) == 4 > max(entries), (
            "the number of an entry that was withdrawn stays its own"
        )
        lease = page[0].lease or next(job.lease for job in page if job.lease)
        assert lease in await after.expired(NOW, "another/1" if target.server else "another", 10)
        assert await after.was_stopping(lease.boot)
        claimed = await after.claim({"hls": 1}, 1, "another", TTL, NOW + DAY)
        assert claimed and ((await after.outbox.due(NOW + DAY, 10))[0])
    finally:
        await after.close()


async def test_the_source_stays_as_it_is_to_the_byte(tmp_path: Path, server: PostgresServer) -> None:
    (closed := tmp_path / "closed").mkdir()
    source = await filled(Database(closed / "queue.db"))
    store = await opened(source)
    await store.add([new("last")])
    shutil.copytree(closed, killed := tmp_path / "killed")  # what is left of a kill: the last writes are in the -wal
    await store.close()
    for folder in (closed, killed):
        before = _files(folder)
        went = await moved(Database(folder / "queue.db"), Database(tmp_path / f"{folder.name}.db"))
        assert _files(folder) == before
        assert went.found.tables["jobs"].rows == 13, "also what is in the -wal alone"
    assert "queue.db-wal" in _files(killed) and "queue.db-wal" not in _files(closed)


async def test_a_dry_run_tells_the_same_and_writes_nothing(tmp_path: Path, server: PostgresServer) -> None:
    source = await filled(Database(tmp_path / "from.db"))
    for target in (place("postgresql", tmp_path, server), Database(tmp_path / "folder" / "to.db")):
        dry = await moved(source, target, dry=True)
        assert dry.there is None and dry.size > 0
        assert not tables(target.server) if target.server else not target.path.parent.exists()
        went = await moved(source, target)
        assert dry.found == went.found


async def test_no_column_of_the_server_stays_behind(tmp_path: Path, server: PostgresServer) -> None:
    database = place("postgresql", tmp_path, server)
    assert database.server
    await (await opened(database)).close()
    assert tables(database.server) - NOT_MOVED.keys() == {table.name for table in MOVED}
    for table in MOVED:
        there = {str(name) for (name,) in rows(database.server, COLUMNS, (table.name,))}
        there |= {*OF_LEASE} if table.name == "jobs" else set()
        assert there == set(table.columns), table.name
    indexed = {(str(table), str(column)) for table, column in rows(database.server, INDEXED_TEXT)}
    known = {(table, column) for table, columns in INDEXED.items() for column in columns}
    assert {pair for pair in indexed - SHORT if pair[0] not in NOT_MOVED} <= known


def _files(folder: Path) -> dict[str, str]:
    """All that lies there but for who has the lock, and SQLite's notes on who reads."""
    ours = ("queue.db.lock", "queue.db-shm")
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.name not in ours}
