"""Conformance tests of leases, and of suspects.

Leases are renewed by their holder only, listed once they ran out, moved with the clock. Suspects are in no claim.
"""

from datetime import timedelta

from secondunit.queue import state
from secondunit.queue.model import Lease, Status
from secondunit.queue.outcome import Completed, Postpone, Released
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import (
    BOOT,
    FLAKY,
    NOW,
    by,
    claim,
    claim_one,
    end,
    held,
    later,
    listened,
    settled,
    start,
    start_suspect,
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


class SuspectContract:
    """Jobs that ran when a daemon died, and what is known of types and boots."""

    async def test_a_suspect_is_in_no_claim_and_starts_by_itself(self, store: Store) -> None:
        for job_id in ("a", "b"):
            await start(store, job_id, at=NOW)
        await store.change("a", by(state.bury, 1, False, later(9)))
        await store.change("b", by(state.expire, later(9)))
        [suspect] = await store.suspects()
        assert suspect == await store.get("a") and suspect.suspicion is not None
        assert suspect.suspicion.boot == BOOT and suspect.suspicion.beside == 1
        assert (await store.counts()).oldest_ready == later(9)
        assert [job.id for job in await claim(store, at=later(10))] == ["b"]
        assert (await store.counts()).oldest_ready is None
        lease = await start_suspect(store, "a", at=later(11))
        assert [job.status for job in await store.suspects()] == [Status.RUNNING]
        await store.change("a", by(state.cleared, later(12)), lease=lease)
        assert await store.suspects() == []
        await store.change("a", settled(Released("drain"), later(13)), lease=lease)
        assert [job.id for job in await claim(store, at=later(14))] == ["a"]

    async def test_an_end_is_the_end_of_a_suspicion(self, store: Store) -> None:
        for job_id, at in (("cancelled", 1), ("poison", 2)):
            await start(store, job_id)
            await store.change(job_id, by(state.bury, 0, True, later(at)))
        await store.change("cancelled", by(state.cancel, later(3)))
        for n in range(2):
            await start_suspect(store, "poison", at=later(4 + n))
            await store.change("poison", by(state.bury, 0, True, later(4 + n)))
        assert (await store.get("poison")).status is Status.FAILED
        assert await store.suspects() == []

    async def test_a_suspect_that_waits_for_its_time_is_told_of(self, store: Store) -> None:
        await start(store, "a")
        await store.change("a", by(state.bury, 0, True, later(1)))
        lease = await start_suspect(store, "a", at=later(2))
        await store.change("a", settled(Postpone(timedelta(hours=1), "quota"), later(3)), lease=lease)
        assert await store.next_due(["hls"]) == later(3603)
        assert await claim(store, at=later(4000)) == []
        [suspect] = await store.suspects()
        assert suspect.run_at == later(3603)

    async def test_what_has_completed_of_a_type_is_counted(self, store: Store) -> None:
        await end(store, "a")
        await end(store, "b", FLAKY)
        await end(store, "c", type="webp")
        assert (await store.counts()).completed == {"hls": 1, "webp": 1}

    async def test_the_boot_that_was_asked_to_stop_last_is_remembered(self, store: Store) -> None:
        assert not await store.was_stopping(BOOT)
        await store.stopping(BOOT)
        assert await store.was_stopping(BOOT) and not await store.was_stopping("another")
        await store.stopping("another")
        assert await store.was_stopping("another") and not await store.was_stopping(BOOT)
