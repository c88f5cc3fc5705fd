"""Conformance tests of the outbox: a delivery for each end that asked for it, one at a time, in order."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from secondunit.queue import state
from secondunit.queue.model import Status, Target
from secondunit.queue.outcome import Completed, Outcome, Partial, Postpone, Released
from secondunit.queue.ports.deliveries import Try
from secondunit.queue.ports.pages import PAGE_BYTES
from secondunit.queue.store import Delivery, Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    BROKEN,
    CALLBACK,
    FLAKY,
    NOW,
    by,
    claim_one,
    end,
    later,
    settled,
    start,
    submit,
)


def delivered(row: Delivery) -> Delivery:
    """The receiver took it."""
    return replace(
        row, state="delivered", attempts=row.attempts + 1, next_at=None, finished_at=later(9), last_status=204
    )


def dead(row: Delivery) -> Delivery:
    """Nobody will try again."""
    return replace(row, state="dead", next_at=None, finished_at=later(9))


def backed_off(seconds: float) -> Callable[[Delivery], Delivery]:
    """The receiver did not take it; again at so many seconds after NOW."""

    def decide(row: Delivery) -> Delivery:
        return replace(row, attempts=row.attempts + 1, next_at=later(seconds), last_status=503, last_error="busy")

    return decide


class OutboxContract:
    """Deliveries."""

    async def test_an_end_writes_one_delivery_of_what_was_decided(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK, labels={"video": "v"}, source="backend")
        decide = settled(Partial({"n": 1}, ["x"]), later(9))
        notice = decide(await store.get("a")).notice
        await store.change("a", decide, lease=lease)
        [delivery] = await store.outbox.of_job("a")
        assert notice is not None
        assert delivery == Delivery(delivery.id, notice, "pending", 0, later(9), later(9))
        assert await store.outbox.get(delivery.id) == delivery

    async def test_each_try_of_a_delivery_is_kept_as_it_was(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = await store.outbox.of_job("a")
        first = Try(later(1), timedelta(milliseconds=250), 503, "busy")
        second = Try(later(3), timedelta(microseconds=7), None, "連線被拒")
        await store.outbox.change(row.id, lambda found: replace(found, tries=(*found.tries, first)))
        await store.outbox.change(row.id, lambda found: replace(found, tries=(*found.tries, second)))
        [after] = await store.outbox.of_job("a")
        assert after.tries == (first, second)
        assert await store.outbox.get(row.id) == after
        assert list((await store.outbox.due(later(99), 9))[0]) == [after]

    async def test_moves_that_end_nothing_write_no_delivery(self, store: Store) -> None:
        lease = await start(store, "a", target=CALLBACK)
        await store.change("a", by(state.progress, 0.5, "half", None, NOW), lease=lease)
        await store.change("a", settled(FLAKY, NOW), lease=lease)
        stops: list[Outcome] = [Postpone(timedelta(seconds=1), "quota"), Released("drain")]
        for n, outcome in enumerate(stops):
            lease = await claim_one(store, "a", at=later(100 + 10 * n))
            await store.change("a", settled(outcome, later(101 + 10 * n)), lease=lease)
        lease = await claim_one(store, "a", at=later(200))
        await store.extend([lease], later(240), later(210))
        await store.change("a", by(state.expire, later(300)))
        await store.change("a", by(state.share, later(300)))
        assert list(await store.outbox.of_job("a")) == []
        assert await store.outbox.next_due() is None

    async def test_a_job_without_a_target_has_no_delivery(self, store: Store) -> None:
        await end(store, "a")
        assert list(await store.outbox.of_job("a")) == []

    @pytest.mark.parametrize("way", ["completed", "failed", "cancelled", "cancelled while running"])
    async def test_every_way_to_end_has_its_delivery(self, store: Store, way: str) -> None:
        if way == "cancelled":
            await submit(store, "a", target=CALLBACK)
            await store.change("a", by(state.cancel, NOW))
        elif way == "cancelled while running":
            lease = await start(store, "a", target=CALLBACK)
            await store.change("a", by(state.cancel, NOW))
            await store.change("a", settled(BROKEN), lease=lease)
        else:
            await end(store, "a", Completed(1) if way == "completed" else BROKEN, target=CALLBACK)
        [delivery] = await store.outbox.of_job("a")
        assert delivery.notice.status is Status(way.removesuffix(" while running"))

    async def test_each_end_of_a_retried_job_has_its_own_delivery(self, store: Store) -> None:
        await end(store, "a", BROKEN, target=CALLBACK)
        await store.change("a", by(state.retry, later(5)))
        lease = await claim_one(store, "a", at=later(6))
        await store.change("a", settled(Completed(1), later(7)), lease=lease)
        first, second = await store.outbox.of_job("a")
        assert first.id != second.id
        assert (first.notice.status, second.notice.status) == (Status.FAILED, Status.COMPLETED)
        assert second.notice.epoch > first.notice.epoch

    async def test_the_first_that_is_pending_is_named_whatever_came_after_it(self, store: Store) -> None:
        await end(store, "a", BROKEN, target=CALLBACK)
        assert await store.outbox.first_pending("nobody") is None
        [first] = await store.outbox.of_job("a")
        await store.change("a", by(state.retry, later(5)))
        assert await store.outbox.first_pending("a") == first.id
        await store.outbox.change(first.id, delivered)
        assert await store.outbox.first_pending("a") is None
        lease = await claim_one(store, "a", at=later(6))
        await store.change("a", settled(Completed(1), later(7)), lease=lease)
        _, second = await store.outbox.of_job("a")
        assert await store.outbox.first_pending("a") == second.id
        await store.outbox.change(first.id, lambda row: replace(row, state="pending", next_at=later(8)))
        assert await store.outbox.first_pending("a") == first.id, "it goes out again, and before the other"

    async def test_the_jobs_of_which_one_was_given_up_are_named_once_the_newest_first(self, store: Store) -> None:
        for job_id in ("a", "b", "c"):
            await end(store, job_id, BROKEN, target=CALLBACK)
        await store.change("a", by(state.retry, later(5)))
        lease = await claim_one(store, "a", at=later(6))
        await store.change("a", settled(Completed(1), later(7)), lease=lease)
        assert await store.outbox.given_up(9) == []
        for job_id in ("a", "b"):
            for row in await store.outbox.of_job(job_id):
                await store.outbox.change(row.id, lambda row: replace(row, state="dead", next_at=None))
        assert await store.outbox.given_up(9) == ["a", "b"]
        assert await store.outbox.given_up(1) == ["a"]

    async def test_of_a_jobs_deliveries_the_last_are_shown_as_far_as_there_is_room(self, store: Store) -> None:
        await end(store, "b", Completed("x" * (PAGE_BYTES + 1)), target=CALLBACK)
        assert len(await store.outbox.of_job("b")) == 1, "one is shown however large it is"
        ids = []
        for nth in range(4):  # two are a page
            if nth:
                await store.change("a", by(state.retry, later(2 * nth)))
            lease = await (claim_one(store, "a", at=later(2 * nth)) if nth else start(store, "a", target=CALLBACK))
            result = Partial(str(nth) + "x" * (PAGE_BYTES * 3 // 8), ["more"])
            await store.change("a", settled(result, later(2 * nth + 1)), lease=lease)
            ids.append((await store.outbox.of_job("a"))[-1].id)
        shown = await store.outbox.of_job("a")
        assert [row.notice.result[0] for row in shown] == ["2", "3"]
        assert [(await store.outbox.get(id)).notice.result[0] for id in ids] == [*"0123"], "the others are there"

    async def test_deliveries_of_different_jobs_have_different_names(self, store: Store) -> None:
        for job_id in "abc":
            await end(store, job_id, target=CALLBACK)
        ids = {row.id for job_id in "abc" for row in await store.outbox.of_job(job_id)}
        assert len(ids) == 3

    async def test_an_unknown_delivery_is_a_key_error(self, store: Store) -> None:
        with pytest.raises(KeyError):
            await store.outbox.get("nothing")
        with pytest.raises(KeyError):
            await store.outbox.change("nothing", delivered)

    async def test_due_ones_come_oldest_first(self, store: Store) -> None:
        for n, job_id in enumerate("cab"):
            await end(store, job_id, at=later(n), target=CALLBACK)
        assert [row.notice.job_id for row in (await store.outbox.due(later(9), 10))[0]] == ["c", "a", "b"]
        assert [row.notice.job_id for row in (await store.outbox.due(later(9), 2))[0]] == ["c", "a"]
        assert [row.notice.job_id for row in (await store.outbox.due(later(1), 10))[0]] == ["c", "a"]
        assert await store.outbox.next_due() == NOW

    async def test_what_is_in_flight_is_not_due(self, store: Store) -> None:
        for job_id in "abc":
            await end(store, job_id, target=CALLBACK)
        first, second, third = (await store.outbox.due(later(1), 10))[0]
        assert list((await store.outbox.due(later(1), 10, except_for=[first.id, third.id]))[0]) == [second]
        assert list((await store.outbox.due(later(1), 1, except_for=[first.id]))[0]) == [second]

    async def test_one_of_another_kind_is_not_due(self, store: Store) -> None:
        await end(store, "a", target=Target("other", "b"))
        await end(store, "b", at=later(5), target=CALLBACK)
        [other], [row] = await store.outbox.of_job("a"), await store.outbox.of_job("b")
        assert list((await store.outbox.due(later(9), 10, kinds=[CALLBACK.kind]))[0]) == [row]
        assert list((await store.outbox.due(later(9), 10, kinds=["third", "other"], except_for=[row.id]))[0]) == [other]
        assert list((await store.outbox.due(later(9), 10, kinds=[]))[0]) == []
        assert await store.outbox.next_due([CALLBACK.kind]) == later(5)
        assert await store.outbox.next_due([CALLBACK.kind, "other"]) == NOW
        assert await store.outbox.next_due(["third"]) is None

    async def test_one_that_backed_off_is_due_at_its_time(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = (await store.outbox.due(later(1), 10))[0]
        changed = await store.outbox.change(row.id, backed_off(60))
        assert changed == replace(row, attempts=1, next_at=later(60), last_status=503, last_error="busy")
        assert list((await store.outbox.due(later(59), 10))[0]) == []
        assert await store.outbox.next_due() == later(60)
        assert list((await store.outbox.due(later(60), 10))[0]) == [changed]

    async def test_a_delivered_one_is_never_due_again(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = (await store.outbox.due(later(1), 10))[0]
        changed = await store.outbox.change(row.id, delivered)
        assert await store.outbox.get(row.id) == changed == delivered(row)
        assert list((await store.outbox.due(later(10**6), 10))[0]) == []
        assert await store.outbox.next_due() is None

    async def test_a_jobs_deliveries_go_out_one_after_the_other(self, store: Store) -> None:
        await end(store, "a", BROKEN, target=CALLBACK)
        await store.change("a", by(state.retry, later(5)))
        lease = await claim_one(store, "a", at=later(6))
        await store.change("a", settled(Completed(1), later(7)), lease=lease)
        first, second = await store.outbox.of_job("a")
        assert list((await store.outbox.due(later(9), 10))[0]) == [first]
        assert list((await store.outbox.due(later(9), 10, except_for=[first.id]))[0]) == []
        await store.outbox.change(first.id, backed_off(60))
        assert list((await store.outbox.due(later(9), 10))[0]) == []
        await store.outbox.change(first.id, delivered)
        assert list((await store.outbox.due(later(9), 10))[0]) == [second]

    async def test_a_refused_change_of_a_delivery_changes_nothing(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = await store.outbox.of_job("a")

        def refuse(row: Delivery) -> Delivery:
            raise ValueError(row.id)

        with pytest.raises(ValueError, match=row.id):
            await store.outbox.change(row.id, refuse)
        assert await store.outbox.get(row.id) == row

    async def test_no_change_of_a_delivery_is_lost(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = await store.outbox.of_job("a")
        await asyncio.gather(*[store.outbox.change(row.id, backed_off(n)) for n in range(10)])
        assert (await store.outbox.get(row.id)).attempts == 10

    async def test_counts_say_how_many_are_in_each_state(self, store: Store) -> None:
        assert not any((await store.outbox.counts()).values())
        for job_id in "abc":
            await end(store, job_id, target=CALLBACK)
        rows = (await store.outbox.due(later(1), 10))[0]
        await store.outbox.change(rows[0].id, delivered)
        await store.outbox.change(rows[1].id, dead)
        assert {name: n for name, n in (await store.outbox.counts()).items() if n} == {
            "pending": 1,
            "delivered": 1,
            "dead": 1,
        }

    async def test_a_dead_one_can_be_sent_again(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = await store.outbox.of_job("a")
        await store.outbox.change(row.id, dead)
        again = await store.outbox.change(
            row.id, lambda row: replace(row, state="pending", created_at=later(40), next_at=later(50), finished_at=None)
        )
        assert again.created_at == later(40)
        assert list((await store.outbox.due(later(50), 10))[0]) == [again]
