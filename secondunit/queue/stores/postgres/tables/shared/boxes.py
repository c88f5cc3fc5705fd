"""Table of the boxes that share the queue; the server's clock says when each was seen."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from secondunit.queue.ports.boxes import BoxRow, Phase
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.stores.columns import names
from secondunit.queue.stores.port_rows import BOX, BOX_COLUMNS, box_from, box_values, held_from
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import micros

NOW = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
ALL = f"select {BOX_COLUMNS} from boxes order by name"
ENTER = f"""
insert into boxes ({BOX_COLUMNS})
values ({", ".join(NOW if name == "seen_at" else "%s" for name in names(BOX))})
on conflict (name) do update
set {", ".join(f"{name} = excluded.{name}" for name in names(BOX) if name != "drained")}
returning {BOX_COLUMNS}"""
BEAT = f"update boxes set seen_at = {NOW} where name = %s and boot = %s returning {BOX_COLUMNS}"
TURN = f"update boxes set phase = %s, seen_at = {NOW} where name = %s and boot = %s"
DRAIN = f"update boxes set drained = %s where name = %s returning {BOX_COLUMNS}"
HELD = "select boot, type, count(*) from leases join jobs on jobs.seq = leases.job group by boot, type"
WAITING = "status = 'queued' and delayed = 0 and suspicion is null and waiting_for is null and box is not null"
BOUND = f"select box, count(*) from jobs where {WAITING} group by box"
FORGET = f"""
delete from boxes
where seen_at < case drained when 1 then %s::bigint else %s::bigint end
  and not exists (select 1 from jobs where {WAITING} and box = boxes.name)"""


class PostgresBoxes:
    """The Boxes port; see `secondunit.queue.ports.boxes.Boxes`."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def all(self) -> Sequence[BoxRow]:
        return [box_from(row) for row in await self._readers.fetch(ALL, ())]

    async def enter(self, box: BoxRow) -> BoxRow:
        given = zip(names(BOX), box_values(box), strict=True)
        values = [value for name, value in given if name != "seen_at"]
        return await self._writer.run(lambda tx: box_from(tx.write(ENTER, values)[0]))

    async def beat(self, name: str, boot: str, now: datetime) -> BoxRow | None:  # noqa: ARG002  the server's counts
        return await self._writer.run(lambda tx: _changed(tx, BEAT, (name, boot)))

    async def turn(self, name: str, boot: str, phase: Phase, now: datetime) -> None:  # noqa: ARG002  as above
        await self._writer.run(lambda tx: tx.send(TURN, (phase, name, boot)))

    async def drain(self, name: str, drained: bool) -> BoxRow | None:
        return await self._writer.run(lambda tx: _changed(tx, DRAIN, (int(drained), name)))

    async def bound(self) -> Mapping[str, int]:
        return dict(await self._readers.fetch(BOUND))

    async def held(self) -> Mapping[str, Mapping[str, int]]:
        return held_from(await self._readers.fetch(HELD))


def forget(tx: PostgresTransaction, what: Prune) -> None:
    """Delete those that were not seen for long."""
    tx.send(FORGET, (micros(what.failed_before), micros(what.before)))


def _changed(tx: PostgresTransaction, sql: str, values: Sequence[object]) -> BoxRow | None:
    rows = tx.write(sql, values)
    return box_from(rows[0]) if rows else None
