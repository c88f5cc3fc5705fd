"""Conformance tests of leases: renewed by their holder only, listed once they ran out, moved with the clock."""

from datetime import timedelta

from secondunit.queue import state
from secondunit.queue.model import Lease
from secondunit.queue.outcome import Completed, Postpone
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    BOOT,
    FLAKY,
    NOW,
    by,
    claim,
    claim_one,
    held,
    later,
    listened,
    settled,
    start,
    submit,
)


class LeaseContract:
    """`extend`, `expired` and `shift`."""

    async def test_a_held_lease_is_renewed(self, store: Store) -> None:
        lease = await start(store, "a")
        before = await store.get("a")
        renewed = replace(before, lease=replace(lease, until=later(45)))
        assert dict(await store.extend([lease], later(45), later(15))) == {"a": renewed}
        assert await store.get("a") == renewed

    async def test_renewing_makes_no_event(self, store: Store) -> None:
        lease = await start(store, "a")
        heard = listened(store)
        await store.extend([lease], later(45), later(15))
        assert heard == []

    async def test_a_lease_can_be_renewed_again_and_again(self, store: Store) -> None:
        lease = await start(store, "a")
        for n in range(1, 20):
            held_now = await store.extend([lease], later(10 * n + 30), later(10 * n))
            assert held(held_now["a"]).until == later(10 * n + 30)

    async def test_renewing_shows_a_wish_to_cancel(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.change("a", by(state.cancel, later(1)))
        assert (await store.extend([lease], later(40), later(10)))["a"].cancel_requested

    async def test_an_old_epoch_is_not_renewed(self, store: Store) -> None:
        old = await start(store, "a")
        await store.change("a", by(state.expire, later(31)))
        current = await claim_one(store, "a", at=later(31))
        assert dict(await store.extend([old], later(90), later(32))) == {}
        assert held(await store.get("a")) == current

    async def test_another_boot_is_not_renewed(self, store: Store) -> None:
        lease = await start(store, "a")
        assert dict(await store.extend([replace(lease, boot="boot-2")], later(45), later(15))) == {}
        assert held(await store.get("a")) == lease

    async def test_a_lease_that_ran_out_is_not_renewed(self, store: Store) -> None:
        lease = await start(store, "a")
        assert dict(await store.extend([lease], later(90), later(30.000001))) == {}
        assert held(await store.get("a")) == lease

    async def test_what_counts_is_the_time_that_was_stored(self, store: Store) -> None:
        lease = await start(store, "a")
        assert dict(await store.extend([replace(lease, until=later(999))], later(999), later(31))) == {}
        await store.extend([lease], later(60), later(20))
        assert "a" in await store.extend([lease], later(90), later(50))

    async def test_a_lease_holds_until_its_last_moment(self, store: Store) -> None:
        lease = await start(store, "a")
        assert list(await store.expired(later(30), BOOT, 10)) == []
        assert "a" in await store.extend([lease], later(60), later(30))

    async def test_jobs_that_do_not_run_are_not_renewed(self, store: Store) -> None:
        ended = await start(store, "a")
        await store.change("a", settled(Completed(1)), lease=ended)
        requeued = await start(store, "b")
        await store.change("b", by(state.recover, NOW))
        unknown = Lease("nobody", 1, BOOT, later(30))
        assert dict(await store.extend([ended, requeued, unknown], later(45), later(1))) == {}

    async def test_lost_leases_do_not_keep_the_others_from_being_renewed(self, store: Store) -> None:
        lost, kept = await start(store, "a"), await start(store, "b")
        await store.change("a", by(state.recover, NOW))
        assert set(await store.extend([lost, kept], later(45), later(15))) == {"b"}
        assert dict(await store.extend([], later(45), later(15))) == {}

    async def test_leases_that_ran_out_are_listed(self, store: Store) -> None:
        first = await start(store, "a")
        second = await start(store, "b", at=later(10))
        assert list(await store.expired(later(31), BOOT, 10)) == [first]
        assert sorted(lease.job_id for lease in await store.expired(later(41), BOOT, 10)) == ["a", "b"]
        await store.extend([second], later(80), later(40))
        assert list(await store.expired(later(41), BOOT, 10)) == [first]

    async def test_leases_of_other_boots_are_listed_at_once(self, store: Store) -> None:
        old = await start(store, "a")
        await start(store, "b", boot="boot-2")
        assert list(await store.expired(later(1), "boot-2", 10)) == [old]

    async def test_no_more_leases_are_listed_than_the_limit(self, store: Store) -> None:
        await submit(store, *"abcd")
        await claim(store)
        assert len(await store.expired(later(31), BOOT, 3)) == 3
        assert len(await store.expired(later(1), "boot-2", 3)) == 3

    async def test_an_expired_job_is_listed_no_more(self, store: Store) -> None:
        await start(store, "a")
        await store.change("a", by(state.expire, later(31)))
        assert list(await store.expired(later(100), BOOT, 10)) == []

    async def test_leases_move_with_the_clock(self, store: Store) -> None:
        lease = await start(store, "a")
        await store.shift(timedelta(hours=1))
        moved = held(await store.get("a"))
        assert moved == replace(lease, until=later(3630))
        assert list(await store.expired(later(3610), BOOT, 10)) == []
        assert "a" in await store.extend([lease], later(3660), later(3620))
        await store.shift(timedelta(hours=-1))
        assert list(await store.expired(later(61), BOOT, 10)) == [replace(lease, until=later(60))]

    async def test_retry_waits_move_with_the_clock(self, store: Store) -> None:
        failed, postponed = await start(store, "a"), await start(store, "b")
        await store.change("a", settled(FLAKY, NOW), lease=failed)
        await store.change("b", settled(Postpone(timedelta(seconds=20), "quota"), NOW), lease=postponed)
        await store.shift(timedelta(hours=1))
        assert (await store.get("a")).run_at == later(3601)
        assert await store.next_due(["hls"]) == later(3601)
        assert await claim(store, at=later(3600)) == []
        assert [job.id for job in await claim(store, at=later(3620))] == ["a", "b"]

    async def test_retry_waits_move_back_with_the_clock(self, store: Store) -> None:
        lease = await start(store, "a", at=later(3600))
        await store.change("a", settled(Postpone(timedelta(hours=2), "quota"), later(3600)), lease=lease)
        await store.shift(timedelta(hours=-1))
        assert [job.id for job in await claim(store, at=later(7200))] == ["a"]

    async def test_what_callers_asked_for_does_not_move_with_the_clock(self, store: Store) -> None:
        await submit(store, "a", run_at=later(7200))
        await store.shift(timedelta(hours=1))
        assert (await store.get("a")).run_at == later(7200)
        assert await claim(store, at=later(7199)) == []
        assert [job.id for job in await claim(store, at=later(7200))] == ["a"]

    async def test_a_shift_makes_no_event(self, store: Store) -> None:
        await start(store, "a")
        heard = listened(store)
        await store.shift(timedelta(hours=1))
        assert heard == []
