"""No statement of the SQLite store reads more rows than it answers with: each finds its own by an index."""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from secondunit.queue.model import Filter, Idempotency, Job, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.sight.query import searched
from secondunit.queue.stores.sqlite import claims
from secondunit.queue.stores.sqlite.connection import connect_writer
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.tables import jobs, pruning
from secondunit.queue.stores.sqlite.tables import queries as lists
from secondunit.queue.stores.sqlite.tables.access import SqliteAuditTrail, forget_old
from secondunit.queue.stores.sqlite.tables.cache import SqliteCache
from secondunit.queue.stores.sqlite.tables.kin import SqliteGraph
from secondunit.queue.stores.sqlite.tables.outbox import SqliteOutbox
from secondunit.queue.stores.sqlite.tables.search import search
from secondunit.queue.stores.sqlite.tables.sight import FAILURES, SqliteSight
from secondunit.queue.stores.sqlite.tables.steps import SqliteSteps
from secondunit.queue.stores.sqlite.time_series import SINCE
from secondunit.queue.stores.sqlite.transaction import Transaction, WriterCache
from secondunit.queue.stores.sqlite.writer import Writer
from secondunit.testing.jobs import BOOT, CALLBACK, NOW, TTL, held, later, new, prune_at, settled

SCAN = re.compile(r"SCAN (jobs|events|deliveries|steps|cache|idempotency|audit|batches|e|j|d|c|earlier)\b")
SORT = re.compile(r"USE TEMP B-TREE")
NO_WRITER = cast(Writer, None)


class Recorder:
    """Stands for the writer's connection and for the readers: runs statements and remembers them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.seen: list[tuple[str, Sequence[Any]]] = []

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        self.seen.append((sql, values))
        return self.connection.execute(sql, values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self.execute(sql, row)

    async def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return await asyncio.ensure_future(self._fetched(sql, values))  # a turn of its own, no daemon's, may block

    async def _fetched(self, sql: str, values: Sequence[Any]) -> list[Any]:
        return self.execute(sql, values).fetchall()

    async def page(self, sql: str, values: Sequence[Any], limit: int) -> tuple[list[Any], bool]:
        rows = await self.fetch(sql, values)
        return rows[:limit], len(rows) > limit

    @property
    def transaction(self) -> Transaction:
        return Transaction(cast(sqlite3.Connection, self), WriterCache())

    @property
    def readers(self) -> Readers:
        return cast(Readers, self)

    def plans(self) -> str:
        """How SQLite would run each statement again, one step a line."""
        statements = [(sql, values) for sql, values in self.seen if not sql.startswith("pragma")]
        rows = [self.connection.execute(f"explain query plan {sql}", values).fetchall() for sql, values in statements]
        return "\n".join(row[3] for plan in rows for row in plan)


Run = Callable[[Recorder], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """What is run, the indexes it must use, and the scans and sorts it may make, each with the reason."""

    run: Run
    uses: Sequence[str] = ()
    scans: str = ""
    sorts: str = ""


def found(**fields: Any) -> Run:
    return lambda recorder: lists.find(recorder.readers, Filter(**fields), 100, 5)


def replayed(**fields: Any) -> Run:
    return lambda recorder: lists.events(recorder.readers, 1, Filter(**fields), 5)


def end(recorder: Recorder) -> Job:
    transaction = recorder.transaction
    job = jobs.get(transaction, "running")
    job = jobs.change(transaction, job.id, settled(Completed(1)), held(job))
    transaction.flush()
    return job


DONE = [Status.COMPLETED, Status.FAILED]
CASES = {
    "add": Case(
        lambda r: jobs.add(r.transaction, [new("x", idempotency=Idempotency("x", b"1"), dedupe_key="x")]),
        ["jobs_live_work (dedupe_key=?)", "key USING PRIMARY KEY"],
    ),
    "get": Case(lambda r: jobs.get(r.transaction, "running"), ["sqlite_autoindex_jobs_1 (id=?)"]),
    "claim": Case(
        lambda r: claims.claim(r.transaction, {"hls": 2, "webp": 1}, 3, BOOT, TTL, later(60)),
        ["jobs_delayed (ready_at<?)", "jobs_ready (type=?)"],
        sorts="of at most as many rows as there is room",
    ),
    "promotion": Case(lambda r: claims.promote(r.transaction, later(60)), ["jobs_delayed (ready_at<?)"]),
    "heartbeat": Case(
        lambda r: r.execute(lists.EXTEND, (1, "running", 1, BOOT, 1)).fetchall(), ["sqlite_autoindex_jobs_1 (id=?)"]
    ),
    "expiry": Case(
        lambda r: lists.expired(r.readers, NOW, BOOT, 5), ["jobs_running"], scans="what runs, a handful of rows"
    ),
    "end": Case(end, ["sqlite_autoindex_jobs_1 (id=?)", "INTEGER PRIMARY KEY (rowid=?)"]),
    "search": Case(
        lambda r: search(r.readers, searched(Filter(), "x", NOW, {"hls": ["a"]}), 100, 5, counted=True, clock=None),
        scans="of every row's text, on a reading connection: docs/sight.md has the figures",
        sorts="of what was found",
    ),
    "search of some": Case(
        lambda r: search(
            r.readers, searched(Filter(), "x type:hls status:partial", NOW, {}), 100, 5, counted=True, clock=None
        ),
        ["jobs_listed (type=? AND status=? AND seq>? AND seq<?)"],
        scans="of what was found",
        sorts="of what was found",
    ),
    "batches": Case(lambda r: SqliteGraph(r.readers).batches(None, None, 5), ["batches_by_age (first<?)"]),
    "batches of one": Case(
        lambda r: SqliteGraph(r.readers).batches("me", None, 5), ["batches_by_owner (owner=? AND first<?)"]
    ),
    "failures": Case(
        lambda r: r.fetch(FAILURES, (1, 5)),
        ["jobs_ended (status=? AND finished_at>?)"],
    ),
    "series": Case(lambda r: r.fetch(SINCE, (1,)), ["series USING PRIMARY KEY (step=? AND at>?)"]),
    "counting of the series": Case(
        lambda r: r.transaction.count_moves(),
        [
            "e USING INTEGER PRIMARY KEY (rowid>?)",
            "b USING COVERING INDEX events_of_job (job=? AND rowid<?)",
            "series USING PRIMARY KEY (step=? AND at=? AND type=?)",
        ],
        sorts="of some hundred events, in groups",
    ),
    "line": Case(
        lambda r: SqliteSight(NO_WRITER, r.readers).line("ready", ["hls"], later(60), 5),
        ["jobs_ready (type=? AND rank<?)", "jobs_ready (type=? AND rank=? AND seq<?)", "jobs_delayed (ready_at<?)"],
        scans="of three counts",
        sorts="of twenty jobs that stand first",
    ),
    "next due": Case(
        lambda r: r.fetch(*lists.next_due(["hls", "webp"])),
        ["jobs_delayed"],
        scans="in the order of time, up to the first of these types",
    ),
    "find all": Case(found(), ["INTEGER PRIMARY KEY (rowid<?)"]),
    "find by type": Case(
        found(types=["hls"]), ["jobs_listed (type=? AND status=? AND seq<?)"], sorts="of a page for each status"
    ),
    "find by status": Case(
        found(statuses=DONE), ["jobs_listed (type=? AND status=? AND seq<?)"], sorts="of a page for each type"
    ),
    "find by type and status": Case(
        found(types=["hls", "webp"], statuses=DONE),
        ["jobs_listed (type=? AND status=? AND seq<?)"],
        sorts="of a page for each type and status",
    ),
    "find by id": Case(
        found(ids=["a", "b"], types=["hls"], statuses=DONE),
        ["sqlite_autoindex_jobs_1 (id=?)"],
        sorts="of the jobs that were named",
    ),
    "find of an owner": Case(
        found(owner="A"), ["jobs_owned (owner=? AND status=? AND seq<?)"], sorts="of a page for each status"
    ),
    "find of an owner by type and status": Case(
        found(owner="A", types=["hls", "webp"], statuses=DONE),
        ["COVERING INDEX jobs_owned (owner=? AND status=?)"],
        sorts="of a page for each status",
    ),
    "queued of an owner": Case(lambda r: r.transaction.queued("A"), ["COVERING INDEX jobs_owned"]),
    "replay of an owner": Case(replayed(owner="A"), ["e USING INTEGER PRIMARY KEY (rowid>?)"]),
    "audit trail of one": Case(
        lambda r: SqliteAuditTrail(NO_WRITER, r.readers).find(9, 5, "me"), ["INTEGER PRIMARY KEY (rowid<?)"]
    ),
    "audit trail": Case(lambda r: SqliteAuditTrail(NO_WRITER, r.readers).find(9, 5), ["INTEGER PRIMARY KEY (rowid<?)"]),
    "forgetting the audit trail": Case(lambda r: forget_old(r.transaction, NOW, 5), ["audit_by_age (at<?)"]),
    "replay": Case(replayed(), ["e USING INTEGER PRIMARY KEY (rowid>?)"]),
    "replay by type": Case(replayed(types=["hls"]), ["e USING INTEGER PRIMARY KEY (rowid>?)"]),
    "replay by id": Case(
        replayed(ids=["a", "running"]), ["events_of_job (job=? AND rowid>?)"], sorts="of the events of a few jobs"
    ),
    "bounds": Case(lambda r: lists.event_bounds(r.readers)),
    "counts": Case(lambda r: lists.counts(r.readers), ["jobs_ready (type=? AND rank=?)"]),
    "aging": Case(
        lambda r: pruning.age(r.transaction, later(10**5), timedelta(minutes=10), 500),
        ["jobs_ready (type=? AND rank=?)"],
    ),
    "clock shift": Case(
        lambda r: pruning.shift(r.transaction, timedelta(hours=1)),
        ["jobs_running", "jobs_delayed"],
        scans="every waiting and running job moves with the clock, which is rarely set",
    ),
    "prune": Case(
        lambda r: pruning.prune(r.transaction, prune_at(later(10**6))),
        [
            "jobs_ended (status=? AND finished_at<?)",
            "deliveries_of_job (job=?)",
            "cache_of_job (job_id=?)",
            "events_of_job (job=?)",
            "cache_expiring (expires_at<?)",
            "idempotency_expiring (expires_at<?)",
        ],
        sorts="of the events that the time series does not count yet",
    ),
    "deliveries due": Case(
        lambda r: SqliteOutbox(NO_WRITER, r.readers).due(later(60), 5, except_for=["x"]),
        ["deliveries_due (next_at<?)", "deliveries_of_job (job=? AND seq<?)"],
    ),
    "next delivery due": Case(lambda r: SqliteOutbox(NO_WRITER, r.readers).next_due(), ["deliveries_due"]),
    "deliveries of a job": Case(
        lambda r: SqliteOutbox(NO_WRITER, r.readers).of_job("ended"), ["deliveries_of_job (job=?)"]
    ),
    "counts of deliveries": Case(
        lambda r: SqliteOutbox(NO_WRITER, r.readers).counts(),
        ["COVERING INDEX deliveries_due", "COVERING INDEX deliveries_delivered", "COVERING INDEX deliveries_dead"],
        scans="of an index that holds nothing but what is counted",
    ),
    "a step": Case(
        lambda r: SqliteSteps(NO_WRITER, r.readers).get("running", "s"), ["steps USING PRIMARY KEY (job=? AND name=?)"]
    ),
    "steps of a job": Case(
        lambda r: SqliteSteps(NO_WRITER, r.readers).of_job("running"),
        ["steps USING PRIMARY KEY (job=?)"],
        sorts="of the steps of one job",
    ),
    "a cached result": Case(
        lambda r: SqliteCache(NO_WRITER, r.readers).get("k", NOW), ["cache USING PRIMARY KEY (key=?)"]
    ),
}


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    connection, _ = connect_writer(tmp_path / "queue.db", "off")
    recorder = Recorder(connection)
    transaction = recorder.transaction
    jobs.add(transaction, [new("ended", target=CALLBACK, idempotency=Idempotency("k", b"1"), dedupe_key="w")])
    [job] = claims.claim(transaction, {"hls": 1}, 1, BOOT, TTL, NOW)
    jobs.change(transaction, "ended", settled(Completed(1)), job.lease)
    connection.execute("update deliveries set state = 'delivered', next_at = null")
    jobs.add(transaction, [new("running")])
    claims.claim(transaction, {"hls": 1}, 1, BOOT, TTL, NOW)
    jobs.add(transaction, [new("ready")])
    jobs.add(transaction, [new("delayed", run_at=later(30))])
    transaction.flush()
    recorder.seen.clear()
    yield recorder
    connection.close()


@pytest.mark.parametrize("name", CASES)
def test_statements_find_their_rows_by_an_index(recorder: Recorder, name: str) -> None:
    case = CASES[name]
    answer = case.run(recorder)
    if isinstance(answer, Coroutine):
        asyncio.run(answer)
    plans = recorder.plans()
    for index in case.uses:
        assert index in plans, plans
    assert case.scans or not SCAN.search(plans), plans
    assert case.sorts or not SORT.search(plans), plans


def test_deleting_a_job_finds_what_is_its_by_an_index(recorder: Recorder) -> None:
    recorder.execute("delete from jobs where id = 'ended'")
    plans = recorder.plans()
    for index in ("deliveries_of_job (job=?)", "events_of_job (job=?)", "steps USING PRIMARY KEY (job=?)"):
        assert index in plans, plans
