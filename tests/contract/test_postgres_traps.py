"""What several daemons on one PostgreSQL database could do to each other."""

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

import psycopg
import pytest

from secondunit.queue import state
from secondunit.queue.errors import Saturated
from secondunit.queue.model import Batch, Bonds, Idempotency, Job, Status, Target
from secondunit.queue.outcome import Completed
from secondunit.queue.ports.duties import Candidate
from secondunit.queue.ports.holders import RemoteHolder
from secondunit.queue.state import QueueLimits
from secondunit.queue.stores.postgres import claims
from secondunit.queue.stores.postgres.connection import connect
from secondunit.queue.stores.postgres.sealing import Operation
from secondunit.queue.stores.postgres.store import PostgresStore
from secondunit.queue.stores.postgres.tables import jobs
from secondunit.queue.stores.postgres.tables.shared import duties
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.testing.jobs import ALL, NOW, TTL, by, claim, later, listened, new, settled, start, submit
from tests.contract.conftest import Open
from tests.postgres_server import rows


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


async def test_claims_of_two_daemons_share_no_job_and_leave_none(opened: Open) -> None:
    stores = [await opened(), await opened()]
    await submit(stores[0], *(f"j{n}" for n in range(60)))

    async def some(store: PostgresStore, boot: str) -> list[Job]:
        taken: list[Job] = []
        while len(got := await claim(store, 3, boot=boot)) > 0:
            taken += got
        return taken

    one, other = await asyncio.gather(some(stores[0], "a/1"), some(stores[1], "b/1"))
    rest = await some(stores[0], "a/1")
    assert sorted(job.id for job in [*one, *other, *rest]) == sorted(f"j{n}" for n in range(60))


async def test_a_limit_holds_over_all_daemons(opened: Open) -> None:
    stores = [await opened(), await opened()]
    limits = QueueLimits(in_all=5)
    asked = [store.add([new(f"{n}-{which}")], limits) for n in range(10) for which, store in enumerate(stores)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Saturated) for answer in answers) == 15
    assert (await stores[0].find(ALL, None, 20)).total == 5


@pytest.mark.parametrize(
    ("limits", "owner"), [(QueueLimits(in_all=3), None), (QueueLimits(of_one=3), "somebody")], ids=["all", "an owner's"]
)
async def test_a_limit_holds_for_one_that_counted_before_others_added(
    opened: Open, limits: QueueLimits, owner: str | None
) -> None:
    a, b = await opened(), await opened()
    await submit(a, "first")  # no limit of an owner counts it

    def late(tx: PostgresTransaction) -> None:
        jobs.add(tx, [new("late", owner=owner), new("later", owner=owner)], limits)

    with pytest.raises(Saturated):
        await _around(b, late, lambda: a.add([new(f"quick{n}", owner=owner) for n in range(2)], limits))
    assert (await a.find(ALL, None, 20)).total == 3


@pytest.mark.parametrize("by_what", ["key", "work"])
async def test_a_request_that_another_daemon_answers_meanwhile_is_answered_by_that_job(
    opened: Open, by_what: str
) -> None:
    a, b = await opened(), await opened()
    same = {"idempotency": Idempotency("k", b"digest")} if by_what == "key" else {"dedupe_key": "w"}
    answers: list[tuple[Job, bool]] = []

    def late(tx: PostgresTransaction) -> None:
        answers[:] = jobs.add(tx, [new("late", **same)])

    await _around(b, late, lambda: a.add([new("quick", **same)]))
    assert [(job.id, created) for job, created in answers] == [("quick", False)]
    assert (await a.find(ALL, None, 20)).total == 1


async def test_the_jobs_of_a_batch_have_numbers_without_others_in_between(opened: Open) -> None:
    a, b = await opened(), await opened()
    batch, made = Batch("batch", NOW), list[Job]()

    def whole(tx: PostgresTransaction) -> None:
        jobs.foresee(tx, [], 2)  # numbers that are drawn before others draw theirs
        asyncio.run_coroutine_threadsafe(submit(a, "other"), loop).result(10)
        made.extend(job for job, _ in jobs.add(tx, [new(f"j{n}", batch=batch.id) for n in range(3)], batch=batch))

    loop = asyncio.get_running_loop()
    await b._writer.run(whole)
    assert [job.seq - made[0].seq for job in made] == [0, 1, 2]
    assert await a.graph.standing("batch") == {Status.QUEUED: 3}


async def _around(
    store: PostgresStore, work: Callable[[PostgresTransaction], None], meanwhile: Callable[[], Awaitable[object]]
) -> None:
    """Have the work done by this store, and something by others between its last word and its commit."""
    decided, goes_on, tries = threading.Event(), threading.Event(), list[int]()

    def slow(tx: PostgresTransaction) -> None:
        tries.append(1)
        work(tx)
        if len(tries) == 1:
            decided.set()
            assert goes_on.wait(20)

    writing = asyncio.create_task(store._writer.run(slow))
    assert await asyncio.to_thread(decided.wait, 5)
    await meanwhile()
    goes_on.set()
    await writing
    assert len(tries) > 1, "nobody noticed"


async def test_the_same_work_that_comes_to_two_daemons_at_once_is_one_job(opened: Open) -> None:
    stores = [await opened(), await opened()]
    asked = [store.add([new(f"{n}-{which}", dedupe_key="w")]) for n in range(8) for which, store in enumerate(stores)]
    answers = await asyncio.gather(*asked)
    assert sum(created for [(_, created)] in answers) == 1
    assert len({job.id for [(job, _)] in answers}) == 1


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
    assert len(await a.outbox.due(later(1), 99)) == 10, "one delivery for each batch"


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


async def test_a_claim_of_the_highest_is_by_an_index_and_sorts_no_more_than_it_takes(opened: Open, url: str) -> None:
    store = await opened()
    await submit(store, *(f"j{n}" for n in range(3000)))
    await submit(store, *(f"gone{n}" for n in range(3000)), box="gone", priority=0)
    await submit(store, *(f"mine{n}" for n in range(50)), box="here", priority=3)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("analyze jobs")
        values = (["hls"], [2], "here", 2)
        plan = other.execute(f"explain (analyze, timing off, costs off) {claims.READY_HERE}", values).fetchall()
    told = "\n".join(line for (line,) in plan)
    assert "using jobs_ready on jobs" in told and "using jobs_ready_here on jobs" in told, told
    assert "Seq Scan on jobs" not in told and "Removed by Filter" not in told, told
    assert max(map(int, re.findall(r"rows=(\d+)", told))) <= 4, told
    assert [job.id for job in await store.claim({"hls": 2}, 2, "b", TTL, NOW, box="here")] == ["j0", "j1"]


async def test_claims_of_many_daemons_at_once_never_start_more_than_may_run_over_all(opened: Open) -> None:
    stores = [await opened() for _ in range(4)]
    await submit(stores[0], *(f"j{n}" for n in range(200)))
    limits, most = QueueLimits(running={"hls": 3}), list[int]()

    async def work(store: PostgresStore, box: str) -> None:
        for n in range(25):
            boot = f"{box}/{n}"
            jobs = await store.claim({"hls": 2}, 2, boot, TTL, NOW, box=box, overall=limits.running)
            most.append((await store.counts()).running.get("hls", 0))
            for job in jobs:
                await store.change(job.id, settled(Completed(1)), lease=job.lease)

    await asyncio.gather(*(work(store, f"box{n}") for n, store in enumerate(stores)))
    assert max(most) <= 3 and sum(n > 0 for n in most), most
    assert (await stores[0].counts()).completed["hls"] > 25, "and they did start"


def test_nothing_of_postgresql_is_imported_unless_it_is_asked_for() -> None:
    code = "import sys, secondunit.daemon.wiring.database; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
