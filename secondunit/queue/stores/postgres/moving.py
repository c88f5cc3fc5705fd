"""PostgreSQL side of a move: one snapshot that is read, or one transaction that is written; COPY streams both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import Loader

from secondunit.queue.errors import NotMoved
from secondunit.queue.ports.boxes import LONGEST_SILENCE
from secondunit.queue.ports.holders import holder_of
from secondunit.queue.stores.moving.ports import Limits, Row
from secondunit.queue.stores.moving.tables import MOVED, OF_EVERY_QUEUE, MovedTable
from secondunit.queue.stores.postgres.connection import (
    MIGRATING,
    known_schema,
    migrate,
    newest_schema,
    options,
    translated,
    unfit,
)
from secondunit.queue.stores.rows import MICROSECOND, moment

APPLICATION = "secondunit move"
# Columns of text that stand in an index, an entry of which has a third of a page (and some bytes beside the text).
INDEXED = {
    "jobs": ("id", "type", "dedupe_key", "owner", "box"),
    "steps": ("name",),
    "deliveries": ("id",),
    "batches": ("id", "owner"),
    "cache": ("key", "job_id"),
    "idempotency": ("key",),
    "access_keys": ("prefix",),
    "schedules": ("name",),
    "folders": ("path",),
    "replaced": ("path", "part"),
    "paused": ("type",),
    "type_limits": ("type",),
    "series": ("type",),
    "run_samples": ("type",),
    "meta": ("key",),
}
LIMITS = Limits("PostgreSQL", nul=False, largest_key=2600, keys=INDEXED)
OF_LEASE = ("boot", "lease_until")
LEASE_COLUMNS = "job, lease_epoch, boot, lease_until"
READ = ("begin isolation level repeatable read", "set local statement_timeout = 0",
        "set local idle_in_transaction_session_timeout = 0", "set local lock_timeout = '5s'",
        # Every writing transaction touches it, and every daemon that starts: until the end nobody does.
        "lock table writers in share mode", "set transaction read only")  # fmt: skip
WRITE = ("begin", "set local statement_timeout = 0", "set local idle_in_transaction_session_timeout = 0",
         "set local lock_timeout = '5s'")  # fmt: skip
CONNECTED = """
select application_name, coalesce(host(client_addr), 'this machine') as host, count(*), min(backend_start) as since
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name like 'secondunit%'
group by application_name, host
order by since
limit 10"""
LEASED = """
select split_part(boot, '/', 1), max(lease_until), (extract(epoch from clock_timestamp()) * 1000000)::bigint, min(boot)
from leases
group by 1"""
# As `BoxRow.state` says it: one that says nothing for so long is gone.
UP = f"""
select name, address, seen_at
from boxes
where phase <> 'ended'
  and seen_at >= extract(epoch from clock_timestamp()) * 1000000 - least(lease, {LONGEST_SILENCE // MICROSECOND})
order by name"""
FROM = {"jobs": "jobs left join leases on leases.job = jobs.seq"}
WHERE = {"meta": " where key not in ('schema', 'home')"}
TYPES = """
select attname, format_type(atttypid, null)
from pg_attribute
where attrelid = any(%s::regclass[]) and attnum > 0 and not attisdropped"""
COUNTERS = """
select events_floor, counted, last_event, (select case when is_called then last_value else 0 end from {audit}),
  (select case when is_called then last_value else 0 end from job_numbers),
  (select case when is_called then last_value else 0 end from {deliveries})
from numbers"""
NAMES = ("events_floor", "series_counted", "last_event", "last_audit", "last_job", "last_delivery")
SEQUENCES = "select pg_get_serial_sequence('audit', 'seq'), pg_get_serial_sequence('deliveries', 'seq'), 'job_numbers'"
SET_NUMBERS = "update numbers set events_floor = %s, counted = %s, last_event = %s"
SET_SEQUENCE = "select setval(%s, greatest(%s, 1), %s > 0)"


class _WholeNumber(Loader):
    """A numeric without a fraction."""

    def load(self, data: Any) -> int:
        """As it is, of any size."""
        return int(bytes(data))


class PostgresQueue:
    """What is in a database, as one connection sees it within its transaction."""

    limits = LIMITS

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self.name = name
        self.size = 0
        self._connection = connection
        connection.adapters.register_loader("numeric", _WholeNumber)

    def rows(self, table: MovedTable) -> Iterator[Row]:
        of = [table.name, *(["leases"] if table.name in FROM else [])]
        types = dict(self._connection.execute(TYPES, (of,)).fetchall())
        selected = f"select {table.listed} from {FROM.get(table.name, table.name)}{WHERE.get(table.name, '')}"
        ordered = " order by seq" if table.columns[0] == "seq" else ""
        with self._connection.cursor() as cursor, cursor.copy(f"copy ({selected}{ordered}) to stdout") as copy:
            copy.set_types([types[column] for column in table.columns])
            yield from copy.rows()

    def counters(self) -> Mapping[str, int]:
        [audit, deliveries, _] = self._sequences()
        row = self._connection.execute(COUNTERS.format(audit=audit, deliveries=deliveries)).fetchone()
        return dict(zip(NAMES, row or (), strict=True))

    def fill(self, table: MovedTable, rows: Iterable[Row]) -> None:
        if table.name in OF_EVERY_QUEUE:
            self._connection.execute(f"delete from {table.name}{WHERE.get(table.name, '')}")
        if table.name == "jobs":
            self._fill_jobs(table, rows)
        else:
            self._copy(table.name, table.columns, rows)

    def go_on_from(self, counters: Mapping[str, int]) -> None:
        values = [counters[name] for name in ("events_floor", "series_counted", "last_event")]
        self._connection.execute(SET_NUMBERS, values)
        for sequence, last in zip(self._sequences(), ("last_audit", "last_delivery", "last_job"), strict=True):
            self._connection.execute(SET_SEQUENCE, (sequence, counters[last], counters[last]))

    def _fill_jobs(self, table: MovedTable, rows: Iterable[Row]) -> None:
        kept = [column for column in table.columns if column not in OF_LEASE]
        leases: list[Row] = []
        place = table.columns.index
        without = itemgetter(*map(place, kept))
        seq, epoch, boot, until = map(place, ("seq", "epoch", *OF_LEASE))

        def jobs() -> Iterator[Row]:
            for row in rows:
                if row[boot] is not None:
                    leases.append((row[seq], row[epoch], row[boot], row[until]))
                yield without(row)

        self._copy("jobs", kept, jobs())
        self._copy("leases", LEASE_COLUMNS.split(", "), leases)

    def _copy(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        into = f"copy {table} ({', '.join(columns)}) from stdin"
        with self._connection.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def _sequences(self) -> Sequence[str]:
        return self._connection.execute(SEQUENCES).fetchone() or ()


@contextmanager
def reading(url: str, name: str) -> Iterator[PostgresQueue]:
    """The queue of this database, of one moment, which nobody writes until this ends. Blocks.

    NotMoved, StoreBroken say why it can't be read; `name` is what it is called.
    """
    try:
        with _connected(url, name) as connection:
            schema = known_schema(connection)
            if schema != newest_schema():
                raise NotMoved(_other_schema(name, schema))
            _begin(connection, READ, name)
            _refuse_live(connection, name)
            queue = PostgresQueue(connection, name)
            [queue.size] = connection.execute("select pg_database_size(current_database())").fetchone() or (0,)
            yield queue
            connection.execute("rollback")
    except psycopg.Error as error:
        raise translated(error, name) from error


@contextmanager
def writing(url: str, name: str, *, dry: bool = False) -> Iterator[PostgresQueue]:
    """A queue in the making, which is there as a whole when this ends well; else nothing of it. Blocks.

    NotMoved says what is there already. A dry one writes nothing, and makes no tables.
    """
    try:
        with _connected(url, name) as connection:
            _fit(connection, name)
            _begin(connection, ("begin read only",) if dry else WRITE, name)
            [free] = connection.execute("select pg_try_advisory_xact_lock(%s)", (MIGRATING,)).fetchone() or (False,)
            if not free:
                raise NotMoved(f"somebody else makes or moves a queue in {name} at this moment")
            there = known_schema(connection)
            if there:
                _refuse_rows(connection, name, there)
                _refuse_live(connection, name)
            if not dry:
                migrate(connection)
                connection.execute("lock table writers in share mode")
            yield PostgresQueue(connection, name)
            connection.execute("rollback" if dry else "commit")
    except psycopg.Error as error:
        raise translated(error, name) from error


def same(one: str, other: str, names: tuple[str, str]) -> bool:
    """Whether two URLs, by what they are called, lead to one database. Blocks."""
    asked = (
        "select current_database(), coalesce(host(inet_server_addr()), ''), coalesce(inet_server_port(), 0), "
        "pg_postmaster_start_time()"
    )
    with _connected(one, names[0]) as first, _connected(other, names[1]) as second:
        found, there = first.execute(asked).fetchone(), second.execute(asked).fetchone()
        return bool(found and there and (found[0], found[3]) == (there[0], there[3]))


@contextmanager
def _connected(url: str, name: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection, closed at the end: what was not committed by then is undone."""
    try:
        named = {**options(url), "application_name": APPLICATION}
        connection = psycopg.Connection.connect(**named, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise translated(error, name) from error
    try:
        yield connection
    finally:
        connection.close()


def _begin(connection: psycopg.Connection[Any], statements: Sequence[str], name: str) -> None:
    try:
        for statement in statements:
            connection.execute(sql.SQL(statement))
    except psycopg.errors.LockNotAvailable as error:
        raise NotMoved(f"{name} is being written to: stop every daemon that uses it") from error


def _fit(connection: psycopg.Connection[Any], name: str) -> None:
    if why := unfit(connection):
        raise NotMoved(f"{name} {why}")


def _refuse_rows(connection: psycopg.Connection[Any], name: str, schema: int) -> None:
    present = "select to_regclass(%s) is not null"
    found = []
    for table in MOVED:
        [there] = connection.execute(present, (table.name,)).fetchone() or (False,)
        if there and table.name not in OF_EVERY_QUEUE:
            [n] = connection.execute(sql.SQL(f"select count(*) from {table.name}")).fetchone() or (0,)
            found += [f"{table.name} {n:,}"] if n else []
    if found:
        raise NotMoved(f"{name} is not empty (rows: {', '.join(found)}): name a database that has nothing in it yet")
    if schema > newest_schema():
        raise NotMoved(_other_schema(name, schema))


def _other_schema(name: str, schema: int) -> str:
    if not schema:
        return f"there is no queue in {name}: no daemon has made its tables yet"
    if schema > newest_schema():
        return f"{name} has schema {schema}, this program knows {newest_schema()}: use the newer program"
    return (
        f"{name} has schema {schema}, this program moves {newest_schema()}: start this version's daemon on it once, "
        "stop it, and move it then"
    )


def _refuse_live(connection: psycopg.Connection[Any], name: str) -> None:
    """NotMoved, with who it is, while a daemon lives on it, or may: one that is cut off is not connected."""
    found = [f"{application} is connected from {address} since {at:%Y-%m-%d %H:%M:%S %Z}, {n} in all"
             for application, address, n, at in connection.execute(CONNECTED).fetchall()]  # fmt: skip
    if connection.execute("select to_regclass('boxes')").fetchone() != (None,):
        found += [f"box {box} ({address}) was seen at {_shown(moment(seen))}"
                  for box, address, seen in connection.execute(UP.encode()).fetchall()]  # fmt: skip
    for box, until, now, boot in connection.execute(LEASED).fetchall():
        # A lease without a box came here by a move, and one of a remote worker outlives every daemon.
        if until >= now and "/" in boot and holder_of(boot) is None:
            found.append(f"box {box} has leases until {_shown(moment(until))}, and may be cut off from the database")
    if found:
        raise NotMoved(
            f"{name} is in use: {'; '.join(found)}. Stop every daemon that uses it (`systemctl stop secondunit` on "
            "each box); the leases of one that is gone end by their time"
        )


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"
