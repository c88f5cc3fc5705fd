"""Single writer thread with group commit: whole transactions as functions; those that wait together commit together."""

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from secondunit.queue.errors import QueueError, StoreBroken, StoreFull
from secondunit.queue.model import Event
from secondunit.queue.store import Listener
from secondunit.queue.stores.sqlite.ballast import Ballast
from secondunit.queue.stores.sqlite.connection import connect_writer, translated
from secondunit.queue.stores.sqlite.transaction import NEVER, Transaction, WriterCache

T = TypeVar("T")
BATCH = 256
IDLE_BEFORE_CHECKPOINT = 1.0
LONGEST_WAL = 64 << 20


Work = Callable[[Transaction], Any]


class _Entry:
    """One write waiting for its turn, and its caller's future, if it has a caller."""

    __slots__ = ("future", "outcome", "spends", "work")

    def __init__(self, work: Work, future: asyncio.Future[Any] | None, spends: bool) -> None:
        self.work = work
        self.future = future
        self.spends = spends
        self.outcome: Any = None

    def settle(self) -> None:
        if self.future is None or self.future.cancelled():
            return
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class Writer:
    """Runs write functions one after the other on its own thread, many to a commit, each whole or not at all.

    A caller learns of its write, and the listeners of its events, only after the commit. A caller that was cancelled is
    still committed. `waiting` counts the writes that were asked for and not answered. `go_on` does the next part of a
    work that is too long for one transaction, while there is any. `whole`: the opening has looked through all of it.
    """

    def __init__(
        self, path: Path, synchronous: str, ballast: Ballast, loop: asyncio.AbstractEventLoop, *, go_on: Work
    ) -> None:
        self.listeners: list[Listener] = []
        self.failure: asyncio.Future[Exception] = loop.create_future()
        self.waiting = 0
        self.whole = False
        self._path = path
        self._log = f"{path}-wal"
        self._ballast = ballast
        self._synchronous = synchronous
        self._go_on = go_on
        self._stuck = False
        self._loop = loop
        self._queue: SimpleQueue[list[_Entry] | None] = SimpleQueue()
        self._asked: list[_Entry] = []
        self._known = WriterCache()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="queue-writer", daemon=True)

    async def open(self) -> None:
        """Open the database, or raise why it can't be."""
        self._thread.start()
        await self._opened

    @property
    def none_delayed(self) -> bool:
        """Whether it is known that no job waits for its time."""
        return self._known.due == NEVER

    async def run(self, work: Callable[[Transaction], T], *, spends: bool = True) -> T:
        """Run `work` within a transaction and return its result once that is committed.

        When the disk is full, one that `spends` gets the ballast; another is StoreFull.
        """
        if self._closing:
            raise StoreBroken("the store is closed")
        if self.failure.done():
            raise self.failure.result()
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        self._asked.append(_Entry(work, future, spends))
        self.waiting += 1
        return await future

    async def close(self) -> None:
        """Commit what waits, checkpoint, close the connection."""
        if not self._closing:
            self._closing = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.shield(self._closed)
        await asyncio.to_thread(self._thread.join)

    def _hand_over(self) -> None:
        """Wake the thread once for all that was asked in this turn of the loop."""
        if self._asked:
            self._queue.put(self._asked)
            self._asked = []

    def _serve(self) -> None:
        try:
            connection = self._connected()
        except (QueueError, sqlite3.Error, OSError) as error:
            self._tell(self._opened.set_exception, error)
            self._tell(self._closed.set_result, None)
            return
        self._tell(self._opened.set_result, None)
        try:
            self._loop_over(connection)
        except sqlite3.Error as error:
            self._tell(self._fail, translated(error, self._path))
        finally:
            connection.close()
            self._tell(self._closed.set_result, None)

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
            try:
                asked = self._queue.get(timeout=rest)
            except Empty:
                if not self._known.untold:
                    dirty = not _checkpoint(connection)
                    continue
                asked, self._stuck = [], False
            wrote, last = self._write(connection, asked)
            del asked
            dirty |= wrote
            if last:
                _checkpoint(connection)
                return

    def _write(self, connection: sqlite3.Connection, asked: list[_Entry] | None) -> tuple[bool, bool]:
        """Whether something was written, and whether it was the last; nothing of it is held on to until the next."""
        batch, last = self._take(asked)
        if self._known.untold and not self._stuck and not last:
            batch.append(_Entry(self._go_on, None, spends=False))
        if batch:
            self._tell(self._settle, batch, self._commit(connection, batch))
            self._stuck = batch[-1].future is None and isinstance(batch[-1].outcome, BaseException)
            if _size(self._log) > LONGEST_WAL:
                _checkpoint(connection)
        return bool(batch), last

    def _take(self, asked: list[_Entry] | None) -> tuple[list[_Entry], bool]:
        batch: list[_Entry] = []
        while asked is not None:
            batch += asked
            if len(batch) >= BATCH:
                return batch, False
            try:
                asked = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit(self, connection: sqlite3.Connection, batch: list[_Entry]) -> list[Event]:
        try:
            return self._committed(connection, batch)
        except sqlite3.Error as error:
            refusal = translated(error, self._path)
        if isinstance(refusal, StoreFull):
            return self._squeezed(connection, batch, refusal)
        if isinstance(refusal, StoreBroken):
            self._tell(self._fail, refusal)
        for entry in batch:
            entry.outcome = refusal
        return []

    def _squeezed(self, connection: sqlite3.Connection, batch: list[_Entry], refusal: StoreFull) -> list[Event]:
        """On a full disk: refuse new work first, so that the spare room is left for the ends of what runs."""
        worthy = [entry for entry in batch if entry.spends]
        for entry in batch:
            entry.outcome = refusal
        if worthy and (len(worthy) < len(batch) or self._ballast.release()):
            return self._commit(connection, worthy)
        return []

    def _committed(self, connection: sqlite3.Connection, batch: list[_Entry]) -> list[Event]:
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

    def _together(self, connection: sqlite3.Connection, batch: list[_Entry]) -> list[Event] | None:
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

    def _apart(self, connection: sqlite3.Connection, batch: list[_Entry]) -> list[Event]:
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

    def _fail(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    def _settle(self, batch: list[_Entry], events: list[Event]) -> None:
        self.waiting -= sum(entry.future is not None for entry in batch)
        for listener in self.listeners if events else ():
            listener(events)
        for entry in batch:
            entry.settle()

    def _tell(self, message: Callable[..., None], *values: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(message, *values)


def _done(transaction: Transaction, entry: _Entry, *, whole: bool = False) -> bool:
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
