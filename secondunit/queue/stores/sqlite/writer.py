"""Single writer thread with group commit: whole transactions as functions; those that wait together commit together."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from secondunit.queue.errors import QueueError, StoreBroken, StoreFull
from secondunit.queue.model import Event
from secondunit.queue.stores.group_commit import Entry, GroupCommit, Work
from secondunit.queue.stores.sqlite.ballast import Ballast
from secondunit.queue.stores.sqlite.connection import connect_writer, translated
from secondunit.queue.stores.sqlite.transaction import NEVER, Transaction, WriterCache

T = TypeVar("T")
IDLE_BEFORE_CHECKPOINT = 1.0
LONGEST_WAL = 64 << 20


class Writer:
    """Runs write functions one after the other on its own thread, many to a commit, each whole or not at all.

    A caller learns of its write, and the listeners of its events, only after the commit. A caller that was cancelled is
    still committed. `go_on` does the next part of a work that is too long for one transaction, while there is any.
    `whole`: the opening has looked through all of it.
    """

    def __init__(
        self, path: Path, synchronous: str, ballast: Ballast, loop: asyncio.AbstractEventLoop, *, go_on: Work
    ) -> None:
        self.commits = GroupCommit(loop, self._serve)
        self.whole = False
        self._path = path
        self._log = f"{path}-wal"
        self._ballast = ballast
        self._synchronous = synchronous
        self._go_on = go_on
        self._stuck = False
        self._known = WriterCache()

    async def open(self) -> None:
        """Open the database, or raise why it can't be."""
        await self.commits.open()

    @property
    def none_delayed(self) -> bool:
        """Whether it is known that no job waits for its time."""
        return self._known.due == NEVER

    def run(self, work: Callable[[Transaction], T], *, spends: bool = True) -> asyncio.Future[T]:
        """Run `work` within a transaction; its result, once that is committed.

        When the disk is full, one that `spends` gets the ballast; another is StoreFull.
        """
        return self.commits.ask(work, spends=spends)

    async def close(self) -> None:
        """Commit what waits, checkpoint, close the connection."""
        await self.commits.close()

    def _serve(self) -> None:
        try:
            connection = self._connected()
        except (QueueError, sqlite3.Error, OSError) as error:
            self.commits.ended(error)
            return
        self.commits.ready()
        failure = None
        try:
            self._loop_over(connection)
        except sqlite3.Error as error:
            failure = translated(error, self._path)
        finally:
            connection.close()
        self.commits.ended(failure)

    def _connected(self) -> sqlite3.Connection:
        """The connection; on a full disk the ballast makes room for what an open database needs."""
        try:
            connection, self.whole = connect_writer(self._path, self._synchronous)
        except StoreFull:
            if not self._ballast.release():
                raise
            connection, self.whole = connect_writer(self._path, self._synchronous)
        return connection

    def _loop_over(self, connection: sqlite3.Connection) -> None:
        dirty = False
        while True:
            goes_on = self._known.untold and not self._stuck
            rest = 0.0 if goes_on else IDLE_BEFORE_CHECKPOINT if dirty or self._stuck else None
            batch, last = self.commits.take(rest)
            if not batch and not last:
                if not self._known.untold:
                    dirty = not _checkpoint(connection)
                    continue
                self._stuck = False
            dirty |= self._write(connection, batch, last)
            del batch  # nothing of it is held on to until the next
            if last:
                _checkpoint(connection)
                return

    def _write(self, connection: sqlite3.Connection, batch: list[Entry], last: bool) -> bool:
        """Whether something was written."""
        if self._known.untold and not self._stuck and not last:
            batch.append(Entry(self._go_on, None, spends=False))
        if batch:
            self.commits.answer(batch, self._commit(connection, batch))
            self._stuck = batch[-1].future is None and isinstance(batch[-1].outcome, BaseException)
            if _size(self._log) > LONGEST_WAL:
                _checkpoint(connection)
        return bool(batch)

    def _commit(self, connection: sqlite3.Connection, batch: list[Entry]) -> list[Event]:
        try:
            return self._committed(connection, batch)
        except sqlite3.Error as error:
            refusal = translated(error, self._path)
        if isinstance(refusal, StoreFull):
            return self._squeezed(connection, batch, refusal)
        if isinstance(refusal, StoreBroken):
            self.commits.fail(refusal)
        for entry in batch:
            entry.outcome = refusal
        return []

    def _squeezed(self, connection: sqlite3.Connection, batch: list[Entry], refusal: StoreFull) -> list[Event]:
        """On a full disk: refuse new work first, so that the spare room is left for the ends of what runs."""
        worthy = [entry for entry in batch if entry.spends]
        for entry in batch:
            entry.outcome = refusal
        if worthy and (len(worthy) < len(batch) or self._ballast.release()):
            return self._commit(connection, worthy)
        return []

    def _committed(self, connection: sqlite3.Connection, batch: list[Entry]) -> list[Event]:
        try:
            connection.execute("begin immediate")
            events = self._together(connection, batch)
            if events is None:
                self._known.forget()
                connection.execute("rollback")
                connection.execute("begin immediate")
                events = self._apart(connection, batch)
            connection.execute("commit")
        except sqlite3.Error:
            self._known.forget()
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        return events

    def _together(self, connection: sqlite3.Connection, batch: list[Entry]) -> list[Event] | None:
        """Do all writes, without the price of a savepoint each (5 us); None when one of them left half of it behind."""
        transaction = Transaction(connection, self._known)
        for entry in batch:
            before = transaction.trace()
            if not _done(transaction, entry) and transaction.trace() != before:
                return None
        try:
            transaction.flush()
        except sqlite3.IntegrityError:  # one of them told what may not be
            return None
        return transaction.events

    def _apart(self, connection: sqlite3.Connection, batch: list[Entry]) -> list[Event]:
        """Do each write in a savepoint of its own, so that one that fails halfway does not sink its neighbours."""
        transaction = Transaction(connection, self._known)
        for entry in batch:
            stored = len(transaction.events)
            connection.execute("savepoint one")
            if not _done(transaction, entry, whole=True):
                transaction.take_back(stored)
                connection.execute("rollback to one")
            connection.execute("release one")
        return transaction.events


def _done(transaction: Transaction, entry: Entry, *, whole: bool = False) -> bool:
    try:
        entry.outcome = entry.work(transaction)
        if whole:
            transaction.flush()
    except sqlite3.IntegrityError as error:  # a state that may not be: our fault, and only this write's
        entry.outcome = error
    except sqlite3.Error:
        raise  # the disk or the file failed: the whole transaction with it
    except BaseException as error:  # noqa: BLE001  the decision's own error belongs to its caller, not to this thread
        entry.outcome = error
    else:
        return True
    return False


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Move the log into the database; False when a reader was in the way, or the disk is too full for it."""
    try:
        [busy, _, _] = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    except sqlite3.Error as error:
        if isinstance(translated(error), StoreFull):
            return False
        raise
    return not busy


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  asked for at every commit: a Path would cost more than the call
    except FileNotFoundError:
        return 0
