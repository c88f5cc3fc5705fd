"""Group commit: writes that callers wait for, handed to the writer's thread together and answered together."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Event
from secondunit.queue.store import Listener

AT_ONCE = 256

Work = Callable[[Any], Any]


class Entry:
    """One write waiting for its turn, and its caller's future, if it has a caller; its outcome may be an error.

    `ahead` is what a store may know of it beforehand.
    """

    __slots__ = ("ahead", "future", "outcome", "spends", "work")

    def __init__(self, work: Work, future: asyncio.Future[Any] | None, spends: bool, ahead: Any = None) -> None:
        self.work = work
        self.future = future
        self.spends = spends
        self.ahead = ahead
        self.outcome: Any = None

    def settle(self) -> None:
        """Answer the caller, if there still is one."""
        if self.future is None or self.future.done():
            return
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class WriterDied(RuntimeError):
    """A fault of ours ended the writer's thread; what it had begun was not committed, as far as is known."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"the queue's writer died of {cause!r}, which nobody foresaw: nothing more is stored")


class GroupCommit:
    """What the event loop and a writer's thread have in common: what is asked for, and what came of it.

    `serve` runs on the thread: once it is `ready` it takes and answers until `take` says that nothing comes any more,
    and says that it has `ended` whenever it does; if it raises instead, the store has failed.
    Callers learn of their writes, and listeners of events, by `answer`; who was cancelled has asked nonetheless.
    `waiting` counts the writes that were asked for and not answered.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, serve: Callable[[], None]) -> None:
        self.listeners: list[Listener] = []
        self.failure: asyncio.Future[Exception] = loop.create_future()
        self.waiting = 0
        self._loop = loop
        self._queue: SimpleQueue[list[Entry] | None] = SimpleQueue()
        self._asked: list[Entry] = []
        self._taken: list[Entry] = []
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()
        self._closing = False
        self._serve = serve
        self._thread = threading.Thread(target=self._run, name="queue-writer", daemon=True)

    async def open(self) -> None:
        """Start the thread; return once it is ready, or raise why it is not."""
        self._thread.start()
        await self._opened

    def ask(self, work: Work, *, spends: bool, ahead: Any = None) -> asyncio.Future[Any]:
        """Have a write done; its outcome."""
        if self._closing:
            raise StoreBroken("the store is closed")
        if self.failure.done():
            raise self.failure.result()
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        self._asked.append(Entry(work, future, spends, ahead))
        self.waiting += 1
        return future

    async def close(self) -> None:
        """Have done what waits, and the thread end."""
        if not self._closing:
            self._closing = True
            self._hand_over()
            self._queue.put(None)
        await asyncio.shield(self._closed)
        await asyncio.to_thread(self._thread.join)

    def ready(self) -> None:
        """On the thread: it takes writes from now on."""
        self._tell(self._opened.set_result, None)

    def take(self, rest: float | None) -> tuple[list[Entry], bool]:
        """On the thread: what waits, else what comes within so many seconds; and whether nothing comes after it."""
        self._taken = batch = []
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

    def answer(self, batch: list[Entry], events: list[Event]) -> None:
        """On the thread: tell the listeners of the events, then the callers."""
        self._taken = []
        self._tell(self._settle, batch, events)

    def fail(self, error: Exception) -> None:
        """On the thread: the store is broken; who asks from now on is told so."""
        self._tell(self._fail, error)

    def ended(self, error: Exception | None) -> None:
        """On the thread: it ends now, since nothing comes any more, or of this error."""
        self._tell(self._end, error)

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001  whatever it was: callers wait for this thread
            died = WriterDied(error)
            died.__cause__ = error
            self.ended(died)

    def _hand_over(self) -> None:
        """Wake the thread once for all that was asked in this turn of the loop."""
        if self._asked:
            self._queue.put(self._asked)
            self._asked = []

    def _settle(self, batch: list[Entry], events: list[Event]) -> None:
        self.waiting -= sum(entry.future is not None for entry in batch)
        for listener in self.listeners if events else ():
            listener(events)
        for entry in batch:
            entry.settle()

    def _fail(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    def _end(self, error: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
        if error is not None and not self._opened.done():
            self._opened.set_exception(error)
        elif error is not None:
            self._fail(error)
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Nobody will write what still waits."""
        waiting, self._taken, self._asked = [*self._taken, *self._asked], [], []
        with contextlib.suppress(Empty):
            while True:
                waiting += self._queue.get_nowait() or []
        for entry in waiting:
            entry.outcome = error
        self._settle(waiting, [])

    def _tell(self, message: Callable[..., None], *values: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(message, *values)
