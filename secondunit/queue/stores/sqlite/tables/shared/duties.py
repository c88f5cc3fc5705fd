"""Table of the duties."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from secondunit.queue.errors import DutyLost
from secondunit.queue.ports.duties import Candidate, Duty
from secondunit.queue.stores.port_rows import DUTY_COLUMNS, duty_from, duty_values
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

ALL = f"select {DUTY_COLUMNS} from duties order by name"
ONE = f"select {DUTY_COLUMNS} from duties where name = ?"
PUT = f"insert or replace into duties ({DUTY_COLUMNS}) values (?, ?, ?, ?)"
GIVE_BACK = "update duties set boot = null, until = ? where name = ? and boot = ?"

T = TypeVar("T")


class SqliteDuties:
    """The Duties port; see `secondunit.queue.ports.duties.Duties`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[Duty]:
        return [duty_from(row) for row in await self._readers.fetch(ALL, ())]

    async def take(self, names: Collection[str], candidate: Candidate) -> Sequence[Duty]:
        def work(tx: Transaction) -> list[Duty]:
            stand = []
            for name in sorted(names):
                duty = _found(tx, name) or Duty(name, 0, None, candidate.now - candidate.patience)
                if candidate.takes(duty):
                    duty = candidate.taken(duty)
                    tx.execute(PUT, duty_values(duty))
                stand.append(duty)
            return stand

        return await self._writer.run(work)

    async def give_back(self, names: Collection[str], boot: str, now: datetime) -> None:
        rows = [(micros(now), name, boot) for name in names]
        await self._writer.run(lambda tx: tx.executemany(GIVE_BACK, rows))


def fenced(duty: Duty | None, work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
    """That work, under this duty: DutyLost instead if somebody else has had it since."""
    if duty is None:
        return work

    def checked(tx: Transaction) -> T:
        if duty.fences(_found(tx, duty.name)):
            raise DutyLost(duty.name, duty.term)
        return work(tx)

    return checked


def _found(tx: Transaction, name: str) -> Duty | None:
    row = tx.execute(ONE, (name,)).fetchone()
    return duty_from(row) if row else None
