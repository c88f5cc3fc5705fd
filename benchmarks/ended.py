"""Databases with a million ended jobs: one real job, multiplied by SQL, each with its number, and one of ten failed."""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secondunit.queue import state
from secondunit.queue.model import Submission
from secondunit.queue.outcome import Completed
from secondunit.queue.stores.sqlite.store import open_store

TTL = timedelta(seconds=30)
# They ended within the last hours, so that a daemon's retention leaves them alone.
FIRST_AGO, LAST_AGO = timedelta(hours=20), timedelta(hours=1)
TIMES = {"jobs": ("created_at", "updated_at", "ready_at", "started_at", "finished_at"), "events": ("at",)}
COUNT_UP = "with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ?)"

VARIED = (
    "update jobs set payload = json_object('n', seq)",
    """update jobs set status = 'failed', result = null,
    error = json_array('deterministic', 'disk_full', printf('/srv/media/%d.mp4 does not fit', seq))
    where seq % 10 = 0""",
    "delete from counts",
    "insert into counts (type, status, n) select type, status, count(*) from jobs group by type, status",
)


class _NoChance:
    def random(self) -> float:
        return 0.0

    def randbytes(self, n: int, /) -> bytes:
        return bytes(n)


def make(folder: Path, rows: int) -> None:
    """`folder`/queue.db with so many jobs that ended, their events with them."""
    folder.mkdir()
    path = folder / "queue.db"
    asyncio.run(_one(path))
    connection = sqlite3.connect(path, isolation_level=None)
    # Until it is whole it needs no safety, and a log of some gigabytes would only be copied.
    for pragma in ("journal_mode = off", "synchronous = off", "cache_size = -1000000", "temp_store = memory"):
        connection.execute(f"pragma {pragma}").fetchall()
    connection.execute("begin")
    _multiply(connection, rows - 1, (FIRST_AGO - LAST_AGO) // timedelta(microseconds=1) // rows)
    for statement in VARIED:
        connection.execute(statement)
    connection.execute("commit")
    connection.execute("pragma journal_mode = wal").fetchall()
    connection.execute("pragma synchronous = full")
    connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    connection.close()
    asyncio.run(_count(path))


def tidy(folder: Path, rows: int) -> None:
    """Take away what a measurement added to `rows` jobs."""
    connection = sqlite3.connect(folder / "queue.db", isolation_level=None)
    connection.execute("pragma foreign_keys = on")
    connection.execute("delete from jobs where seq > ?", (rows,))
    connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    connection.close()


async def _one(path: Path) -> None:
    """A no-op job's whole life, by the store."""
    at = datetime.now(UTC) - FIRST_AGO
    store = await open_store(path)
    await store.add([state.submit(Submission("noop", {"n": 1}), f"job_{1:026}", at)])
    [job] = await store.claim({"noop": 1}, 1, "earlier", TTL, at)
    await store.change(job.id, lambda job: state.settle(job, Completed({"n": 1}), _NoChance(), at), lease=job.lease)
    await store.close()


async def _count(path: Path) -> None:
    """Have the time series count the moves, as the store does while they happen; else the first start has to."""
    store = await open_store(path)
    await store.sight.series(datetime.now(UTC), ())
    await store.close()


def _multiply(connection: sqlite3.Connection, times: int, apart: int) -> None:
    ours = {"seq": "t.seq + n", "id": "printf('job_%026d', t.seq + n)"}
    events = connection.execute("select count(*) from events").fetchall()[0][0]
    theirs = {"seq": f"t.seq + n * {events}", "job": "t.job + n"}
    for table, others in (("jobs", ours), ("events", theirs)):
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        values = [others.get(column) or _later(table, column, apart) for column in columns]
        connection.execute(_copies(table, columns, values), (times,))


def _later(table: str, column: str, apart: int) -> str:
    return f"t.{column} + n * {apart}" if column in TIMES[table] else f"t.{column}"


def _copies(table: str, columns: Sequence[str], values: Sequence[str]) -> str:
    # The rows of one job stay together, as they were written.
    return f"""
{COUNT_UP}
insert into {table} ({", ".join(columns)})
select {", ".join(values)}
from numbers cross join (select * from {table}) as t
order by 1"""  # noqa: S608  put together from the schema's own names
