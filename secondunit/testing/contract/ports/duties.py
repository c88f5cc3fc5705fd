"""Conformance tests of duties: one holder at a time, terms that only grow, and no write under one that is over."""

import asyncio
from datetime import datetime, timedelta

import pytest

from secondunit.queue.errors import DutyLost, JobNotFound
from secondunit.queue.ports.duties import Candidate, Duty
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.store import Delivery, Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import CALLBACK, NOW, end, later, new

TTL = timedelta(seconds=6)
NIGHTLY = ScheduleState("nightly", "0 3 * * *", "UTC", NOW)


def candidate(boot: str, at: datetime = NOW, *, heir: bool = False, patience: float = 0) -> Candidate:
    """Boot `a/1` is the first one of box `a`."""
    return Candidate(boot, TTL, at, timedelta(seconds=patience), heir)


async def take(store: Store, boot: str, at: datetime = NOW, *, heir: bool = False, patience: float = 0) -> Duty | None:
    """Have the boot ask for the only duty; None if it does not get it."""
    [duty] = await store.duties.take(["poller"], candidate(boot, at, heir=heir, patience=patience))
    return duty if duty.boot == boot else None


async def held(store: Store, boot: str, at: datetime = NOW, *, heir: bool = False) -> Duty:
    """Have the boot take the only duty."""
    duty = await take(store, boot, at, heir=heir)
    assert duty is not None
    return duty


def delivered(row: Delivery) -> Delivery:
    """The receiver has it."""
    return replace(row, state="delivered", next_at=None, finished_at=later(9))


class DutyContract:
    """What one daemon does for all."""

    async def test_the_first_to_ask_has_a_duty_until_its_time(self, store: Store) -> None:
        assert await take(store, "a/1") == Duty("poller", 1, "a/1", later(6))
        assert await take(store, "b/1", later(1)) is None
        assert await take(store, "b/1", later(6)) is None, "it holds up to its time"
        assert list(await store.duties.all()) == [Duty("poller", 1, "a/1", later(6))]

    async def test_its_holder_renews_it_under_its_term(self, store: Store) -> None:
        await held(store, "a/1")
        assert await take(store, "a/1", later(4)) == Duty("poller", 1, "a/1", later(10))
        assert await take(store, "b/1", later(9)) is None

    async def test_one_that_ran_out_is_taken_over_under_a_higher_term(self, store: Store) -> None:
        await held(store, "a/1")
        assert await take(store, "b/1", later(7)) == Duty("poller", 2, "b/1", later(13))
        assert await take(store, "a/1", later(8)) is None, "it is another's now"
        assert await take(store, "a/1", later(14)) == Duty("poller", 3, "a/1", later(20))

    async def test_a_late_holder_goes_on_if_nobody_took_it(self, store: Store) -> None:
        first = await held(store, "a/1")
        again = await held(store, "a/1", later(60))
        assert (again.term, again.until) == (first.term, later(66))

    async def test_one_that_was_given_back_is_anybodys_at_once(self, store: Store) -> None:
        await held(store, "a/1")
        await store.duties.give_back(["poller"], "b/1", later(1))
        assert await take(store, "b/1", later(1)) is None, "nobody gives back what is another's"
        await store.duties.give_back(["poller", "never taken"], "a/1", later(2))
        assert list(await store.duties.all()) == [Duty("poller", 1, None, later(2))]
        assert await take(store, "b/1", later(2)) == Duty("poller", 2, "b/1", later(8))

    async def test_who_gave_it_back_has_it_again_under_a_higher_term(self, store: Store) -> None:
        await held(store, "a/1")
        await store.duties.give_back(["poller"], "a/1", later(1))
        assert (await held(store, "a/1", later(2))).term == 2

    async def test_an_heir_has_at_once_what_its_boxs_dead_boot_held(self, store: Store) -> None:
        await held(store, "a/1")
        assert await take(store, "a/2", later(1)) is None, "a boot that is not new takes nothing from its box's others"
        assert await take(store, "b/2", later(1), heir=True) is None
        assert await take(store, "a/b/2", later(1), heir=True) is None, "that is another box"
        assert await take(store, "a/2", later(1), heir=True) == Duty("poller", 2, "a/2", later(7))

    async def test_where_boots_name_no_box_each_is_the_heir_of_the_one_before(self, store: Store) -> None:
        await held(store, "1")
        assert (await held(store, "2", heir=True)).term == 2

    async def test_who_has_patience_takes_only_what_nobody_wants(self, store: Store) -> None:
        await held(store, "a/1")
        await store.duties.give_back(["poller"], "a/1", later(2))
        assert await take(store, "b/1", later(4), patience=3) is None
        assert await take(store, "b/1", later(5), patience=3) == Duty("poller", 2, "b/1", later(11))
        assert await take(store, "c/1", later(14), patience=3) is None
        assert await take(store, "c/1", later(15), patience=3) == Duty("poller", 3, "c/1", later(21))
        [never] = await store.duties.take(["never anybody's"], candidate("c/1", patience=3))
        assert never.boot == "c/1"

    async def test_each_duty_has_a_holder_of_its_own(self, store: Store) -> None:
        await store.duties.take(["poller"], candidate("a/1"))
        taken = await store.duties.take(["每晚", "poller", "alerts"], candidate("b/1", later(1)))
        assert [(duty.name, duty.term, duty.boot) for duty in taken] == [
            ("alerts", 1, "b/1"),
            ("poller", 1, "a/1"),
            ("每晚", 1, "b/1"),
        ]
        assert [duty.boot for duty in await store.duties.all()] == ["b/1", "a/1", "b/1"]
        await store.duties.give_back(["alerts"], "b/1", later(2))
        assert [duty.boot for duty in await store.duties.all()] == [None, "a/1", "b/1"]
        assert list(await store.duties.take([], candidate("b/1"))) == []

    async def test_of_many_that_ask_at_once_one_has_it(self, store: Store) -> None:
        for number, at in enumerate((NOW, later(7), later(14))):
            taken = await asyncio.gather(*(take(store, f"box {n}/{number}", at) for n in range(10)))
            assert len([duty for duty in taken if duty]) == 1
        [duty] = await store.duties.all()
        assert duty.term == 3

    async def test_a_delivery_is_not_changed_under_a_duty_that_is_over(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = await store.outbox.of_job("a")
        stale = await held(store, "a/1")
        fresh = await held(store, "b/1", later(7))
        with pytest.raises(DutyLost):
            await store.outbox.change(row.id, delivered, duty=stale)
        assert await store.outbox.get(row.id) == row
        assert (await store.outbox.change(row.id, delivered, duty=fresh)).state == "delivered"

    async def test_a_renewal_ends_no_term(self, store: Store) -> None:
        await end(store, "a", target=CALLBACK)
        [row] = await store.outbox.of_job("a")
        late = await held(store, "a/1")
        await held(store, "a/1", later(5))
        assert (await store.outbox.change(row.id, delivered, duty=late)).state == "delivered"

    @pytest.mark.parametrize("way", ["given back", "had again", "never held", "another boot's"])
    async def test_who_does_not_hold_a_duty_writes_nothing_under_it(self, store: Store, way: str) -> None:
        duty = await held(store, "a/1")
        if way == "given back":
            await store.duties.give_back(["poller"], "a/1", later(1))
        elif way == "had again":
            await store.duties.give_back(["poller"], "a/1", later(1))
            await held(store, "a/1", later(2))
        elif way == "never held":
            duty = replace(duty, name="schedules")
        else:
            duty = replace(duty, boot="b/1")
        with pytest.raises(DutyLost):
            await store.schedules.put([NIGHTLY], duty=duty)
        assert list(await store.schedules.all()) == []

    async def test_schedules_and_their_jobs_are_not_moved_under_a_duty_that_is_over(self, store: Store) -> None:
        await store.schedules.put([NIGHTLY])
        stale = await held(store, "a/1")
        fresh = await held(store, "b/1", later(7))
        moved = replace(NIGHTLY.written, since=later(60))
        with pytest.raises(DutyLost):
            await store.schedules.put([moved], duty=stale)
        with pytest.raises(DutyLost):
            await store.schedules.drop(["nightly"], duty=stale)
        with pytest.raises(DutyLost):
            await store.add([new("a")], schedule=moved, duty=stale)
        assert [state.since for state in await store.schedules.all()] == [NOW]
        with pytest.raises(JobNotFound):
            await store.get("a")
        await store.add([new("b")], schedule=moved, duty=fresh)
        assert [state.since for state in await store.schedules.all()] == [later(60)]
        await store.schedules.drop(["nightly"], duty=fresh)
        assert list(await store.schedules.all()) == []
