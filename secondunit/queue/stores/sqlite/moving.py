"""SQLite side of a move: a source that stays as it is to the byte, a target made beside its place and then renamed."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from secondunit.queue.errors import NotMoved
from secondunit.queue.stores.moving.ports import Limits, Row
from secondunit.queue.stores.moving.tables import BY_NAME, MOVED, OF_EVERY_QUEUE, MovedTable
from secondunit.queue.stores.sqlite.connection import (
    APPLICATION_ID,
    BUSY_TIMEOUT_MS,
    SUSPECT,
    closed_unless_whole,
    making,
    newest_schema,
    put,
    translated,
    unmake,
)
from secondunit.queue.stores.sqlite.transaction import LAST_EVENT, LAST_JOB

LIMITS = Limits("SQLite", largest_integer=2**63 - 1)
SIDE_FILES = ("-wal", "-shm", "-journal")
# PostgreSQL's store writes down the boot that was stopping under its box, which has no name here.
STOPPING = "stopping "
SELECT_META = f"""
select case key when 'stopping' then '{STOPPING}' else key end, value
from meta
where key not in ('events_floor', 'series_counted')"""
COUNTERS = f"""
select
  (select cast(value as integer) from meta where key = 'events_floor'),
  (select cast(value as integer) from meta where key = 'series_counted'),
  {LAST_EVENT},
  coalesce((select seq from sqlite_sequence where name = 'audit'), 0)"""
NAMES = ("events_floor", "series_counted", "last_event", "last_audit")
# What comes next here is the one after the last row: this is for a target that counts.
LAST_ROWS = f"select {LAST_JOB}, coalesce((select max(seq) from deliveries), 0)"
LAST_NAMES = ("last_job", "last_delivery")


class SqliteQueue:
    """What is in a database."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection

    def rows(self, table: MovedTable) -> Iterator[Row]:
        sql = SELECT_META if table.name == "meta" else f"select {table.listed} from {table.name}"
        cursor = self._connection.execute(sql)
        while True:
            try:
                row = cursor.fetchone()
            except sqlite3.OperationalError as error:
                if "decode" in str(error):
                    raise NotMoved(f"nothing was written: {self._undecodable(table, sql)}") from error
                raise
            if row is None:
                return
            yield row

    def counters(self) -> Mapping[str, int]:
        return dict(zip(NAMES, self._connection.execute(COUNTERS).fetchone(), strict=True))

    def _undecodable(self, table: MovedTable, sql: str) -> str:
        """Where the text is that is no UTF-8."""
        self._connection.text_factory = bytes
        for row in self._connection.execute(sql):
            for column, value in zip(table.columns, row, strict=True):
                if isinstance(value, bytes) and (start := _not_utf8(value)):
                    named = {name: row[table.columns.index(name)] for name in table.key}
                    where = ", ".join(f"{name} {_shown(part)}" for name, part in named.items())
                    return f"{table.name}, {where}, column {column}: its text is no UTF-8 ({start})"
        return f"{table.name}: some of its text is no UTF-8"


class SqliteSource(SqliteQueue):
    """A queue that is moved; see `reading`."""

    size = 0

    def counters(self) -> Mapping[str, int]:
        last = dict(zip(LAST_NAMES, self._connection.execute(LAST_ROWS).fetchone(), strict=True))
        return {**super().counters(), **last}


class SqliteTarget(SqliteQueue):
    """A queue in the making; see `writing`."""

    limits = LIMITS

    def fill(self, table: MovedTable, rows: Iterable[Row]) -> None:
        if table.name == "meta":
            rows = ((key.removesuffix(" ") if key == STOPPING else key, value) for key, value in rows)
        marks = ", ".join("?" * len(table.columns))
        self._connection.executemany(f"insert into {table.name} ({table.listed}) values ({marks})", rows)

    def go_on_from(self, counters: Mapping[str, int]) -> None:
        put_meta = "update meta set value = ? where key = ?"
        for name in ("events_floor", "series_counted"):
            self._connection.execute(put_meta, (str(counters[name]), name))
        self._connection.execute("delete from sqlite_sequence where name = 'audit'")
        self._connection.execute("insert into sqlite_sequence values ('audit', ?)", (counters["last_audit"],))


@contextmanager
def reading(path: Path) -> Iterator[SqliteSource]:
    """The queue at `path`, looked through for damage, of one moment until this ends; not a byte of its files changes.

    NotMoved, StoreBroken say why it can't be read. Blocks.
    """
    if not path.is_file():
        raise NotMoved(f"there is no queue at {path}")
    path.open("rb").close()  # PermissionError, where SQLite would say less
    try:
        with closing(_read_only(path)) as connection:
            [schema] = connection.execute("pragma user_version").fetchone()
            if schema < newest_schema():
                raise NotMoved(
                    f"{path} has schema {schema}, this program moves {newest_schema()}: start this version's daemon on "
                    "it once, stop it, and move it then"
                )
            if schema > newest_schema():
                raise NotMoved(f"{path} has schema {schema}, this program knows {newest_schema()}: use the newer one")
            connection.execute("begin")
            connection.execute("pragma ignore_check_constraints = on")
            [verdict] = connection.execute("pragma quick_check(1)").fetchone()
            if verdict != "ok":
                raise NotMoved(f"{path} is damaged ({verdict.splitlines()[-1]}); `secondunit restore` a backup first")
            source = SqliteSource(connection, path)
            source.size = path.stat().st_size
            yield source
    except sqlite3.Error as error:
        raise translated(error, path) from error


def refuse_unless_empty(path: Path) -> None:
    """NotMoved unless nothing is at `path`, or a queue without anything in it. Blocks."""
    if not path.exists():
        left = [str(file) for suffix in SIDE_FILES if (file := path.with_name(path.name + suffix)).exists()]
        if left:
            raise NotMoved(f"{' and '.join(left)} of another database lie there: put them away first")
        return
    try:
        with closing(_read_only(path)) as connection:
            there = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            counted = [(table.name, connection.execute(f"select count(*) from {table.name}").fetchone()[0])
                       for table in MOVED if table.name in there and table.name not in OF_EVERY_QUEUE]  # fmt: skip
    except sqlite3.Error as error:
        raise translated(error, path) from error
    if found := [f"{name} {n:,}" for name, n in counted if n]:
        raise NotMoved(f"{path} is not empty (rows: {', '.join(found)}): name a file that is not there yet")


@contextmanager
def writing(path: Path) -> Iterator[SqliteTarget]:
    """A queue in the making, which takes its place when this ends well; else nothing of it remains. Blocks.

    NotMoved says what is there already.
    """
    refuse_unless_empty(path)
    try:
        with closing(making(path)) as connection:
            # It is thrown away unless it is whole and on the disk; `put` sees to the latter.
            for pragma in ("journal_mode = off", "synchronous = off", "locking_mode = exclusive", "foreign_keys = off",
                           "cache_size = -65536"):  # fmt: skip
                connection.execute(f"pragma {pragma}").fetchall()
            connection.execute("begin")
            for name in OF_EVERY_QUEUE:
                kept = " where key not in ('events_floor', 'series_counted')" if name == "meta" else ""
                connection.execute(f"delete from {BY_NAME[name].name}{kept}")
            yield SqliteTarget(connection, path)
            if stray := connection.execute("pragma foreign_key_check").fetchone():
                raise NotMoved(f"a row of {stray[0]} belongs to no row of {stray[2]}; nothing was written")
            connection.execute("commit")
        for suffix in SIDE_FILES:  # of the empty database that was there
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        put(path)
        path.with_name(path.name + SUSPECT).unlink(missing_ok=True)
        path.with_name(path.name + ".exists").touch()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    finally:
        unmake(path)


def _read_only(path: Path) -> sqlite3.Connection:
    # Nobody writes while the lock is held. Where nothing is left in the -wal, none is made, and no -shm.
    wal = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if wal.exists() and wal.stat().st_size else "immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True, isolation_level=None)
    with closed_unless_whole(connection):
        connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
        [application_id] = connection.execute("pragma application_id").fetchone()
        if application_id != APPLICATION_ID:
            raise NotMoved(f"{path} is a database of another program")
    return connection


def _not_utf8(value: bytes) -> str:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start}"
    return ""


def _shown(part: object) -> str:
    return part.decode(errors="replace")[:100] if isinstance(part, bytes) else str(part)
