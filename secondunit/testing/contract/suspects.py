"""Conformance tests of suspects: they are in no claim, are listed, and what they are judged by is kept."""

from datetime import timedelta

from secondunit.queue import state
from secondunit.queue.model import Status
from secondunit.queue.outcome import Postpone, Released
from secondunit.queue.store import Store
from secondunit.testing.jobs import BOOT, FLAKY, NOW, by, claim, end, later, settled, start, start_suspect


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
