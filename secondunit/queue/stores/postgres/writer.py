"""Single writer thread of a daemon, with group commit: whole transactions as functions, over one session."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import psycopg

from secondunit.queue.errors import QueueError
from secondunit.queue.stores.group_commit import Entry, GroupCommit, Work
from secondunit.queue.stores.postgres.connection import translated
from secondunit.queue.stores.postgres.failover.lineage import Lineage
from secondunit.queue.stores.postgres.failover.sends import PaidSends
from secondunit.queue.stores.postgres.failover.servers import Servers
from secondunit.queue.stores.postgres.session import PATIENCE, Foresee, Session
from secondunit.queue.stores.postgres.transaction import Ahead, PostgresTransaction

T = TypeVar("T")
LOOK_EVERY = 0.25  # seconds between two looks for what other daemons told


class PostgresWriter:
    """Runs write functions one after the other on its own thread, many to a commit, each whole or not at all.

    A caller learns of its write, and the listeners of its events, only after the commit. A caller that was cancelled is
    still committed. A function may be asked again. `go_on` does the next part of a work that is too long for one
    transaction, while there is any; `foresee` reads what several works are about to ask for; `count` brings the time
    series up to what was told.
    """

    def __init__(
        self,
        servers: Servers,
        loop: asyncio.AbstractEventLoop,
        *,
        go_on: Work,
        foresee: Foresee,
        count: Work,
        patience: float = PATIENCE,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self.commits = GroupCommit(loop, self._serve)
        self.version = ""
        self.sends = PaidSends()
        self.lineage = Lineage(self.sends)
        self._servers = servers
        self._patience = patience
        self._look_every = look_every
        self._go_on = go_on
        self._foresee = foresee
        self._count = count

    async def open(self) -> None:
        """Connect and bring the schema up to date, or raise why that can't be."""
        await self.commits.open()

    async def run(self, work: Callable[[PostgresTransaction], T], ahead: Ahead | None = None) -> T:
        """Run `work` within a transaction and return its result once that is committed.

        `ahead` is what it asks for of jobs, where that is known: what many works ask for is read at once.
        """
        outcome: asyncio.Future[T] = self.commits.ask(work, spends=False, ahead=ahead)
        return await outcome

    async def close(self) -> None:
        """Commit what waits, close the connection."""
        await self.commits.close()

    def _serve(self) -> None:
        try:
            session = Session(self._servers, self._foresee, self.lineage, self._patience)
            session.open()
        except (QueueError, psycopg.Error) as error:
            self.commits.ended(_refusal(error))
            return
        self.version = session.version
        self.commits.ready()
        failure = None
        try:
            while self._turn(session):
                pass
        except (QueueError, psycopg.Error) as error:
            failure = _refusal(error)
        finally:
            session.close()
        self.commits.ended(failure)

    def _turn(self, session: Session) -> bool:
        """Write what waits, or look for what others wrote; whether there is to be another turn."""
        batch, last = self.commits.take(0.001 if session.more or session.uncounted else self._look_every)
        if session.more and not last:
            batch.append(Entry(self._go_on, None, spends=False))
            session.more = False
        if session.uncounted and not last:
            batch.append(Entry(self._count, None, spends=False, ahead=Ahead()))
            session.uncounted = False
        try:
            events = session.commit(batch) if batch else [] if last else session.look()
        except (QueueError, psycopg.Error) as error:
            for entry in batch:
                entry.outcome = _refusal(error)
            self.commits.answer(batch, [])
            raise
        if batch or events:
            self.commits.answer(batch, events)
        return not last


def _refusal(error: Exception) -> Exception:
    return translated(error) if isinstance(error, psycopg.Error) else error
