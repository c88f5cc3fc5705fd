"""Conformance tests of moves: load, decide, write as one, fenced by the lease, nothing half done or lost."""

import asyncio
import json
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.errors import LeaseLost, NotAllowed
from secondunit.queue.model import Bonds, Change, Job, Lease, Status, Suspicion
from secondunit.queue.outcome import Completed, JobError, Partial, Postpone, Released
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    ALL,
    BOOT,
    BROKEN,
    CALLBACK,
    FLAKY,
    NOW,
    TTL,
    NoJitter,
    by,
    claim,
    claim_one,
    end,
    held,
    later,
    listened,
    names,
    new,
    settled,
    start,
    start_suspect,
    submit,
)


class Refusal(Exception):
    """What the contract's own decisions raise."""


def refuse(job: Job) -> Change:
    """A decision that refuses."""
    raise Refusal(job.id)


class ChangeContract:
    """`change`: the only write after the claim."""

    async def test_a_change_gives_and_keeps_what_was_decided(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK, labels={"video": "v"})
        decide = settled(Partial({"n": [1]}, ["x", {"y": None}]), later(9))
        expected = decide(await store.get("a")).job
        assert await store.change("a", decide, lease=lease) == expected
        assert await store.get("a") == expected

    async def test_every_field_of_a_worn_job_is_kept(self, store: Store) -> None:
        lease = await start(store, "a", retry=RetryPolicy(5))
        await store.change("a", by(state.with_stats, {"tokens": 12, "cost": 0.25}, later(1)), lease=lease)
        await store.change("a", by(state.progress, 0.25, "a quarter", "encode", later(2)), lease=lease)
        await store.change("a", by(state.bury, 0, True, later(3)))
        lease = await start_suspect(store, "a", at=later(4))
        await store.change("a", settled(FLAKY, later(5)), lease=lease)
        lease = await start_suspect(store, "a", at=later(500))
        await store.change("a", settled(Released("drain"), later(501)), lease=lease)
        await store.change("a", by(state.share, later(502)))
        job = await store.get("a")
        assert (job.attempt, job.reclaims, job.interruptions, job.sharers, job.epoch) == (2, 1, 1, 2, 3)
        assert [run.outcome for run in job.runs] == ["crashed", "failed", "interrupted"]
        assert job.runs[1].error == JobError("transient", "flaky", "try again") == job.error
        assert job.stats == {"tokens": 12, "cost": 0.25}
        assert job.suspicion == Suspicion(BOOT, 0, 0.25, TTL, later(2))
        assert [bool(run.why) for run in job.runs] == [True, False, True]

    async def test_how_long_runs_took_is_kept_whatever_the_clock_was_set_to(self, store: Store) -> None:
        heard = listened(store)
        lease = await start(store, "a", retry=RetryPolicy(5), target=CALLBACK)
        took = [timedelta(seconds=1.5), timedelta(microseconds=7)]
        await store.change("a", by(state.settle, FLAKY, NoJitter(), later(3600), took[0]), lease=lease)
        lease = await claim_one(store, "a", at=later(7200))
        done = Completed({"ok": True})
        job = await store.change("a", by(state.settle, done, NoJitter(), later(-3600), took[1]), lease=lease)
        assert await store.get("a") == job
        assert ([run.took for run in job.runs], job.worked, job.duration) == (took, sum(took, timedelta()), took[1])
        assert (job.first_started_at, job.started_at) == (NOW, later(7200))
        [delivery] = await store.outbox.of_job("a")
        assert delivery.notice.duration == took[1]
        told = [event.duration for event in await store.events(0, ALL, 100)]
        assert told == [None, None, took[0], None, took[1]] == [event.duration for event in heard]

    async def test_a_decision_that_refuses_changes_nothing(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        before, bounds, heard = await store.get("a"), await store.event_bounds(), listened(store)
        with pytest.raises(Refusal):
            await store.change("a", refuse)
        with pytest.raises(Refusal):
            await store.change("a", refuse, lease=lease)
        with pytest.raises(NotAllowed):
            await store.change("a", by(state.retry, later(1)))
        assert await store.get("a") == before
        assert (await store.event_bounds(), heard) == (bounds, [])

    async def test_a_change_that_cannot_be_stored_leaves_nothing(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        unfit = settled(Completed({"when": object()}))
        try:
            job = await store.change("a", unfit, lease=lease)
        except (TypeError, ValueError):
            assert (await store.get("a")).status is Status.RUNNING
            assert (await names(store, "a"), await store.outbox.of_job("a")) == (["queued", "started"], [])
        else:
            assert job.status is Status.COMPLETED
            assert (await names(store, "a"))[-1] == "completed"

    async def test_one_refusal_does_not_sink_its_neighbours(self, store: Store) -> None:
        await submit(store, *[f"j{n}" for n in range(9)])
        writes = [store.change(f"j{n}", refuse if n % 3 == 0 else by(state.share, NOW)) for n in range(9)]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [isinstance(answer, Refusal) for answer in answers] == [n % 3 == 0 for n in range(9)]
        assert [(await store.get(f"j{n}")).sharers for n in range(9)] == [1 if n % 3 == 0 else 2 for n in range(9)]

    async def test_no_change_is_lost_among_many(self, store: Store) -> None:
        await submit(store, "a")
        await asyncio.gather(*[store.change("a", by(state.share, later(n))) for n in range(25)])
        assert (await store.get("a")).sharers == 26

    async def test_a_decision_sees_what_was_written_before_it(self, store: Store) -> None:
        await submit(store, "a")
        seen: list[int] = []

        def look(job: Job) -> Change:
            seen.append(job.sharers)
            return state.share(job, NOW)

        await asyncio.gather(*[store.change("a", look) for _ in range(10)])
        assert seen == list(range(1, 11))

    async def test_of_two_ends_one_wins(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        ends = [store.change("a", settled(Completed(n)), lease=lease) for n in range(5)]
        answers = await asyncio.gather(*ends, return_exceptions=True)
        assert sum(isinstance(answer, Job) for answer in answers) == 1
        assert sum(isinstance(answer, LeaseLost) for answer in answers) == 4
        assert await names(store, "a") == ["queued", "started", "completed"]
        assert len(await store.outbox.of_job("a")) == 1

    async def test_a_lost_lease_cannot_write(self, store: Store) -> None:
        old = await start(store, "a", target=CALLBACK)
        await store.change("a", by(state.expire, later(31)))
        with pytest.raises(LeaseLost) as lost:
            await store.change("a", settled(Completed(1)), lease=old)
        assert (lost.value.job_id, lost.value.epoch) == ("a", old.epoch)
        await claim_one(store, "a", at=later(32))
        current = await store.get("a")
        for move in (settled(Completed(1)), by(state.progress, 0.9, "", None, NOW), by(state.expire, NOW)):
            with pytest.raises(LeaseLost):
                await store.change("a", move, lease=old)
        assert await store.get("a") == current
        assert list(await store.outbox.of_job("a")) == []

    async def test_a_lease_of_another_boot_cannot_write(self, store: Store) -> None:
        lease = await start(store, "a")
        with pytest.raises(LeaseLost):
            await store.change("a", settled(Completed(1)), lease=Lease("a", lease.epoch, "boot-2", lease.until))
        assert (await store.get("a")).status is Status.RUNNING

    async def test_a_lease_from_the_future_cannot_write(self, store: Store) -> None:
        lease = await start(store, "a")
        with pytest.raises(LeaseLost):
            await store.change("a", settled(Completed(1)), lease=Lease("a", lease.epoch + 1, BOOT, lease.until))

    async def test_the_lease_of_an_ended_job_cannot_write(self, store: Store) -> None:
        lease = await start(store, "a")
        ended = await store.change("a", settled(Completed(1)), lease=lease)
        with pytest.raises(LeaseLost):
            await store.change("a", settled(BROKEN), lease=lease)
        assert await store.get("a") == ended

    async def test_a_fenced_decision_is_not_asked_once_the_lease_is_lost(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.change("a", by(state.recover, NOW))
        with pytest.raises(LeaseLost):
            await store.change("a", refuse, lease=lease)

    async def test_a_lease_that_ran_out_holds_until_it_is_expired(self, store: Store) -> None:
        lease = await start(store, "a")
        job = await store.change("a", settled(Completed(1), later(1000)), lease=lease)
        assert job.status is Status.COMPLETED

    async def test_a_renewed_lease_still_writes(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.extend([lease], later(60), later(10))
        job = await store.change("a", by(state.progress, 0.5, "half", None, later(11)), lease=lease)
        assert job.progress == 0.5

    async def test_a_failure_does_not_override_a_cancel(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        asked = await store.change("a", by(state.cancel, later(1)))
        assert (asked.status, asked.cancel_requested) == (Status.RUNNING, True)
        job = await store.change("a", settled(FLAKY, later(2)), lease=lease)
        assert job.status is Status.CANCELLED
        assert await names(store, "a") == ["queued", "started", "cancelled"]

    async def test_retrying_an_ended_job_while_its_work_lives_elsewhere_is_refused(self, store: Store) -> None:
        ended = await end(store, "a", dedupe_key="work", target=CALLBACK)
        await submit(store, "b", dedupe_key="work")
        bounds, heard = await store.event_bounds(), listened(store)
        with pytest.raises(NotAllowed) as refusal:
            await store.change("a", by(state.retry, later(5)))
        assert refusal.value.job_id == "a"
        assert await store.get("a") == ended
        assert (await store.event_bounds(), heard) == (bounds, [])
        assert [job.id for job in await claim(store, at=later(6))] == ["b"]

    async def test_a_retried_job_holds_its_work_again(self, store: Store) -> None:
        await end(store, "a", dedupe_key="work")
        await store.change("a", by(state.retry, later(1)))
        twin = await store.live_twin("work")
        assert twin is not None and twin.id == "a"

    async def test_a_move_between_live_states_keeps_the_work(self, store: Store) -> None:
        lease = await start(store, "a", dedupe_key="work")
        await store.change("a", settled(Postpone(timedelta(minutes=1), "quota")), lease=lease)
        twin = await store.live_twin("work")
        assert twin is not None and twin.status is Status.QUEUED

    async def test_a_change_keeps_the_number_and_the_request(self, store: Store) -> None:
        [before] = await submit(store, "a", priority=4, labels={"a": "b"})
        await end(store, "b", type="webp")
        after = await store.change("a", by(state.cancel, later(1)))
        assert (after.seq, after.payload, after.priority, after.labels) == (1, before.payload, 4, {"a": "b"})

    async def test_an_end_may_leave_less_of_the_payload(self, store: Store) -> None:
        def without(job: Job) -> Change:
            change = state.cancel(job, later(1))
            return replace(change, job=replace(change.job, payload={"n": "***"}))

        await submit(store, "a", "b")
        await store.change("a", without)
        # The other comes and goes in one breath, and perhaps in one transaction.
        add, change = store.add([new("c", payload={"n": "secret"})]), store.change("c", without)
        _, _, told = await asyncio.gather(add, change, store.change("b", without))
        assert [(await store.get(id)).payload for id in "abc"] == [{"n": "***"}] * 3
        assert told == await store.get("b")
        await store.change("a", by(state.retry, later(2)))
        assert (await claim(store, at=later(3)))[0].payload == {"n": "***"}

    async def test_moves_that_come_together_see_what_came_between_them(self, store: Store) -> None:
        lease = await start(store, "a")
        await submit(store, "b", bonds=Bonds(["a"]))
        share, renewal = by(state.share, NOW), store.extend([lease], later(45), later(15))
        moves = store.change("b", share), store.change("a", share), renewal, store.change("a", share)
        seen = (await asyncio.gather(*moves))[-1]
        assert (seen.sharers, held(seen).until) == (3, later(45))
        finish = store.steps.finish(lease, "s", 1, by(state.step_done, later(1)), NOW)
        seen = (await asyncio.gather(store.change("a", share), finish))[-1]
        assert (seen.sharers, seen.entered_at) == (4, later(1))
        ended = store.change("a", settled(Completed(1)), lease=lease)
        child = (await asyncio.gather(store.change("b", share), ended, store.change("b", share)))[-1]
        assert (child.sharers, child.waiting_for) == (4, 0)

    async def test_a_caller_that_goes_away_leaves_no_half_write(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        write = asyncio.ensure_future(store.change("a", settled(Completed(1)), lease=lease))
        await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait([write])
        await store.change("a", Change)
        job = await store.get("a")
        done = job.status is Status.COMPLETED
        assert (await names(store, "a"))[-1] == ("completed" if done else "started")
        assert len(await store.outbox.of_job("a")) == done

    async def test_values_come_back_as_json_would_bring_them(self, store: Store) -> None:
        result = {"empty": [], "text": 'tab\tquote"nul\u0000', "n": -0.5, "none": None, "emoji": "🎬"}
        job = await end(store, "a", Completed(result))
        assert (await store.get("a")).result == json.loads(json.dumps(result)) == job.result
