"""Single writer thread of a daemon, with group commit: whole transactions as functions, over one session."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg

from secondunit.queue.errors import QueueError, StoreBroken
from secondunit.queue.model import Event
from secondunit.queue.store import Listener
from secondunit.queue.stores.postgres.connection import translated
from secondunit.queue.stores.postgres.session import PATIENCE, Session, Work
from secondunit.queue.stores.postgres.transaction import PostgresTransaction

T = TypeVar("T")
AT_ONCE = 256
LOOK_EVERY = 0.25  # seconds between two looks for what other daemons told


class _Entry:
    """One write waiting for its turn, and its caller's future, if it has a caller."""

    __slots__ = ("future", "outcome", "work")

    def __init__(self, work: Work, future: asyncio.Future[Any] | None) -> None:
        self.work = work
        self.future = future
        self.outcome: Any = None

    def settle(self) -> None:
        if self.future is None or self.future.done():
            return
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class PostgresWriter:
    """Runs write functions one after the other on its own thread, many to a commit, each whole or not at all.

    A caller learns of its write, and the listeners of its events, only after the commit. A caller that was cancelled is
    still committed. A function may be asked again. `waiting` counts the writes that were asked for and not answered.
    `go_on` does the next part of a work that is too long for one transaction, while there is any.
    """

    def __init__(
        self,
        url: str,
        loop: asyncio.AbstractEventLoop,
        *,
        go_on: Work,
        patience: float = PATIENCE,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self.listeners: list[Listener] = []
        self.failure: asyncio.Future[Exception] = loop.create_future()
        self.waiting = 0
        self.version = ""
        self._url = url
        self._patience = patience
        self._look_every = look_every
        self._go_on = go_on
        self._loop = loop
        self._queue: SimpleQueue[list[_Entry] | None] = SimpleQueue()
        self._asked: list[_Entry] = []
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="queue-writer", daemon=True)

    async def open(self) -> None:
        """Connect and bring the schema up to date, or raise why that can't be."""
        self._thread.start()
        await self._opened

    async def run(self, work: Callable[[PostgresTransaction], T]) -> T:
        """Run `work` within a transaction and return its result once that is committed."""
        if self._closing:
            raise StoreBroken("the store is closed")
        if self.failure.done():
            raise self.failure.result()
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        self._asked.append(_Entry(work, future))
        self.waiting += 1
        return await future

    async def close(self) -> None:
        """Commit what waits, close the connection."""
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
            session = Session(self._url, self._patience)
            session.open()
        except (QueueError, psycopg.Error) as error:
            refusal = translated(error) if isinstance(error, psycopg.Error) else error
            self._tell(self._opened.set_exception, refusal)
            self._tell(self._closed.set_result, None)
            return
        self.version = session.version
        self._tell(self._opened.set_result, None)
        try:
            while self._turn(session):
                pass
        finally:
            session.close()
            self._tell(self._closed.set_result, None)

    def _turn(self, session: Session) -> bool:
        """Write what waits, or look for what others wrote; whether there is to be another turn."""
        batch, last = self._take(0.001 if session.more else self._look_every)
        if session.more and not last:
            batch.append(_Entry(self._go_on, None))
            session.more = False
        try:
            events = session.commit(batch) if batch else [] if last else session.look()
        except (QueueError, psycopg.Error) as error:
            refusal = translated(error) if isinstance(error, psycopg.Error) else error
            for entry in batch:
                entry.outcome = refusal
            self._tell(self._settle, batch, [])
            self._tell(self._fail, refusal)
            return False
        if batch or events:
            self._tell(self._settle, batch, events)
        return not last

    def _take(self, rest: float) -> tuple[list[_Entry], bool]:
        batch: list[_Entry] = []
        try:
            asked = self._queue.get(timeout=rest)
            while asked is not None:
                batch += asked
                if len(batch) >= AT_ONCE:
                    return batch, False
                asked = self._queue.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _fail(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_result(error)
        self._queue_refused(error)

    def _queue_refused(self, error: Exception) -> None:
        """Nobody will write what still waits."""
        waiting = self._asked
        self._asked = []
        with contextlib.suppress(Empty):
            while True:
                waiting += self._queue.get_nowait() or []
        for entry in waiting:
            entry.outcome = error
        self._settle(waiting, [])

    def _settle(self, batch: list[_Entry], events: list[Event]) -> None:
        self.waiting -= sum(entry.future is not None for entry in batch)
        for listener in self.listeners if events else ():
            listener(events)
        for entry in batch:
            entry.settle()

    def _tell(self, message: Callable[..., None], *values: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(message, *values)
