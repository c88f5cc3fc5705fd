"""Writing session: one connection after the other, transactions that are done exactly once whatever becomes of it.

Every commit raises this writer's number in the table of writers, from the one before: after a connection was lost in
the middle of a commit that number says whether it was done, and is then raised, so that it can't be done any more.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from secondunit.queue.model import Event
from secondunit.queue.stores.group_commit import Entry
from secondunit.queue.stores.postgres.connection import (
    AGAIN,
    ANOTHER,
    BEGIN,
    gave_up,
    keep_plans,
    migrate,
    translated,
)
from secondunit.queue.stores.postgres.failover.lineage import Lineage
from secondunit.queue.stores.postgres.failover.servers import Servers
from secondunit.queue.stores.postgres.sealing import Operation
from secondunit.queue.stores.postgres.transaction import EVENTS, Ahead, PostgresTransaction
from secondunit.queue.stores.rows import event_from

TRIES = 8
PATIENCE, REST = 60.0, 0.5  # seconds that a server is waited for which refuses connections, and between two tries
EVENTS_AT_ONCE = 1000
COUNTED_AT_LEAST = 250
NOTE = "insert into writers (writer, op) values (%s, 0)"
# `opened_at` is when it last wrote: one that lives beats every few seconds.
FORGET = "delete from writers where writer = %s or opened_at < now() - interval '30 days'"
LAST = "select op from writers where writer = %s for update"
RAISE = "update writers set op = %s, opened_at = now() where writer = %s"
NEWS = "select last_event, exists (select 1 from untold) from numbers"
READ_ONLY = "25006"
DIVISION_BY_ZERO = "22012"  # the fence of a transaction

Foresee = Callable[[PostgresTransaction, Sequence[str], int], None]


class _Lost(Exception):
    """The connection was lost; `commits`, after the commit of that number had been sent."""

    def __init__(self, commits: int | None) -> None:
        super().__init__()
        self.commits = commits


class Session:
    """A writer's connection, renewed when it is lost. Blocks.

    `more` says that a part of somebody's work was left for later, `uncounted` that the time series is to take in what
    was told.
    """

    def __init__(self, servers: Servers, foresee: Foresee, lineage: Lineage, patience: float = PATIENCE) -> None:
        self.more, self.uncounted = True, False
        self.version = ""
        self._servers = servers
        self._foresee = foresee
        self._lineage = lineage
        self._patience = patience
        self._name = secrets.token_hex(8)
        self._op = 0
        self._connection = servers.connect()
        servers.keep()
        self._begin: Sequence[str] = BEGIN

    def open(self) -> None:
        """Bring the schema up to date, and be known as a writer."""
        try:
            migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self.version = self._connection.info.parameter_status("server_version") or ""
        self._connection.execute(FORGET, ("",))
        self._lineage.begin(self._connection)
        self._connection.execute(NOTE, (self._name,))
        self._begin = keep_plans(self._connection)

    def close(self) -> None:
        """Be forgotten, and disconnect."""
        with contextlib.suppress(psycopg.Error):
            self._connection.execute(FORGET, (self._name,))
        self._connection.close()

    def commit(self, batch: Sequence[Entry]) -> list[Event]:
        """Do all of them, in one transaction if that goes well; what the listeners are to be told.

        An entry that is refused has its error for an outcome, and leaves nothing behind.
        """
        self._leave_old()
        try:
            events = self._done(batch)
        except psycopg.Error:
            events = None
        if events is None:
            events = [event for entry in batch for event in self._alone(entry)]
        return events

    def look(self) -> list[Event]:
        """What other daemons told since."""
        self._leave_old()
        [(last, self.more)] = self._read(NEWS)
        return self._heard(self._told_by(last, EVENTS_AT_ONCE)) if last > self._lineage.told else []

    def _leave_old(self) -> None:
        """Lose a connection whose server another one has followed meanwhile."""
        if self._servers.passed(self._connection):
            self._connection.close()

    def _alone(self, entry: Entry) -> list[Event]:
        for left in reversed(range(TRIES)):
            try:
                return self._done([entry], exact=True) or []
            except psycopg.Error as error:
                if left and error.sqlstate in (*AGAIN, *ANOTHER):
                    continue
                entry.outcome = error if isinstance(error, psycopg.IntegrityError) else translated(error)
                break
        return []

    def _done(self, batch: Sequence[Entry], *, exact: bool = False) -> list[Event] | None:
        """Commit them together; None when one of them was refused halfway, and nothing was done."""
        while True:
            transaction = PostgresTransaction(self._connection, self._begin, exact=exact)
            try:
                whole = self._try(transaction, batch)
            except _Lost as lost:
                if self._connect_again(lost.commits):
                    return self._ended(transaction)
                continue
            return self._ended(transaction) if whole else None

    def _try(self, transaction: PostgresTransaction, batch: Sequence[Entry]) -> bool:
        commits = None
        try:
            ahead: list[Ahead] = [entry.ahead for entry in batch if entry.ahead]
            self._foresee(transaction, [id for one in ahead for id in one.jobs], sum(one.fresh for one in ahead))
            for entry in batch:
                before = transaction.trace()
                if not _worked(transaction, entry) and transaction.trace() != before:
                    transaction.roll_back()
                    return False
                if entry.ahead is None:
                    transaction.known.clear()
            operation = Operation(self._name, self._op, self._op + 1)
            transaction.finish(operation)
            commits = operation.number if transaction.wrote else None
            transaction.commit()
            self._op = self._op if commits is None else commits
        except psycopg.Error as error:
            if self._connection.closed or error.sqlstate == READ_ONLY:
                raise _Lost(commits) from error
            transaction.roll_back()
            self._gave_up(error)
            if error.sqlstate == DIVISION_BY_ZERO:
                self._was_done(None)  # unless somebody began anew, it was another division
            raise
        return True

    def _ended(self, transaction: PostgresTransaction) -> list[Event]:
        self.more |= transaction.goes_on
        if not transaction.tells:
            return []
        if transaction.first is None:  # the answer was lost, and with it under which numbers they stand
            [(last, _)] = self._read(NEWS)
            return self._heard(self._told_by(last))
        others = self._told_by(transaction.first) if transaction.first > self._lineage.told else []
        events = self._heard([*others, *transaction.events])
        self.uncounted = self._lineage.told - transaction.counted >= COUNTED_AT_LEAST
        return events

    def _told_by(self, last: int, limit: int | None = None) -> list[Event]:
        rows = self._read(f"{EVENTS} and e.seq <= %s order by e.seq limit %s", (self._lineage.told, last, limit))
        return [event_from(row) for row in rows]

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        while True:
            try:
                return self._connection.execute(sql, values).fetchall()
            except psycopg.Error as error:
                if self._gave_up(error):
                    continue
                if not self._connection.closed:
                    raise translated(error) from error
                self._connect_again(None)

    def _gave_up(self, error: psycopg.Error) -> bool:
        """Whether the session turned out not to be ours alone."""
        given_up = gave_up(self._connection, error)
        self._begin = BEGIN if given_up else self._begin
        return given_up

    def _heard(self, events: list[Event]) -> list[Event]:
        if events:
            self._lineage.heard(events[-1])
        return events

    def _connect_again(self, commits: int | None) -> bool:
        """Connect as soon as that is possible; whether the transaction was committed that had been sent."""
        self._connection.close()
        for left in reversed(range(max(1, int(self._patience / REST)))):
            try:
                self._connection = self._servers.connect()
                self._servers.keep()
                self._begin = keep_plans(self._connection)
                return self._was_done(commits)
            except psycopg.Error as error:
                if not left:
                    raise translated(error) from error
            time.sleep(REST)
        raise AssertionError

    def _was_done(self, commits: int | None) -> bool:
        """What became of the last commit; if it was not done yet, it can't be done from now on."""
        with self._connection.transaction():
            [last] = self._connection.execute(LAST, (self._name,)).fetchone() or (-1,)
            broken = self._lineage.lost(self._connection, known=last >= self._op)
            done = bool(last == commits)
            if not done and not broken:
                self._connection.execute(RAISE, (self._op + 1, self._name))
        if broken:
            raise broken
        self._op += 1
        return done


def _worked(transaction: PostgresTransaction, entry: Entry) -> bool:
    try:
        entry.outcome = entry.work(transaction)
    except psycopg.Error:
        raise  # the transaction failed with it
    except BaseException as error:  # noqa: BLE001  the decision's own error belongs to its caller, not to this thread
        entry.outcome = error
        return False
    return True
