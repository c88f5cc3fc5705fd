"""Sight of the PostgreSQL store: who stands before a job in the line, by the index that a claim uses."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import astuple

from secondunit.queue.errors import StoreFull
from secondunit.queue.model import LOWEST_PRIORITY, JobId
from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.sight.estimates import Sample
from secondunit.queue.sight.port import LARGEST_TOLD, Failure, Line, Waiting
from secondunit.queue.sight.series import SeriesRow
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables.shared import time_series
from secondunit.queue.stores.postgres.transaction import Ahead, PostgresTransaction
from secondunit.queue.stores.postgres.writer import PostgresWriter
from secondunit.queue.stores.rows import load_error, micros, moment
from secondunit.queue.stores.series_table import series_rows

WAITS = "status = 'queued' and suspicion is null and waiting_for is null"
ANYWHERE = "box is null"
COUNTS = "count(*) as n, count(*) filter (where seq > %(seq)s) as later"


class Lines(NamedTuple):
    """Statements about the line of some jobs: a job's place there, the first before a place, how many are before it."""

    place: str
    first: str
    ahead: str


def _lines(bound: str, either: str) -> Lines:
    """Of the jobs that are bound to no box, or so; `either` says both at once, of those whose time has come."""
    lanes = [f"from jobs where {WAITS} and {lane} and delayed = 0 and type = %(type)s" for lane in (ANYWHERE, bound)]
    come = f"from jobs where {WAITS} and {either} and delayed = 1 and ready_at <= %(now)s and type = %(type)s"
    come = f"{come} and (rank < %(rank)s or (rank = %(rank)s and seq < %(seq)s))"
    parts = [
        f"{lane} and {where}" for lane in lanes for where in ("rank < %(rank)s", "rank = %(rank)s and seq < %(seq)s")
    ]
    heads = [f"select * from (select rank, seq {one} order by rank, seq limit %(limit)s) part" for one in parts]
    first = " union all ".join([*heads, f"select rank, seq {come}"])
    ahead = " union all ".join(f"select {COUNTS} {one}" for one in (*parts, come))
    waits = f"{WAITS} and {either} and (delayed = 0 or ready_at <= %(now)s)"
    return Lines(
        f"select rank, seq from jobs where id = %(id)s and {waits}",
        f"select * from ({first}) heads order by rank, seq limit %(limit)s",
        f"select sum(n)::bigint, sum(later)::bigint from ({ahead}) ahead",
    )


OF_ALL, OF_BOX = _lines("box is not null", "true"), _lines("box = %(box)s", "(box is null or box = %(box)s)")
FAILURES = """
select id, type, error, finished_at
from jobs
where status = 'failed' and finished_at >= %s
order by finished_at desc, seq desc
limit %s"""
BEHIND_ALL = LOWEST_PRIORITY + 1
TOLD = f"""
select id, type, case when length(payload) <= {LARGEST_TOLD} then payload else '{{}}' end
from jobs where seq = any(%s) order by rank, seq"""
SAMPLES = "select type, samples from run_samples"
KEEP_SAMPLES = """
insert into run_samples values (%s, %s)
on conflict (type) do update set samples = excluded.samples"""
NAMES = "select id from jobs where seq = any(%s) order by rank, seq"


class PostgresSight:
    """The Sight port."""

    def __init__(self, writer: PostgresWriter, readers: PostgresReaders) -> None:
        self._writer = writer
        self._readers = readers

    async def line(
        self, job_id: JobId, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Line:
        fetch, texts = self._readers.fetch, OF_BOX if box else OF_ALL
        asked = {"now": micros(now), "limit": limit, "box": box}
        place = await fetch(texts.place, asked | {"id": job_id})
        if not place:
            return Line()
        [(rank, seq)] = place
        ahead: dict[str, int] = {}
        overtook, heads = 0, list[tuple[int, int]]()
        for type in sorted(types):
            values = asked | {"type": type, "rank": rank, "seq": seq}
            [(n, later)] = await fetch(texts.ahead, values)
            if n:
                ahead[type] = n
                overtook += later
                heads += await fetch(texts.first, values)
        first = [seq for _, seq in sorted(heads)[:limit]]
        rows = await fetch(NAMES, (first,)) if first else []
        return Line(ahead, overtook, tuple(id for (id,) in rows))

    async def waiting(
        self, types: Collection[str], now: datetime, limit: int, box: str | None = None
    ) -> Sequence[Waiting]:
        first, text = list[int](), (OF_BOX if box else OF_ALL).first
        for type in sorted(types):
            values = {"type": type, "rank": BEHIND_ALL, "seq": 0, "now": micros(now), "limit": limit, "box": box}
            first += [seq for _, seq in await self._readers.fetch(text, values)]
        rows = await self._readers.fetch(TOLD, (first,)) if first else []
        return [Waiting(id, type, load(payload)) for id, type, payload in rows]

    async def samples(self) -> Mapping[str, Sequence[Sample]]:
        return {type: [Sample(*one) for one in load(samples)] for type, samples in await self._readers.fetch(SAMPLES)}

    async def keep_samples(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        def work(tx: PostgresTransaction) -> None:
            for type, kept in sorted(samples.items()):
                tx.send(KEEP_SAMPLES, (type, dump([astuple(one) for one in kept])))

        await self._writer.run(work)

    async def failures(self, since: datetime, limit: int) -> Sequence[Failure]:
        rows = await self._readers.fetch(FAILURES, (micros(since), limit))
        return await asyncio.to_thread(_failures, rows)

    async def series(self, since: datetime, types: Collection[str]) -> Sequence[SeriesRow]:
        with suppress(StoreFull):  # then it lacks at most the last few hundred events
            await self._writer.run(time_series.count_all, Ahead())
        rows = series_rows(await self._readers.fetch(time_series.SINCE, (micros(since), micros(since))))
        return [row for row in rows if not types or row.type in types]


def _failures(rows: Sequence[tuple[str, str, str | None, int]]) -> Sequence[Failure]:
    return [Failure(id, type, load_error(error), moment(at)) for id, type, error, at in rows if error]
