"""What several daemons on one PostgreSQL database could do to each other."""

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from secondunit.queue import state
from secondunit.queue.model import Batch, Bonds, Status, Target
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.stores.postgres.connection import connect
from secondunit.queue.stores.postgres.sealing import Operation
from secondunit.queue.stores.postgres.store import PostgresStore
from secondunit.queue.stores.postgres.tables import jobs
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.testing.jobs import ALL, NOW, by, claim, later, listened, new, settled, start, submit
from tests.contract.conftest import Open
from tests.postgres_server import rows, shared_server


async def test_a_reader_misses_no_event_however_the_commits_of_two_daemons_cross(opened: Open) -> None:
    a, b = await opened(), await opened()
    heard = listened(a), listened(b)
    read: list[int] = []

    async def write(store: PostgresStore, name: str) -> None:
        for n in range(40):
            await submit(store, f"{name}{n}")
            await store.change(f"{name}{n}", by(state.cancel, NOW))

    writing = asyncio.gather(write(a, "a"), write(b, "b"))
    while not writing.done():
        read += [event.seq for event in await a.events(read[-1] if read else 0, ALL, 1000)]
        await asyncio.sleep(0)
    await writing
    read += [event.seq for event in await a.events(read[-1], ALL, 1000)]
    assert read == [*range(1, 161)]
    for _ in range(200):
        if len(heard[0]) == len(heard[1]) == 160:
            break
        await asyncio.sleep(0.05)
    assert [event.seq for event in heard[0]] == [event.seq for event in heard[1]] == read


async def test_whoever_is_slow_to_commit_is_waited_for_and_not_overtaken(opened: Open, url: str) -> None:
    a = await opened()
    with closing(connect(url)) as slow:
        slow.execute("insert into writers (writer, op) values ('slow', 0)")
        transaction = PostgresTransaction(slow)
        jobs.add(transaction, [new("slow")])
        transaction.finish(Operation("slow", 0, 1))
        transaction.execute("select 1")  # its events have their numbers, and nobody sees them yet
        quick = asyncio.create_task(submit(a, "quick"))
        await asyncio.sleep(0.3)
        assert list(await a.events(0, ALL, 9)) == [] and not quick.done()
        slow.execute("commit")
        await quick
    assert [(event.seq, event.job_id) for event in await a.events(0, ALL, 9)] == [(1, "slow"), (2, "quick")]


async def test_whoever_thinks_for_long_keeps_nobody_waiting_before_its_end(opened: Open) -> None:
    a, b = await opened(), await opened()
    began, goes_on = threading.Event(), threading.Event()

    def slow(tx: PostgresTransaction) -> None:
        jobs.add(tx, [new("slow")])
        began.set()
        goes_on.wait(2)

    late = asyncio.create_task(b._writer.run(slow))
    await asyncio.to_thread(began.wait, 5)
    await submit(a, "quick")
    assert not late.done()
    goes_on.set()
    await late
    assert [(event.seq, event.job_id) for event in await a.events(0, ALL, 9)] == [(1, "quick"), (2, "slow")]


@pytest.mark.slow
async def test_one_that_is_frozen_within_a_transaction_is_given_up_and_does_it_again(opened: Open) -> None:
    a, b = await opened(), await opened()
    locked, asked = threading.Event(), list[int]()

    def freezes(tx: PostgresTransaction) -> None:
        jobs.add(tx, [new("frozen")])
        asked.append(1)
        locked.set()
        if len(asked) == 1:
            time.sleep(5)

    late = asyncio.create_task(b._writer.run(freezes))
    await asyncio.to_thread(locked.wait, 5)
    await asyncio.wait_for(submit(a, "other"), 4.5)
    await late
    assert [event.job_id for event in await a.events(0, ALL, 9)] == ["other", "frozen"]
    assert len(asked) == 2


async def test_one_that_meets_anothers_locks_again_and_again_is_done_nonetheless(opened: Open) -> None:
    a, b = await opened(), await opened()
    await submit(a, "x", "y")
    met, through, tries = threading.Barrier(2, timeout=20), threading.Semaphore(0), list[str]()

    def is_ended(tx: PostgresTransaction) -> None:
        """Closes the circle: the server looks for one once, when a session has waited for a while, and ends that."""
        tries.append("x")
        if tries.count("x") > 1:  # x is free for a moment, and whoever comes first would have it
            assert through.acquire(timeout=20)
        tx.execute("select set_config('idle_in_transaction_session_timeout', '60s', true)")
        jobs.change(tx, "x", by(state.share, NOW), None)
        if tries.count("x") <= 2:
            met.wait()
            _until_one_waits(tx)
        jobs.change(tx, "y", by(state.share, NOW), None)

    def goes_on(tx: PostgresTransaction) -> None:
        tries.append("y")
        tx.execute("select set_config('idle_in_transaction_session_timeout', '60s', true)")
        tx.execute("select set_config('deadlock_timeout', '60s', true)")
        jobs.change(tx, "y", by(state.share, NOW), None)
        met.wait()
        jobs.change(tx, "x", by(state.share, NOW), None)

    async def twice() -> None:
        for _ in range(2):
            await b._writer.run(goes_on)
            through.release()

    await asyncio.gather(a._writer.run(is_ended), twice())
    assert [(await a.get(id)).sharers for id in "xy"] == [4, 4]
    assert tries.count("x") == 3 and tries.count("y") == 2


def _until_one_waits(tx: PostgresTransaction) -> None:
    """Return once somebody waits for what this transaction holds."""
    deadline = time.monotonic() + 20
    while not tx.execute("select 1 from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_ends_that_come_at_once_overlook_neither_child_nor_batch(opened: Open) -> None:
    a, b = await opened(), await opened()
    for n in range(10):
        up = [f"up{n}", f"too{n}"]
        whole = Batch(f"batch{n}", NOW, target=Target("callback", "http://127.0.0.1/"))
        child = new(f"child{n}", bonds=Bonds(up), type="webp")
        await a.add([*(new(id, batch=whole.id) for id in up)], batch=whole)
        one, other = await claim(a, 2)
        ends = [
            a.change(one.id, settled(Completed(1)), lease=one.lease),
            b.change(other.id, settled(Completed(1)), lease=other.lease),
        ]
        await asyncio.gather(*ends, b.add([child]))
        job = await a.get(child.job.id)
        assert (job.status, job.waiting_for) == (Status.QUEUED, 0)
        assert (await a.graph.batch(whole.id)).finished_at is not None
    assert len((await a.outbox.due(later(1), 99))[0]) == 10, "one delivery for each batch"


async def test_a_boot_that_names_its_box_frees_that_boxs_leases_alone(opened: Open) -> None:
    a, b = await opened(), await opened()
    old, others = await start(a, "x", boot="a/1"), await start(b, "y", boot="b/1", at=later(20))
    assert list(await a.expired(later(1), "a/2", 9)) == [old]
    assert list(await b.expired(later(25), "b/1", 9)) == []
    assert list(await b.expired(later(31), "b/1", 9)) == [old], "whose it was, it ran out"
    assert others.boot == "b/1"
    await a.stopping("a/1")
    await b.stopping("b/1")
    assert await a.was_stopping("a/1") and await a.was_stopping("b/1")


async def test_leases_of_a_queue_that_was_moved_here_from_a_file_are_freed_by_any_box(opened: Open) -> None:
    store = await opened()
    moved = await start(store, "x", boot="1")
    await start(store, "y", boot=RemoteHolder("", "elsewhere").heard("a/1"))
    for box in "ab":
        assert list(await store.expired(later(1), f"{box}/2", 9)) == [moved], "but a remote worker's goes on"


async def test_heartbeats_write_a_narrow_table_in_place(opened: Open, url: str) -> None:
    store = await opened()
    await submit(store, *(f"j{n}" for n in range(20)), payload={"path": "x" * 1000})
    leases = [job.lease for job in await claim(store, 20) if job.lease]
    for n in range(100):
        assert len(await store.extend(leases, later(30 + n), later(n))) == 20
        lease = leases[n % 20]
        await store.change(lease.job_id, by(state.progress, n / 100, "", None, later(n)), lease=lease)
    figures = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = %s"
    [(beats, in_place)] = rows(url, figures, ["leases"])
    for _ in range(100):
        if int(str(beats)) >= 2000:
            break
        await asyncio.sleep(0.1)
        [(beats, in_place)] = rows(url, figures, ["leases"])
    assert beats == 2000 and int(str(in_place)) >= 1980
    [(moves, in_place)] = rows(url, figures, ["jobs"])
    assert int(str(moves)) <= 120, "20 starts and 100 times progress: no beat touches a job"
    assert int(str(in_place)) >= 80
    [(size,)] = rows(url, "select pg_table_size('leases')")
    assert int(str(size)) <= 128 << 10


def test_nothing_of_postgresql_is_imported_unless_it_is_asked_for() -> None:
    code = "import sys, secondunit.daemon.wiring.database; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_the_same_work_given_to_two_daemons_in_other_orders_waits_in_no_circle(opened: Open, url: str) -> None:
    a, b = await opened(), await opened()
    log = shared_server().folder / "log"
    before = log.read_text().count("deadlock detected")

    async def add(store: PostgresStore, name: str, n: int) -> None:
        works = [f"work{n}-{i}" for i in range(1000)]
        named = works if name == "a" else works[::-1]
        await store.add([new(f"{name}-{work}", dedupe_key=work) for work in named])

    for n in range(4):
        await asyncio.gather(add(a, "a", n), add(b, "b", n))
    assert rows(url, "select count(*) from jobs") == [(4000,)]
    assert log.read_text().count("deadlock detected") == before
