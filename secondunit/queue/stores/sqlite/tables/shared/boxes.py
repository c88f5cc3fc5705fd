"""Table of the boxes, which on SQLite is one, and those that had the database before under another name."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from secondunit.queue.ports.boxes import BoxRow, Phase
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import BOX, BOX_COLUMNS, box_from, box_values, held_from
from secondunit.queue.stores.rows import micros
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

ALL = f"select {BOX_COLUMNS} from boxes order by name"
ENTER = f"""
insert into boxes ({BOX_COLUMNS}) values ({", ".join("?" * len(BOX))})
on conflict (name) do update
set {", ".join(f"{name} = excluded.{name}" for name in names(BOX) if name != "drained")}
returning {BOX_COLUMNS}"""
BEAT = f"update boxes set seen_at = ? where name = ? and boot = ? returning {BOX_COLUMNS}"
TURN = "update boxes set phase = ?, seen_at = ? where name = ? and boot = ?"
DRAIN = f"update boxes set drained = ? where name = ? returning {BOX_COLUMNS}"
HELD = "select boot, type, count(*) from jobs where status = 'running' group by boot, type"
WAITING = "status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is not null"
BOUND = f"select box, count(*) from jobs where {WAITING} group by box"
FORGET = f"""
delete from boxes
where seen_at < case drained when 1 then ? else ? end
  and not exists (select 1 from jobs where {WAITING} and box = boxes.name)"""


class SqliteBoxes:
    """The Boxes port; see `secondunit.queue.ports.boxes.Boxes`."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[BoxRow]:
        return [box_from(row) for row in await self._readers.fetch(ALL, ())]

    async def enter(self, box: BoxRow) -> BoxRow:
        return await self._writer.run(lambda tx: box_from(tx.execute(ENTER, box_values(box)).fetchone()))

    async def beat(self, name: str, boot: str, now: datetime) -> BoxRow | None:
        return await self._writer.run(lambda tx: _changed(tx, BEAT, (micros(now), name, boot)))

    async def turn(self, name: str, boot: str, phase: Phase, now: datetime) -> None:
        await self._writer.run(lambda tx: tx.executemany(TURN, [(phase, micros(now), name, boot)]))

    async def drain(self, name: str, drained: bool) -> BoxRow | None:
        return await self._writer.run(lambda tx: _changed(tx, DRAIN, (int(drained), name)))

    async def bound(self) -> Mapping[str, int]:
        return dict(await self._readers.fetch(BOUND, ()))

    async def held(self) -> Mapping[str, Mapping[str, int]]:
        return held_from(await self._readers.fetch(HELD, ()))


def forget(tx: Transaction, what: Prune) -> None:
    """Delete those that were not seen for long."""
    tx.execute(FORGET, (micros(what.failed_before), micros(what.before)))


def _changed(tx: Transaction, sql: str, values: Sequence[object]) -> BoxRow | None:
    row = tx.execute(sql, values).fetchone()
    return box_from(row) if row else None
