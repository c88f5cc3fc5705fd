"""Sight of the SQLite store: who stands before a job in the line, by the index that a claim uses."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec.structs import astuple

from secondunit.queue.errors import StoreFull
from secondunit.queue.model import LOWEST_PRIORITY, JobId
from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.sight.estimates import Sample
from secondunit.queue.sight.port import LARGEST_TOLD, Failure, Line, Waiting
from secondunit.queue.sight.series import SeriesRow
from secondunit.queue.stores.rows import load_error, micros, moment
from secondunit.queue.stores.series_table import series_rows
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.time_series import SINCE
from secondunit.queue.stores.sqlite.transaction import Transaction
from secondunit.queue.stores.sqlite.writer import Writer

WAITS = "status = 'queued' and suspicion is null and waiting_for is null"
PLACE = f"select rank, seq from jobs where id = :id and {WAITS} and (delayed = 0 or ready_at <= :now)"
READY = f"from jobs where {WAITS} and delayed = 0 and type = :type"
COME = f"""
from jobs
where {WAITS} and delayed = 1 and ready_at <= :now and +type = :type"""
FIRST_OF = f"""
select * from (
  select * from (select rank, seq {READY} and rank < :rank order by rank, seq limit :limit)
  union all
  select * from (select rank, seq {READY} and rank = :rank and seq < :seq order by seq limit :limit)
  union all
  select rank, seq {COME} and (rank < :rank or (rank = :rank and seq < :seq))
)
order by rank, seq
limit :limit"""
COUNTS = "count(*) as n, coalesce(sum(seq > :seq), 0) as later"
AHEAD = f"""
select sum(n), sum(later) from (
  select {COUNTS} {READY} and rank < :rank
  union all
  select {COUNTS} {READY} and rank = :rank and seq < :seq
  union all
  select {COUNTS} {COME} and (rank < :rank or (rank = :rank and seq < :seq))
)"""
FAILURES = """
select id, type, error, finished_at
from jobs
where status = 'failed' and finished_at >= ?
order by finished_at desc, seq desc
limit ?"""
NAMES = "select id from jobs where seq in ({}) order by rank, seq"
BEHIND_ALL = LOWEST_PRIORITY + 1
TOLD = f"""
select id, type, case when length(payload) <= {LARGEST_TOLD} then payload else '{{{{}}}}' end
from jobs where seq in ({{}}) order by rank, seq"""
SAMPLES = "select type, samples from run_samples"
KEEP_SAMPLES = "insert or replace into run_samples values (?, ?)"


OF_ALL = PLACE, FIRST_OF, AHEAD
# Of what a box claims: on SQLite, with its one daemon, nobody asks so; the rows are looked at, not the index alone.
OF_BOX = tuple(text.replace(WAITS, f"{WAITS} and (box is null or box = :box)") for text in OF_ALL)


class SqliteSight:
    """The Sight port."""

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def line(
        self, job_id: JobId, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Line:
        fetch, (standing, before, counted) = self._readers.fetch, OF_BOX if box else OF_ALL
        asked = {"now": micros(now), "limit": limit, "box": box}
        place = await fetch(standing, asked | {"id": job_id})
        if not place:
            return Line()
        [(rank, seq)] = place
        ahead: dict[str, int] = {}
        overtook, heads = 0, list[tuple[int, int]]()
        for type in sorted(types):
            values = asked | {"type": type, "rank": rank, "seq": seq}
            [(n, later)] = await fetch(counted, values)
            if n:
                ahead[type] = n
                overtook += later
                heads += await fetch(before, values)
        first = [seq for _, seq in sorted(heads)[:limit]]
        rows = await fetch(NAMES.format(", ".join("?" * len(first))), first) if first else []
        return Line(ahead, overtook, tuple(id for (id,) in rows))

    async def waiting(
        self, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Sequence[Waiting]:
        heads, (_, before, _) = list[tuple[int, int]](), OF_BOX if box else OF_ALL
        for type in sorted(types):
            values = {"type": type, "rank": BEHIND_ALL, "seq": 0, "now": micros(now), "limit": limit, "box": box}
            heads += await self._readers.fetch(before, values)
        first = [seq for _, seq in heads]
        rows = await self._readers.fetch(TOLD.format(", ".join("?" * len(first))), first) if first else []
        return [Waiting(id, type, load(payload)) for id, type, payload in rows]

    async def samples(self) -> Mapping[str, Sequence[Sample]]:
        rows = await self._readers.fetch(SAMPLES, ())
        return {type: [Sample(*one) for one in load(samples)] for type, samples in rows}

    async def keep_samples(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        rows = [(type, dump([astuple(one) for one in kept])) for type, kept in samples.items()]
        await self._writer.run(lambda tx: tx.executemany(KEEP_SAMPLES, rows))

    async def failures(self, since: datetime, limit: int) -> Sequence[Failure]:
        rows = await self._readers.fetch(FAILURES, (micros(since), limit))
        return await asyncio.to_thread(_failures, rows)

    async def series(self, since: datetime, types: Collection[str]) -> Sequence[SeriesRow]:
        with suppress(StoreFull):  # then it lacks at most the last few hundred events
            await self._writer.run(Transaction.count_moves, spends=False)
        rows = series_rows(await self._readers.fetch(SINCE, (micros(since),)))
        return [row for row in rows if not types or row.type in types]


def _failures(rows: Sequence[tuple[str, str, str | None, int]]) -> Sequence[Failure]:
    return [Failure(id, type, load_error(error), moment(at)) for id, type, error, at in rows if error]
