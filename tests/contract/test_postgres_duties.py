"""Duties of several daemons on one PostgreSQL database: one has each, and writes under it alone."""

import asyncio
import threading

import psycopg

from secondunit.queue.ports.duties import Candidate
from secondunit.queue.stores.postgres.tables import jobs
from secondunit.queue.stores.postgres.tables.shared import duties
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.testing.jobs import NOW, TTL, later, new
from tests.contract.conftest import Open
from tests.postgres_server import rows


async def test_nobody_takes_a_duty_in_the_middle_of_a_write_under_it(opened: Open) -> None:
    a, b = await opened(), await opened()
    [duty] = await a.duties.take(["poller"], Candidate("a/1", TTL, NOW))
    checked, goes_on = threading.Event(), threading.Event()

    def slow(tx: PostgresTransaction) -> None:
        checked.set()
        goes_on.wait(4)
        jobs.add(tx, [new("under a's term")])

    writing = asyncio.create_task(a._writer.run(duties.fenced(duty, slow)))
    await asyncio.to_thread(checked.wait, 5)
    taking = asyncio.create_task(b.duties.take(["poller"], Candidate("b/1", TTL, later(999))))
    await asyncio.sleep(0.3)
    assert not taking.done()
    goes_on.set()
    await writing
    [taken] = await taking
    assert (taken.boot, taken.term) == ("b/1", 2)


async def test_two_that_find_a_duty_free_do_not_both_have_it(opened: Open) -> None:
    a, b = await opened(), await opened()
    await a.duties.take(["poller"], Candidate("a/1", TTL, NOW))
    await a.duties.give_back(["poller"], "a/1", NOW)
    took, goes_on = threading.Event(), threading.Event()

    def slow(tx: PostgresTransaction) -> None:
        duties.take(tx, ["poller"], Candidate("a/1", TTL, NOW))
        tx.execute("select 1")
        took.set()
        goes_on.wait(4)

    first = asyncio.create_task(a._writer.run(slow))
    await asyncio.to_thread(took.wait, 5)
    second = asyncio.create_task(b.duties.take(["poller"], Candidate("b/1", TTL, NOW)))
    await asyncio.sleep(0.3)
    goes_on.set()
    await first
    [told] = await second
    [duty] = await b.duties.all()
    assert (told.boot, told.term) == (duty.boot, duty.term) == ("a/1", 2)


async def test_who_may_not_have_a_duty_waits_for_nobody_and_writes_nothing(opened: Open, url: str) -> None:
    a, b = await opened(), await opened()
    [duty] = await a.duties.take(["poller"], Candidate("a/1", TTL, NOW))
    before = rows(url, "select writer, op from writers order by writer")
    with psycopg.connect(url) as under_it:
        under_it.execute("select 1 from duties for update")
        [told] = await asyncio.wait_for(b.duties.take(["poller"], Candidate("b/1", TTL, NOW)), 10)
    assert told == duty
    assert rows(url, "select writer, op from writers order by writer") == before
