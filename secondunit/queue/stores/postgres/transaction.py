"""Transaction of the writer: statements, deferred where nobody waits for their rows; events, numbered at its end."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from secondunit.queue.model import Event, Job, JobId, Status
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.postgres.connection import BEGIN
from secondunit.queue.stores.postgres.grouped import Groups, Row, Statement
from secondunit.queue.stores.postgres.sealing import Operation, fence, seal
from secondunit.queue.stores.rows import EVENT
from secondunit.queue.value import replace

COMMIT: Statement = ("commit", ())
HOLD = "select 1 from numbers for update"
SEQS = "select nextval('job_numbers') from generate_series(1, %s)"
EVENTS = f"""
select {", ".join("e." + column for column in names(EVENT))}, j.id, j.type, j.owner
from events e
join jobs j on j.seq = e.job
where e.seq > %s"""
QUEUED = "select coalesce(sum(n), 0)::bigint from counts where status = 'queued'"
STANDING = "select type, n from counts where type = any(%s) and status = %s"
QUEUED_OF = "select count(*) from jobs where owner = %s and status = 'queued'"
# Both fail by a division by zero.
QUEUED_AT_MOST = "select 1 / (coalesce(sum(n), 0) <= %s)::int from counts where status = 'queued'"
QUEUED_OF_AT_MOST = "select 1 / (count(*) <= %s)::int from jobs where owner = %s and status = 'queued'"


class Ahead(NamedTuple):
    """All that a work reads or writes of jobs: these ones, so many new ones, and such as it finds itself."""

    jobs: Sequence[JobId] = ()
    fresh: int = 0


class PostgresTransaction:
    """One transaction. What is sent waits for the next statement whose rows are asked for: they go out together.

    After the commit `events` are those that the listeners are to know, under their numbers, which follow `first`, and
    `counted` is the last one that is in the time series. `goes_on` says that a part of the work is left to a later
    transaction. `news` are the moved parents (their numbers, the last child told, the time) whose children are being
    told; `informed` were. `known` are jobs whose rows are locked and read already; what is written by `jobs.write` is
    known as it is then. `seen` are idempotency keys that were looked at, with their jobs. An `exact` transaction judges
    by what nobody else changes until its end; any other by what stands there, and fails at its end if that has changed.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], begin: Sequence[str] = BEGIN, *, exact: bool = False
    ) -> None:
        self.events: list[Event] = []
        self.first: int | None = None
        self.counted = 0
        self.news: deque[tuple[int, int, datetime]] = deque()
        self.telling = False
        self.informed = 0
        self.goes_on = False
        self.known: dict[JobId, Job] = {}
        self.seen: dict[str, JobId] = {}
        self.exact = exact
        self._groups = Groups()
        self._connection = connection
        self._pending: list[Statement] = [(text, ()) for text in begin]
        self._began = False
        self._writes = 0
        self._untold: list[tuple[int, Event]] = []
        self._counted: Counter[tuple[str, str]] = Counter()
        self._seqs: list[int] = []
        self._queued: int | None = None
        self._bounds: dict[tuple[str, ...], int] = {}
        self._late: list[Statement] = []
        self._held = False

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement; it sees everything that was sent before. Its rows."""
        return self.ask([(sql, values)])[0]

    def write(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement that writes, and may return rows."""
        self._writes += 1
        return self.execute(sql, values)

    def wrote_something(self) -> None:
        """Something was written by a statement that may also write nothing."""
        self._writes += 1

    def send(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Have a statement run that writes, before any later one."""
        self._writes += 1
        self._pending += [*self._groups.taken(), (sql, values)]

    def send_last(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Have a statement run that writes what everybody writes, after any other one."""
        self._writes += 1
        self._late.append((sql, values))

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

    @property
    def tells(self) -> bool:
        """Whether it moves a job, or tells of one."""
        return bool(self._untold or self._counted)

    def leave(self, something: bool) -> None:
        """Whether something is left to a later transaction."""
        self.goes_on = something

    def trace(self) -> object:
        """Another one after anything was written, or is to be."""
        return self._writes

    def foresee(self, statements: Sequence[Statement], fresh: int) -> list[Any]:
        """Run these, and learn what adding so many jobs asks for, at once; the rows of the last one."""
        adding: list[Statement] = [(SEQS, (fresh,)), (QUEUED, ())] if fresh else []
        rows = self.ask([*statements, *adding])
        if adding:
            *rows, seqs, [[self._queued]] = rows
            self._seqs = [seq for (seq,) in seqs]
        return rows[-1] if rows else []

    def take_seqs(self, n: int, *, together: bool) -> Sequence[int]:
        """So many growing numbers for new jobs; `together` without any of others' in between."""
        while len(self._seqs) < n or (n and together and self._seqs[n - 1] - self._seqs[0] >= n):
            kept = [] if together else self._seqs
            self._seqs = kept + [seq for (seq,) in self.execute(SEQS, (n - len(kept),))]
        taken, self._seqs = self._seqs[:n], self._seqs[n:]
        return taken

    def hold(self) -> None:
        """From now on until the end nobody else moves a job or tells of one: whoever does waits at its own end."""
        if not self._held:
            self.execute(HOLD)
            self._held, self._queued = True, None

    def count(self, type: str, status: Status, n: int) -> None:
        """So many jobs more of a type have this status."""
        self._writes += 1
        self._counted[type, status.value] += n

    def queued(self, owner: str | None) -> int:
        """How many jobs are queued, of an owner or (None) in all."""
        if self.exact:
            self.hold()
        if owner is not None:
            [[n]] = self.execute(QUEUED_OF, (owner,))
            return int(n)
        if self._queued is None:
            [[self._queued]] = self.execute(QUEUED)
        return self._queued + sum(n for (_, status), n in self._counted.items() if status == Status.QUEUED)

    def bound_queued(self, most: int, owner: str | None) -> None:
        """Have the end fail if more are queued then, of an owner or (None) in all: others may add some until then."""
        bound = (QUEUED_AT_MOST,) if owner is None else (QUEUED_OF_AT_MOST, owner)
        if not self._held:
            self._bounds[bound] = min(most, self._bounds.get(bound, most))

    def running(self, types: Sequence[str]) -> Mapping[str, int]:
        """How many jobs of these types run; nobody else starts any until the end."""
        self.hold()
        return self._standing(types, Status.RUNNING)

    def some_wait(self, types: Sequence[str]) -> Sequence[str]:
        """Those of these types of which jobs are queued; others may add or start some."""
        return [type for type, n in self._standing(types, Status.QUEUED).items() if n > 0]

    def tell(self, job: Job, event: Event) -> None:
        """Store the event under the next number, and tell it to the listeners after the commit."""
        self._writes += 1
        self._untold.append((job.seq, event))

    def finish(self, operation: Operation) -> None:
        """Have all written that is needed for it to be committed; `commit` is to follow."""
        self._pending += [*self._groups.taken(), *self._late]
        if self.tells:
            self._pending.append(seal(self._untold, self._counted, operation))
        elif self._writes:
            self._pending.append(fence(operation))
        self._late = [(sql, (most, *owner)) for (sql, *owner), most in self._bounds.items()]

    def commit(self) -> None:
        """Commit, with what waits; the server needs nothing more of us for it."""
        if not (self._began or self._writes):
            return
        sealed = len(self._pending) - 1
        rows = self._run([*self._pending, *self._late, COMMIT])
        if self.tells:
            [[self.first, self.counted, _]] = rows[sealed]
            told = enumerate(self._untold, self.first + 1)
            self.events = [replace(event, seq=seq) for seq, (_, event) in told]

    def roll_back(self) -> None:
        """Undo it all."""
        self._pending = []
        if self._began and not self._connection.closed:
            self._connection.execute("rollback")

    def ask(self, statements: Sequence[Statement]) -> list[list[Any]]:
        """Run several, one after the other; each sees what was committed while the one before waited. Their rows."""
        waiting, self._pending = [*self._pending, *self._groups.taken(), *statements], []
        return self._run(waiting)[-len(statements) :] if statements else [[]]

    def _standing(self, types: Sequence[str], status: Status) -> Counter[str]:
        found = Counter(dict(self.execute(STANDING, (list(types), status.value))))
        found.update({type: n for (type, of), n in self._counted.items() if of == status and type in types})
        return found

    def _run(self, statements: Sequence[Statement]) -> list[list[Any]]:
        self._began = True
        try:
            if len(statements) == 1:
                cursors = [self._connection.execute(*statements[0])]
            else:
                with self._connection.pipeline():
                    cursors = [self._connection.execute(*statement) for statement in statements]
        except (TypeError, ValueError) as error:  # the values of one that waited, maybe of another write: none was done
            raise psycopg.ProgrammingError(f"a statement can't be sent: {error}") from error
        return [[] if cursor.rownumber is None else cursor.fetchall() for cursor in cursors]
