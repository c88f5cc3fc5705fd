"""Transaction of the writer: its connection, what is known of rows unasked (a write-through cache), events it tells."""

import sqlite3
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from secondunit.queue.model import Event, Job, JobId, Status
from secondunit.queue.stores.columns import Row, names
from secondunit.queue.stores.rows import EVENT, FIXED, MOVING, event_values
from secondunit.queue.stores.sqlite import time_series
from secondunit.queue.stores.sqlite.sparse_statements import Insert
from secondunit.queue.value import replace

LAST_EVENT = """
max(
  (select cast(value as integer) from meta where key = 'events_floor'),
  coalesce((select max(seq) from events), 0))"""
# A batch outlives its jobs, and their numbers stay its own.
LAST_JOB = "max(coalesce((select max(seq) from jobs), 0), coalesce((select max(last) from batches), 0))"
LAST_NUMBERS = f"""
select {LAST_JOB}, {LAST_EVENT},
  (select cast(value as integer) from meta where key = 'series_counted')"""
INSERT_JOBS = Insert("jobs", ["seq", *names(FIXED), *names(MOVING), "rank"])
INSERT_EVENTS = Insert("events", ["job", *names(EVENT)])
QUEUED_OF = "select count(*) from jobs where owner = ? and status = 'queued'"
COUNT = "insert into counts values (?1, ?2, ?3) on conflict do update set n = ?3"
ROWS_KEPT = 2000
COUNTED_AT_LEAST = 250
UNKNOWN, NEVER = 0, 2**62


class WriterCache:
    """What the one writer remembers from one transaction to the next, since nobody else writes.

    `running` holds running jobs, `rows` by their numbers these and some that were submitted and not touched since, each
    as its row has it; who writes a row otherwise than `jobs.write` must take it out. `due` is never later
    than the time of the first delayed job, in microseconds. `queued` counts the queued jobs of each owner that was
    asked for, under None those of all. `counted` is the last event that is in the time series. `batches` says of some
    how many of their jobs have not ended, `untold` is false once it is known that every child was told of its parents.
    """

    def __init__(self) -> None:
        self.running: dict[JobId, Job] = {}
        self.rows: dict[int, Job] = {}
        self.counts: dict[tuple[str, str], int] | None = None
        self.queued: dict[str | None, int] = {}
        self.due = UNKNOWN
        self.last_job: int | None = None
        self.last_event = 0
        self.counted = 0
        self.batches: dict[str, int] = {}
        self.untold = True

    def came(self, job: Job) -> None:
        """The job was submitted."""
        if len(self.rows) < ROWS_KEPT:
            self.rows[job.seq] = job

    def moved(self, job: Job) -> None:
        """The job's row is as this says now."""
        if job.status is Status.RUNNING:
            self.running[job.id] = self.rows[job.seq] = job
        else:
            self.drop(job)

    def drop(self, job: Job) -> None:
        """The job's row is not what it was taken for, or no longer of interest."""
        self.rows.pop(job.seq, None)
        self.running.pop(job.id, None)

    def forget(self) -> None:
        """Something was undone: what is known may not be so."""
        self.running.clear()
        self.rows.clear()
        self.counts = None
        self.queued.clear()
        self.due = UNKNOWN
        self.last_job = None
        self.batches.clear()
        self.untold = True


class Transaction:
    """One transaction of the writer.

    New jobs are written together, before any other statement runs: until then they are `fresh`, by their numbers, each
    with its values of FIXED and MOVING. What is told and counted is written by `flush`. `news` are the moved parents
    (their numbers, the last child told, the time) whose children are being told, of which `informed` were.
    """

    def __init__(self, connection: sqlite3.Connection, known: WriterCache) -> None:
        self.known = known
        self.fresh: dict[int, tuple[Job, Row, Row]] = {}
        self.events: list[Event] = []
        self.news: deque[tuple[int, int, datetime]] = deque()
        self.telling = False
        self.informed = 0
        self._connection = connection
        self._untold: list[tuple[int, Event]] = []
        self._counted: dict[tuple[str, str], int] = {}

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; it sees everything that was written before."""
        if self.fresh:
            self.write()
        return self._connection.execute(sql, values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row."""
        if self.fresh:
            self.write()
        self._connection.executemany(sql, rows)

    def insert(self, job: Job, fixed: Row, moving: Row) -> None:
        """Store a new job, or what became of it since."""
        self.fresh[job.seq] = job, fixed, moving

    def write(self) -> None:
        """Write the new jobs now."""
        fresh, self.fresh = self.fresh.values(), {}
        rows = ((job.seq, *fixed, *moving, job.priority) for job, fixed, moving in fresh)
        INSERT_JOBS(self._connection.execute, rows)

    def leave(self, something: bool) -> None:
        """Whether something is left to a later transaction."""
        self.known.untold = something

    def trace(self) -> tuple[int, int, int]:
        """Something that differs once more was written."""
        return self._connection.total_changes, len(self.events), len(self.fresh)

    def number(self, jobs: int) -> int:
        """The last job's number so far; so many more are given out after it."""
        last = self._last_job()
        self.known.last_job = last + jobs
        return last

    def count(self, type: str, status: Status, n: int, owner: str | None = None) -> None:
        """So many jobs more of a type, and of an owner, have this status."""
        counted, key = self._counted, (type, status.value)
        counted[key] = counted.get(key, 0) + n
        if status is Status.QUEUED and (queued := self.known.queued):
            for whose in (None,) if owner is None else (None, owner):
                if whose in queued:
                    queued[whose] += n

    def stand(self, type: str, status: Status) -> int:
        """How many jobs of a type have this status."""
        key = type, status.value
        return self._counts().get(key, 0) + self._counted.get(key, 0)

    def queued(self, owner: str | None) -> int:
        """How many jobs are queued, of an owner or (None) in all."""
        known = self.known.queued
        if owner not in known:
            if owner is None:
                types = {type for type, _ in (*self._counts(), *self._counted)}
                known[owner] = sum(self.stand(type, Status.QUEUED) for type in types)
            else:
                [known[owner]] = self.execute(QUEUED_OF, (owner,)).fetchone()
        return known[owner]

    def tell(self, job: Job, event: Event) -> None:
        """Store the event under the next number, and tell it to the listeners after the commit."""
        known = self.known
        if known.last_job is None:
            self._last_job()
        known.last_event += 1
        event = replace(event, seq=known.last_event)
        self.events.append(event)
        self._untold.append((job.seq, event))

    def flush(self) -> None:
        """Write what is not written yet."""
        if self.fresh:
            self.write()
        if self._untold:
            INSERT_EVENTS(self.execute, [(job, *event_values(event)) for job, event in self._untold])
            self._untold = []
        if self._counted:
            counts = self._counts()
            changed = [(*key, counts.get(key, 0) + n) for key, n in self._counted.items() if n]
            self.executemany(COUNT, changed)
            counts.update(((type, status), n) for type, status, n in changed)
            self._counted.clear()
        if self.known.last_job is not None and self.known.last_event >= self.known.counted + COUNTED_AT_LEAST:
            self._count_moves()

    def count_moves(self) -> None:
        """Write, and have the time series count all that was told."""
        self.flush()
        self._last_job()
        if self.known.counted < self.known.last_event:
            self._count_moves()

    def _count_moves(self) -> None:
        stand: dict[tuple[str, Status | None], int] = {
            (type, Status(status)): n for (type, status), n in self._counts().items()
        }
        time_series.count(self, self.known.counted, self.known.last_event, stand)
        self.known.counted = self.known.last_event

    def take_back(self, events: int) -> None:
        """Forget all but the first so many events, and what is not written: what came after them was undone."""
        del self.events[events:]
        self.fresh = {}
        self.news.clear()
        self.telling = False
        self._untold = []
        self._counted.clear()
        self.known.forget()

    def _counts(self) -> dict[tuple[str, str], int]:
        if self.known.counts is None:
            rows = self.execute("select type, status, n from counts").fetchall()
            self.known.counts = {(type, status): n for type, status, n in rows}
        return self.known.counts

    def _last_job(self) -> int:
        known = self.known
        if known.last_job is None:
            known.last_job, known.last_event, known.counted = self.execute(LAST_NUMBERS).fetchone()
        return known.last_job
