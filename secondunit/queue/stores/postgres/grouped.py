"""Grouped statements: rows that a transaction moves, gathered and written many to a statement.

A statement costs its client a hundred microseconds and its server as much to plan, whatever it writes; and while the
numbers are locked, every other daemon waits for it.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import psycopg

Statement = tuple[str, Sequence[Any]]
Row = Mapping[str, Any]
LEASE = """
insert into leases (job, lease_epoch, boot, lease_until)
select * from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[])
on conflict (job) do update
set lease_epoch = excluded.lease_epoch, boot = excluded.boot, lease_until = excluded.lease_until"""
FREE = "delete from leases where job = any(%s)"


class Groups:
    """What is to be written to jobs and leases, by their numbers; of a job that is moved again, what came of it."""

    def __init__(self) -> None:
        self._fresh: dict[int, Row] = {}
        self._moved: dict[int, dict[str, Any]] = {}
        self._leased: dict[int, tuple[Any, ...] | None] = {}

    def insert(self, seq: int, row: Row) -> None:
        """A new job."""
        self._fresh[seq] = row

    def move(self, seq: int, columns: Row) -> None:
        """These columns of a job's row have other values."""
        self._moved.setdefault(seq, {}).update(columns)

    def lease(self, seq: int, values: tuple[Any, ...] | None) -> None:
        """The job has this lease, or none."""
        self._leased[seq] = values

    def taken(self) -> list[Statement]:
        """The statements that write all of it; it is theirs from now on."""
        if not (self._fresh or self._moved or self._leased):
            return []
        alike: dict[tuple[str, ...], list[tuple[int, dict[str, Any]]]] = {}
        for seq, columns in self._moved.items():
            alike.setdefault(tuple(sorted(columns)), []).append((seq, columns))
        statements = [] if not self._fresh else [inserted("jobs", sorted(self._fresh.values(), key=_work))]
        statements += [_moved(names, rows) for names, rows in alike.items()]
        leased = [values for values in self._leased.values() if values]
        if leased:
            statements.append((LEASE, [list(column) for column in zip(*leased, strict=True)]))
        if freed := [seq for seq, values in self._leased.items() if not values]:
            statements.append((FREE, (freed,)))
        self._fresh, self._moved, self._leased = {}, {}, {}
        return statements


def _work(row: Row) -> str:
    """The same work in one order whoever inserts it, so that two daemons never wait for one another's."""
    return row["dedupe_key"] or ""


def inserted(table: str, rows: Sequence[Row]) -> Statement:
    """One INSERT of rows that have the same columns."""
    names = tuple(rows[0])
    if len(rows) == 1:
        return _insert_one(table, names), [*rows[0].values()]
    return _insert_many(table, names), (as_json(rows),)


def _moved(names: tuple[str, ...], rows: Sequence[tuple[int, dict[str, Any]]]) -> Statement:
    if len(rows) == 1:
        [(seq, columns)] = rows
        return _update_one(names), (*(columns[name] for name in names), seq)
    values = [{"seq": seq, **columns} for seq, columns in rows]
    return _update_many(names), (as_json(values), [seq for seq, _ in rows])


@lru_cache(maxsize=8)
def _insert_one(table: str, names: tuple[str, ...]) -> str:
    return f"insert into {table} ({', '.join(names)}) values ({', '.join(['%s'] * len(names))})"


@lru_cache(maxsize=8)
def _insert_many(table: str, names: tuple[str, ...]) -> str:
    columns = ", ".join(names)
    return f"insert into {table} ({columns}) select {columns} from json_populate_recordset(null::{table}, %s::json)"


@lru_cache(maxsize=128)
def _update_one(names: tuple[str, ...]) -> str:
    return f"update jobs set {', '.join(f'{name} = %s' for name in names)} where seq = %s"


@lru_cache(maxsize=128)
def _update_many(names: tuple[str, ...]) -> str:
    sets = ", ".join(f"{name} = moved.{name}" for name in names)
    return f"""
update jobs
set {sets}
from json_populate_recordset(null::jobs, %s::json) as moved
where jobs.seq = moved.seq and jobs.seq = any(%s)"""


def as_json(rows: Sequence[Row]) -> str:
    """As JSON; PostgreSQL's text has no NUL, which a program's message may hold, and its bytes are hexadecimal."""
    try:
        told = msgspec.json.encode([_spelled(row) for row in rows])
        if b"\\u0000" in told:
            told = msgspec.json.encode([_without_nul(_spelled(row)) for row in rows])
    except (TypeError, ValueError) as error:
        raise psycopg.ProgrammingError(f"a row can't be sent: {error}") from error
    return told.decode()


def _spelled(row: Row) -> Row:
    found = {name: f"\\x{value.hex()}" for name, value in row.items() if isinstance(value, bytes)}
    return {**row, **found} if found else row


def _without_nul(row: Row) -> Row:
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in row.items()}
