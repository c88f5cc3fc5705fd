"""Table of the schedules' state."""

from collections.abc import Sequence

from secondunit.queue.errors import ScheduleChanged
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import SCHEDULE, SCHEDULE_COLUMNS, schedule_from, schedule_values
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables.shared import duties
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter

PUT = f"""
insert into schedules ({SCHEDULE_COLUMNS}) values ({", ".join(["%s"] * len(SCHEDULE))})
on conflict (name) do update
set {", ".join(f"{name} = excluded.{name}" for name in names(SCHEDULE))}
where schedules.revision = excluded.revision - 1
returning name"""
REVISION = "select revision from schedules where name = %s for update"
ALL = f"select {SCHEDULE_COLUMNS} from schedules order by name"


class PostgresSchedules:
    """The Schedules port; see `secondunit.queue.ports.schedules.Schedules`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[ScheduleState]:
        return [schedule_from(row) for row in await self._readers.fetch(ALL, ())]

    async def put(self, states: Sequence[ScheduleState], *, duty: Duty | None = None) -> None:
        await self._writer.run(duties.fenced(duty, lambda tx: put(tx, states)))

    async def drop(self, names: Sequence[str], *, duty: Duty | None = None) -> None:
        drop, values = "delete from schedules where name = any(%s)", (list(names),)
        await self._writer.run(duties.fenced(duty, lambda tx: tx.send(drop, values)))


def put(tx: PostgresTransaction, states: Sequence[ScheduleState]) -> None:
    """Store them."""
    for state in states:
        judge(tx, state)
    for state in states:
        if not tx.write(PUT, schedule_values(state.written)):  # another box was first with a new one
            raise ScheduleChanged(state.name)


def judge(tx: PostgresTransaction, state: ScheduleState | None) -> None:
    """ScheduleChanged if another stands there than the one that this was made of; it stands until the commit."""
    rows = tx.execute(REVISION, (state.name,)) if state else []
    if state and rows and rows[0][0] != state.revision:
        raise ScheduleChanged(state.name)
