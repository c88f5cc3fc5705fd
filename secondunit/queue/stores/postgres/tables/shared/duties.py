"""Table of the duties. Who takes one waits for those who write under it, and they for whoever takes it."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from secondunit.queue.errors import DutyLost
from secondunit.queue.ports.duties import Candidate, Duty
from secondunit.queue.stores.port_rows import DUTY_COLUMNS, duty_from, duty_values
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import micros

ALL = f"select {DUTY_COLUMNS} from duties order by name"
THESE = f"select {DUTY_COLUMNS} from duties where name = any(%s) order by name"
LOCKED = f"{THESE} for update"
HELD = f"select {DUTY_COLUMNS} from duties where name = %s for share"
FIRST = f"insert into duties ({DUTY_COLUMNS}) values (%s, %s, %s, %s) on conflict do nothing"
MOVE = "update duties set term = %s, boot = %s, until = %s where name = %s"
GIVE_BACK = "update duties set boot = null, until = %s where name = any(%s) and boot = %s"

T = TypeVar("T")


class PostgresDuties:
    """The Duties port; see `secondunit.queue.ports.duties.Duties`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[Duty]:
        return [duty_from(row) for row in await self._readers.fetch(ALL)]

    async def take(self, names: Collection[str], candidate: Candidate) -> Sequence[Duty]:
        return await self._writer.run(lambda tx: take(tx, names, candidate))

    async def give_back(self, names: Collection[str], boot: str, now: datetime) -> None:
        await self._writer.run(lambda tx: tx.send(GIVE_BACK, (micros(now), list(names), boot)))


def fenced(duty: Duty | None, work: Callable[[PostgresTransaction], T]) -> Callable[[PostgresTransaction], T]:
    """That work, under this duty, which nobody takes before it is committed; DutyLost if somebody has had it since."""
    if duty is None:
        return work

    def checked(tx: PostgresTransaction) -> T:
        rows = tx.execute(HELD, (duty.name,))
        if duty.fences(duty_from(rows[0]) if rows else None):
            raise DutyLost(duty.name, duty.term)
        return work(tx)

    return checked


def take(tx: PostgresTransaction, names: Collection[str], candidate: Candidate) -> list[Duty]:
    """As the port says. Who may have none of them locks and writes nothing: so it is with all boxes but one."""
    stand = {row[0]: duty_from(row) for row in tx.execute(THESE, (list(names),))}
    new = sorted({*names} - {*stand})
    wanted = [name for name, duty in stand.items() if candidate.takes(duty)] + new
    for name in new:
        tx.send(FIRST, duty_values(Duty(name, 0, None, candidate.now - candidate.patience)))
    for row in tx.execute(LOCKED, (wanted,)) if wanted else ():
        stand[row[0]] = duty = duty_from(row)
        if candidate.takes(duty):  # as it stands now: another may have been faster
            stand[duty.name] = after = candidate.taken(duty)
            tx.send(MOVE, (after.term, after.boot, micros(after.until), after.name))
    return sorted(stand.values(), key=lambda duty: duty.name)
