"""Claims and submits of several daemons on one PostgreSQL database: shared, limited, numbered, joined."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from secondunit.queue.errors import Saturated
from secondunit.queue.model import Batch, Idempotency, Job, Status
from secondunit.queue.outcome import Completed
from secondunit.queue.state import QueueLimits
from secondunit.queue.stores.postgres import claims
from secondunit.queue.stores.postgres.store import PostgresStore
from secondunit.queue.stores.postgres.tables import jobs
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.testing.jobs import ALL, NOW, TTL, claim, new, settled, submit
from tests.contract.conftest import Open


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
