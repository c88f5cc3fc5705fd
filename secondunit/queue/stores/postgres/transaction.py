"""Transaction of the writer: statements, deferred where nobody waits for their rows, and numbers given at its end."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from secondunit.queue.model import Event, Job, JobId, Status
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.postgres import time_series
from secondunit.queue.stores.postgres.connection import BEGIN
from secondunit.queue.stores.postgres.grouped import Groups, Row, Statement, inserted
from secondunit.queue.stores.rows import EVENT, event_from, event_values
from secondunit.queue.value import replace

COUNTED_AT_LEAST = 250
LOCK_NUMBERS = "select last_job, last_event, counted from numbers for update"
SET_NUMBERS = "update numbers set last_job = %s, last_event = %s, counted = %s"
COUNT = """
insert into counts values (%s, %s, greatest(%s, 0))
on conflict (type, status) do update set n = counts.n + %s"""
EVENT_COLUMNS = ("job", *names(EVENT))
EVENTS = f"""
select {", ".join("e." + column for column in names(EVENT))}, j.id, j.type, j.owner
from events e
join jobs j on j.seq = e.job
where e.seq > %s"""
QUEUED = "select coalesce(sum(n), 0)::bigint from counts where status = 'queued'"
STANDING = "select type, n from counts where type = any(%s) and status = %s"
QUEUED_OF = "select count(*) from jobs where owner = %s and status = 'queued'"
# Fails by a division by zero unless this writer's last operation is the one that it thinks: see `PostgresWriter`.
FENCE = """
with moved as (
  update writers set op = %s, opened_at = now() where writer = %s and op = %s returning 1)
select 1 / count(*) from moved"""


class Operation(NamedTuple):
    """What a transaction leaves in the table of writers: whose operation it is, the one before it, and its number."""

    writer: str
    before: int
    number: int


class Numbers:
    """The numbers of the last job and event, and of the last event that is in the time series."""

    def __init__(self, last_job: int, last_event: int, counted: int) -> None:
        self.last_job, self.last_event, self.counted = last_job, last_event, counted


class PostgresTransaction:
    """One transaction. What is sent waits for the next statement whose rows are asked for: they go out together.

    `told` is the last event that this store's listeners know; `events` are those that they are to know after the
    commit, other daemons' too. `goes_on` says that a part of the work is left to a later transaction. `news` are the
    moved parents (their numbers, the last child told, the time) whose children are being told; `informed` were.
    `known` are jobs whose rows are locked and read already; what is written by `jobs.write` is known as it is then.
    """

    def __init__(self, connection: psycopg.Connection[Any], told: int) -> None:
        self.events: list[Event] = []
        self.news: deque[tuple[int, int, datetime]] = deque()
        self.telling = False
        self.informed = 0
        self.goes_on = False
        self.known: dict[JobId, Job] = {}
        self._groups = Groups()
        self._connection = connection
        self._told = told
        self._pending: list[Statement] = [(text, ()) for text in BEGIN]
        self._began = False
        self._writes = 0
        self._untold: list[tuple[int, Event]] = []
        self._counted: Counter[tuple[str, str]] = Counter()
        self._numbers: Numbers | None = None
        self._queued: int | None = None

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement; it sees everything that was sent before. Its rows."""
        return self._run([(sql, values)])

    def execute_both(self, first: Statement, second: Statement) -> list[Any]:
        """Run two, one after the other; the second sees what was committed while the first waited. Its rows."""
        return self._run([first, second])

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement that writes, and may return rows."""
        self._writes += 1
        return self._run([(sql, values)])

    def wrote_something(self) -> None:
        """Something was written by a statement that may also write nothing."""
        self._writes += 1

    def send(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Have a statement run that writes, before any later one."""
        self._writes += 1
        self._pending += [*self._groups.taken(), (sql, values)]

    def insert(self, seq: int, row: Row) -> None:
        """Have a new job written, before any later statement runs."""
        self._writes += 1
        self._groups.insert(seq, row)

    def move(self, seq: int, columns: Row) -> None:
        """Have these columns of a job written, likewise."""
        self._writes += 1
        self._groups.move(seq, columns)

    def lease(self, seq: int, values: tuple[Any, ...] | None) -> None:
        """Have a job's lease written (number, epoch, boot, end), or that it has none, likewise."""
        self._writes += 1
        self._groups.lease(seq, values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """As `send`, for each row."""
        for row in rows:
            self.send(sql, row)

    @property
    def wrote(self) -> bool:
        """Whether anything is to be committed."""
        return self._writes > 0

    def leave(self, something: bool) -> None:
        """Whether something is left to a later transaction."""
        self.goes_on = something

    def trace(self) -> object:
        """Another one after anything was written, or is to be."""
        return self._writes

    def numbers(self) -> Numbers:
        """The numbers so far, which nobody else gives out from now on until the end of this transaction."""
        if self._numbers is None:
            [row] = self._run([(LOCK_NUMBERS, ())])
            self._numbers = Numbers(*row)
            self._catch_up(self._numbers.last_event)
        return self._numbers

    def count(self, type: str, status: Status, n: int) -> None:
        """So many jobs more of a type have this status."""
        self._writes += 1
        self._counted[type, status.value] += n

    def queued(self, owner: str | None) -> int:
        """How many jobs are queued, of an owner or (None) in all; nobody else adds any until the end."""
        self.numbers()
        if owner is not None:
            [[n]] = self.execute(QUEUED_OF, (owner,))
            return int(n)
        if self._queued is None:  # asked once: each time is a way to the server and back, for which every daemon waits
            [[self._queued]] = self.execute(QUEUED)
        return self._queued + sum(n for (_, status), n in self._counted.items() if status == Status.QUEUED)

    def running(self, types: Sequence[str]) -> Mapping[str, int]:
        """How many jobs of these types run; nobody else starts any until the end."""
        self.numbers()
        return self._standing(types, Status.RUNNING)

    def some_wait(self, types: Sequence[str]) -> Sequence[str]:
        """Those of these types of which jobs are queued; others may add or start some."""
        return [type for type, n in self._standing(types, Status.QUEUED).items() if n > 0]

    def tell(self, job: Job, event: Event) -> None:
        """Store the event under the next number, and tell it to the listeners after the commit."""
        self._writes += 1
        self._untold.append((job.seq, event))

    def finish(self, operation: Operation) -> None:
        """Write what is not written yet, and all that it needs to be committed; `commit` is to follow."""
        if self._untold or self._counted:
            self._number()
        if self._numbers and self._writes and self._numbers.last_event >= self._numbers.counted + COUNTED_AT_LEAST:
            self._count_moves(self._numbers)
        if self._numbers and self._writes:
            self.send(SET_NUMBERS, (self._numbers.last_job, self._numbers.last_event, self._numbers.counted))
        if self._writes:
            self._pending.append((FENCE, (operation.number, operation.writer, operation.before)))

    def commit(self) -> None:
        """Commit, with what waits; the server needs nothing more of us for it."""
        self._run([("commit", ())])

    def roll_back(self) -> None:
        """Undo it all."""
        self._pending = []
        if self._began and not self._connection.closed:
            self._connection.execute("rollback")

    def count_moves(self) -> None:
        """Write, and have the time series count all that was told."""
        numbers = self.numbers()
        self._number()
        if numbers.counted < numbers.last_event:
            self._count_moves(numbers)

    def _standing(self, types: Sequence[str], status: Status) -> Counter[str]:
        found = Counter(dict(self.execute(STANDING, (list(types), status.value))))
        found.update({type: n for (type, of), n in self._counted.items() if of == status and type in types})
        return found

    def _number(self) -> None:
        numbers = self.numbers()
        rows = []
        for job, event in self._untold:
            numbers.last_event += 1
            numbered = replace(event, seq=numbers.last_event)
            self.events.append(numbered)
            rows.append(dict(zip(EVENT_COLUMNS, (job, *event_values(numbered)), strict=True)))
        if rows:
            self.send(*inserted("events", rows))
        self._untold = []
        for (type, status), n in sorted(self._counted.items()):
            if n:
                self.send(COUNT, (type, status, n, n))
        self._counted.clear()
        self._queued = None

    def _count_moves(self, numbers: Numbers) -> None:
        rows = self.execute("select type, status, n from counts")
        stand: dict[tuple[str, Status | None], int] = {(type, Status(status)): n for type, status, n in rows}
        time_series.count(self, numbers.counted, numbers.last_event, stand)
        numbers.counted = numbers.last_event

    def _catch_up(self, last: int) -> None:
        """Take in what other daemons told since ours were last told something: it comes before what we tell."""
        if last > self._told:
            rows = self.execute(f"{EVENTS} and e.seq <= %s order by e.seq", (self._told, last))
            self.events.extend(event_from(row) for row in rows)

    def _run(self, statements: Sequence[Statement]) -> list[Any]:
        waiting, self._pending = [*self._pending, *self._groups.taken(), *statements], []
        self._began = True
        try:
            if len(waiting) == 1:
                cursor = self._connection.execute(*waiting[0])
            else:
                with self._connection.pipeline():
                    cursor = [self._connection.execute(*statement) for statement in waiting][-1]
        except (TypeError, ValueError) as error:  # the values of one that waited, maybe of another write: none was done
            raise psycopg.ProgrammingError(f"a statement can't be sent: {error}") from error
        return cursor.fetchall() if cursor.description else []
