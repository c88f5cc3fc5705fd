"""Conformance tests of dependencies and batches: who waits, who is told in which transaction, what comes back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue import state
from secondunit.queue.errors import BadDependencies, BatchNotFound, NotAllowed
from secondunit.queue.model import Batch, Bonds, Filter, Job, Status, Target
from secondunit.queue.outcome import Completed, JobError, Outcome, Partial
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    BROKEN,
    CALLBACK,
    NOW,
    by,
    claim,
    claim_one,
    end,
    later,
    listened,
    names,
    new,
    prune_at,
    settled,
    start,
    submit,
)

DONE = Completed({"path": "/a"})


async def after(store: Store, job_id: str, *parents: str, rule: Any = "fail", **fields: Any) -> Job:
    """Submit a job that depends on others."""
    [job] = await submit(store, job_id, bonds=Bonds(parents, rule), **fields)
    return job


async def finish(store: Store, job_id: str, outcome: Outcome = DONE, at: Any = NOW) -> Job:
    """Run the job, which is the next of its type, to this end."""
    lease = await claim_one(store, job_id, at=at)
    return await store.change(job_id, settled(outcome, at), lease=lease)


async def statuses(store: Store, *job_ids: str) -> list[str]:
    """Where these stand."""
    return [(await store.get(id)).status.value for id in job_ids]


class GraphContract:
    """Dependencies, and batches."""

    async def test_a_job_waits_until_all_it_depends_on_has_ended(self, store: Store) -> None:
        await submit(store, "a", "b")
        job = await after(store, "c", "a", "b")
        assert (job.waiting_for, list(job.depends_on)) == (2, ["a", "b"])
        assert [one.id for one in await claim(store)] == ["a", "b"]
        await store.change("a", settled(DONE))
        assert await claim(store) == []
        heard = listened(store)
        await store.change("b", settled(Partial({}, ["x"]), later(5)))
        assert [(event.job_id, event.name) for event in heard] == [("b", "partial"), ("c", "queued")]
        [job] = await claim(store, at=later(5))
        assert (job.id, job.waiting_for) == ("c", 0)

    async def test_what_waits_is_in_no_line(self, store: Store) -> None:
        await start(store, "a")
        await after(store, "b", "a", run_at=later(10))
        [c] = await submit(store, "c")
        assert (await store.sight.line(c.id, ["hls"], NOW, 9)).first == ()
        assert await store.next_due(["hls"]) is None
        assert (await store.counts()).queued == {"hls": 2}
        assert await store.age(later(900), timedelta(minutes=10), 9) == 1
        with pytest.raises(NotAllowed):
            await store.change("b", by(state.start, "boot", timedelta(1), NOW))

    async def test_a_later_time_is_waited_for_after_the_parents(self, store: Store) -> None:
        await start(store, "a")
        await after(store, "b", "a", run_at=later(60))
        await after(store, "c", "a", run_at=later(1))
        await store.change("a", settled(DONE, later(5)))
        assert [job.id for job in await claim(store, at=later(5))] == ["c"]
        assert await store.next_due(["hls"]) == later(60)
        assert [job.id for job in await claim(store, at=later(60))] == ["b"]

    async def test_a_released_job_has_been_ready_since_then(self, store: Store) -> None:
        await start(store, "a")
        await after(store, "b", "a", priority=4)
        assert (await store.counts()).oldest_ready is None
        await store.change("a", settled(DONE, later(3600)))
        assert (await store.counts()).oldest_ready == later(3600)
        assert await store.age(later(3601), timedelta(minutes=10), 9) == 0
        assert await store.age(later(4200), timedelta(minutes=10), 9) == 1

    async def test_who_ended_before_is_not_waited_for(self, store: Store) -> None:
        await end(store, "a")
        assert (await after(store, "b", "a")).waiting_for == 0
        assert [job.id for job in await claim(store)] == ["b"]

    async def test_an_unknown_parent_stores_nothing(self, store: Store) -> None:
        with pytest.raises(BadDependencies, match="nobody"):
            await store.add([new("a"), new("b", bonds=Bonds(["nobody"]))])
        assert (await store.find(Filter(), None, 9)).total == 0

    async def test_jobs_of_one_request_may_name_each_other_in_any_order(self, store: Store) -> None:
        stored = await store.add([new("c", bonds=Bonds(["a", "b"])), new("a"), new("b", bonds=Bonds(["a"]))])
        found = [(job.id, job.waiting_for, job.followed) for job, _ in stored]
        assert found == [("c", 2, False), ("a", 0, True), ("b", 1, True)]
        for id in "abc":
            await finish(store, id)
        assert await statuses(store, *"abc") == ["completed"] * 3

    @pytest.mark.parametrize(("rule", "ends"), [("fail", "failed"), ("cancel", "cancelled"), ("run", "queued")])
    async def test_a_parent_that_fails_decides_by_the_childs_rule(self, store: Store, rule: str, ends: str) -> None:
        await start(store, "a")
        await after(store, "b", "a", rule=rule, target=CALLBACK)
        heard = listened(store)
        await store.change("a", settled(BROKEN))
        assert [(event.job_id, event.name) for event in heard] == [("a", "failed"), ("b", ends)]
        job = await store.get("b")
        assert (job.status.value, job.waiting_for) == (ends, 0)
        assert len(await store.outbox.of_job("b")) == (ends != "queued")
        assert not job.error or job.error == JobError(job.error.kind, "parent_failed", "a, which it depends on, failed")

    async def test_a_failure_goes_down_the_whole_chain_in_one_transaction(self, store: Store) -> None:
        await store.add([new("j0"), *[new(f"j{n}", bonds=Bonds([f"j{n - 1}"])) for n in range(1, 100)]])
        [first] = await claim(store)
        calls: list[int] = []
        store.listen(lambda events: calls.append(len(events)))
        await store.change("j0", settled(BROKEN), lease=first.lease)
        assert calls == [100]
        assert (await store.counts()).ended == {"hls": 100}

    async def test_many_children_are_all_told(self, store: Store) -> None:
        await store.add([new("a"), *[new(f"j{n}", bonds=Bonds(["a"])) for n in range(1000)]])
        heard = listened(store)
        await finish(store, "a")
        for _ in range(20):  # the rest are told by transactions of their own
            await store.change("a", lambda job: state.with_stats(job, {}, NOW))
        assert len(heard) == 1002
        assert len(await claim(store, 2000)) == 1000

    async def test_a_cancelled_parent_is_one_that_failed(self, store: Store) -> None:
        await submit(store, "a")
        await after(store, "b", "a")
        await after(store, "c", "b", rule="cancel")
        await store.change("a", by(state.cancel, NOW))
        assert await statuses(store, *"abc") == ["cancelled", "failed", "cancelled"]

    async def test_whoever_comes_after_the_failure_ends_with_it(self, store: Store) -> None:
        await end(store, "a", BROKEN)
        stored = await store.add([new("b", bonds=Bonds(["a"])), new("c", bonds=Bonds(["b"])), new("d")])
        assert [job.status.value for job, _ in stored] == ["failed", "failed", "queued"]
        assert await names(store, "c") == ["queued", "failed"]

    async def test_a_retry_of_the_parent_brings_back_who_ended_for_its_sake(self, store: Store) -> None:
        await start(store, "a")
        await after(store, "b", "a")
        await after(store, "c", "b", rule="cancel")
        await after(store, "d", "a")
        await after(store, "e", "a", rule="run")
        await store.change("d", by(state.cancel, NOW))
        await store.change("a", settled(BROKEN))
        await finish(store, "e", BROKEN)
        assert await statuses(store, *"abcde") == ["failed", "failed", "cancelled", "cancelled", "failed"]
        await store.change("a", by(state.retry, later(9)))
        assert await statuses(store, *"abcde") == ["queued", "queued", "queued", "cancelled", "failed"]
        assert [(await store.get(id)).waiting_for for id in "abc"] == [0, 1, 1]
        for id in "abc":
            await finish(store, id, at=later(9))
        assert await statuses(store, *"abc") == ["completed"] * 3

    async def test_a_child_comes_back_once_no_parent_is_failed(self, store: Store) -> None:
        await submit(store, "a", "b")
        await after(store, "c", "a", "b")
        await store.change("a", by(state.cancel, NOW))
        await store.change("b", by(state.cancel, NOW))
        await store.change("a", by(state.retry, NOW))
        job = await store.get("c")
        assert job.error and job.error.message == "b, which it depends on, was cancelled"
        assert await names(store, "c") == ["queued", "failed"]
        await store.change("b", by(state.retry, NOW))
        assert (await store.get("c")).waiting_for == 2

    async def test_a_child_is_not_retried_while_a_parent_is_failed(self, store: Store) -> None:
        await end(store, "a", BROKEN)
        await after(store, "b", "a")
        with pytest.raises(NotAllowed, match="a, which it depends on, failed; retry that one"):
            await store.change("b", by(state.retry, NOW))
        assert await statuses(store, *"ab") == ["failed", "failed"]

    async def test_who_waits_still_waits_for_a_parent_that_runs_again(self, store: Store) -> None:
        await submit(store, "a", "b")
        await after(store, "c", "a", "b")
        await finish(store, "a")
        assert (await store.get("c")).waiting_for == 1
        await store.change("a", by(state.retry, NOW))
        assert (await store.get("c")).waiting_for == 2

    async def test_a_running_child_goes_on_when_its_parent_runs_again(self, store: Store) -> None:
        await submit(store, "a")
        await after(store, "b", "a")
        await finish(store, "a")
        lease = await claim_one(store, "b")
        await store.change("a", by(state.retry, NOW))
        await store.change("a", by(state.cancel, NOW))
        assert (await store.change("b", settled(DONE), lease=lease)).status is Status.COMPLETED

    async def test_parents_are_told_by_the_store(self, store: Store) -> None:
        await end(store, "a")
        await submit(store, "b")
        await after(store, "c", "b", "a")
        assert [job.id for job in await store.graph.parents("c")] == ["a", "b"]
        assert await store.graph.parents("a") == []
        assert list(await store.graph.children("a", 9)) == ["c"]

    async def test_a_parent_is_kept_until_its_children_have_ended(self, store: Store) -> None:
        await end(store, "a")
        await submit(store, "b")
        await after(store, "c", "a", "b")
        assert list(await store.prune(prune_at(later(99)))) == []
        await finish(store, "b")
        await finish(store, "c")
        assert sorted(await store.prune(prune_at(later(99)))) == ["a", "b", "c"]


class BatchContract:
    """Jobs that were submitted together."""

    async def test_a_batch_ends_with_its_last_job(self, store: Store) -> None:
        await batch(store, "a", "b")
        await finish(store, "a", at=later(1))
        assert (await store.graph.batch("batch")).finished_at is None
        assert not (await store.outbox.counts()).get("pending")
        await finish(store, "b", BROKEN, at=later(9))
        assert (await store.graph.batch("batch")).finished_at == later(9)
        assert await store.graph.standing("batch") == {Status.COMPLETED: 1, Status.FAILED: 1}
        [delivery] = await store.outbox.of_job("b")
        notice = delivery.notice
        assert (notice.target, notice.status) == (Target("batch", CALLBACK.address), Status.PARTIAL)
        assert notice.result == {"batch": "batch", "by_status": {"completed": 1, "failed": 1}}
        assert notice.duration == timedelta(seconds=9)

    async def test_a_batch_that_ends_again_is_told_again(self, store: Store) -> None:
        await batch(store, "a", "b")
        await finish(store, "a")
        await finish(store, "b", BROKEN, at=later(1))
        await store.change("b", by(state.retry, later(2)))
        assert (await store.graph.batch("batch")).finished_at is None
        await finish(store, "b", at=later(3))
        told = [delivery.notice.status.value for delivery in await store.outbox.of_job("b")]
        assert told == ["partial", "completed"]
        assert (await store.graph.batch("batch")).finished_at == later(3)

    async def test_a_failure_that_ends_all_of_a_batch_is_told_once(self, store: Store) -> None:
        changes = [new("a", batch="batch"), new("b", batch="batch", bonds=Bonds(["a"]))]
        await store.add(changes, batch=Batch("batch", NOW, target=CALLBACK))
        await finish(store, "a", BROKEN)
        [delivery] = await store.outbox.of_job("b")
        assert delivery.notice.status is Status.FAILED
        assert (await store.outbox.counts())["pending"] == 1

    async def test_a_batchs_jobs_are_found_by_it(self, store: Store) -> None:
        await submit(store, "x")
        await batch(store, "a", "b", "c")
        await submit(store, "y")
        page = await store.find(Filter(batch="batch"), None, 2)
        assert ([job.id for job in page.jobs], page.total) == (["c", "b"], 3)
        page = await store.find(Filter([Status.QUEUED], batch="batch"), page.next_cursor, 2)
        assert ([job.id for job in page.jobs], page.next_cursor) == (["a"], None)
        assert (await store.find(Filter(batch="nothing"), None, 2)).total == 0

    async def test_a_batch_comes_back_as_it_was_stored(self, store: Store) -> None:
        asked = Batch("batch", NOW, "films", CALLBACK, "owner")
        stored = await store.add([new("a", batch="batch")], batch=asked)
        assert [job.batch for job, _ in stored] == ["batch"]
        told = await store.graph.batch("batch")
        assert (told.name, told.target, told.owner, told.total) == ("films", CALLBACK, "owner", 1)
        with pytest.raises(BatchNotFound):
            await store.graph.batch("nothing")

    async def test_a_batch_is_kept_whole_until_it_ends_and_goes_with_its_jobs(self, store: Store) -> None:
        await batch(store, "a", "b")
        await finish(store, "a")
        assert list(await store.prune(prune_at(later(99)))) == []
        await finish(store, "b")
        for delivery in (await store.outbox.due(later(99), 9))[0]:
            await store.outbox.change(delivery.id, lambda row: replace(row, state="delivered", next_at=None))
        assert sorted(await store.prune(prune_at(later(99)))) == ["a", "b"]
        with pytest.raises(BatchNotFound):
            await store.graph.batch("batch")


async def batch(store: Store, *job_ids: str) -> Sequence[Job]:
    """Store jobs as a batch with a callback."""
    changes = [new(job_id, batch="batch") for job_id in job_ids]
    return [job for job, _ in await store.add(changes, batch=Batch("batch", NOW, target=CALLBACK))]
