"""Table of the schedules' state."""

from collections.abc import Callable, Sequence

from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.stores.columns import Column, Row, decoder, encoder, names
from secondunit.queue.stores.rows import BOOL, JSON, TIME, TIME_OR_NONE
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

SCHEDULE = (
    Column("name"),
    Column("cron"),
    Column("timezone"),
    Column("since", TIME),
    Column("last_at", TIME_OR_NONE),
    Column("last_job"),
    Column("last_status"),
    Column("paused", BOOL),
    Column("why"),
    Column("failures"),
    Column("open_jobs", JSON),
)
_values: Callable[[ScheduleState], Row] = encoder(SCHEDULE)
_from: Callable[[Row], ScheduleState] = decoder(ScheduleState, SCHEDULE)

COLUMNS = ", ".join(names(SCHEDULE))
PUT = f"insert or replace into schedules ({COLUMNS}) values ({', '.join('?' * len(SCHEDULE))})"
ALL = f"select {COLUMNS} from schedules order by name"


class SqliteSchedules:
    """The Schedules port; see `secondunit.queue.ports.schedules.Schedules`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[ScheduleState]:
        return [_from(row) for row in await self._readers.fetch(ALL, ())]

    async def put(self, states: Sequence[ScheduleState]) -> None:
        await self._writer.run(lambda tx: put(tx, states))

    async def drop(self, names: Sequence[str]) -> None:
        rows = [(name,) for name in names]
        await self._writer.run(lambda tx: tx.executemany("delete from schedules where name = ?", rows))


def put(tx: Transaction, states: Sequence[ScheduleState]) -> None:
    """Store them."""
    tx.executemany(PUT, [_values(state) for state in states])
