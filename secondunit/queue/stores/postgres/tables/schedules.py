"""Table of the schedules' state."""

from collections.abc import Callable, Sequence

from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.stores.columns import Column, Row, decoder, encoder, names
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import BOOL, JSON, TIME, TIME_OR_NONE

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
PUT = f"""
insert into schedules ({COLUMNS}) values ({", ".join(["%s"] * len(SCHEDULE))})
on conflict (name) do update
set {", ".join(f"{name} = excluded.{name}" for name in names(SCHEDULE))}"""
ALL = f"select {COLUMNS} from schedules order by name"


class PostgresSchedules:
    """The Schedules port; see `secondunit.queue.ports.schedules.Schedules`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[ScheduleState]:
        return [_from(row) for row in await self._readers.fetch(ALL, ())]

    async def put(self, states: Sequence[ScheduleState]) -> None:
        await self._writer.run(lambda tx: put(tx, states))

    async def drop(self, names: Sequence[str]) -> None:
        await self._writer.run(lambda tx: tx.send("delete from schedules where name = any(%s)", (list(names),)))


def put(tx: PostgresTransaction, states: Sequence[ScheduleState]) -> None:
    """Store them."""
    for state in states:
        tx.send(PUT, _values(state))
