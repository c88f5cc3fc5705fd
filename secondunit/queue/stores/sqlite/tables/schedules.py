"""Table of the schedules' state."""

from collections.abc import Sequence

from secondunit.queue.errors import ScheduleChanged
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.stores.port_rows import SCHEDULE, SCHEDULE_COLUMNS, schedule_from, schedule_values
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.tables.shared import duties
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

PUT = f"insert or replace into schedules ({SCHEDULE_COLUMNS}) values ({', '.join('?' * len(SCHEDULE))})"
REVISION = "select revision from schedules where name = ?"
ALL = f"select {SCHEDULE_COLUMNS} from schedules order by name"


class SqliteSchedules:
    """The Schedules port; see `secondunit.queue.ports.schedules.Schedules`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[ScheduleState]:
        return [schedule_from(row) for row in await self._readers.fetch(ALL, ())]

    async def put(self, states: Sequence[ScheduleState], *, duty: Duty | None = None) -> None:
        await self._writer.run(duties.fenced(duty, lambda tx: put(tx, states)))

    async def drop(self, names: Sequence[str], *, duty: Duty | None = None) -> None:
        rows = [(name,) for name in names]
        drop = "delete from schedules where name = ?"
        await self._writer.run(duties.fenced(duty, lambda tx: tx.executemany(drop, rows)))


def put(tx: Transaction, states: Sequence[ScheduleState]) -> None:
    """Store them."""
    for state in states:
        judge(tx, state)
    tx.executemany(PUT, [schedule_values(state.written) for state in states])


def judge(tx: Transaction, state: ScheduleState | None) -> None:
    """ScheduleChanged if another stands there than the one that this was made of."""
    row = tx.execute(REVISION, (state.name,)).fetchone() if state else None
    if state and row and row[0] != state.revision:
        raise ScheduleChanged(state.name)
