"""Results and spendings in the store's cache."""

import asyncio
from datetime import date, timedelta

from secondunit.daemon.wiring.caches import CachedPlaces, CachedResults, CachedSpending
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.clock import START, ManualClock

DAY = START.date()


def results(ttl: timedelta = timedelta(hours=1)) -> tuple[CachedResults, ManualClock]:
    clock = ManualClock()
    return CachedResults(MemoryStore().cache, clock, ttl), clock


async def test_a_result_is_kept_for_its_time_with_the_job_that_made_it() -> None:
    kept, clock = results()
    await kept.put("k", {"a": 1}, "job_1")
    assert await kept.get("k") == ({"a": 1}, "job_1")
    assert await kept.get("other") is None
    await clock.advance(3600)
    assert await kept.get("k") is None


async def test_a_time_to_live_of_nothing_keeps_nothing() -> None:
    kept, _ = results(timedelta())
    await kept.put("k", {"a": 1}, "job_1")
    assert await kept.get("k") is None


async def test_only_one_makes_a_result_while_others_make_others() -> None:
    kept, clock = results()
    order: list[str] = []

    async def make(key: str, name: str) -> None:
        async with kept.alone(key):
            order.append(f"{name} begins")
            await clock.sleep(1)
            order.append(f"{name} ends")

    async with asyncio.TaskGroup() as group:
        for key, name in (("k", "first"), ("k", "second"), ("other", "third")):
            group.create_task(make(key, name))
        await clock.advance(2)
    assert order[:2] == ["first begins", "third begins"]
    assert order.index("second begins") > order.index("first ends")
    assert kept._rooms == {}


async def test_one_who_gives_up_waiting_leaves_no_trace() -> None:
    kept, clock = results()
    async with kept.alone("k"):
        waiting = asyncio.create_task(kept.alone("k").__aenter__())
        await clock.settle()
        waiting.cancel()
        await clock.settle()
    assert kept._rooms == {}


async def test_what_the_geocoder_answered_is_kept_for_its_own_number_of_days() -> None:
    clock = ManualClock()
    places = CachedPlaces(MemoryStore().cache, clock)
    await places.put("place:found", {"lat": 25.0}, 90)
    await places.put("place:missing", {"missing": "not_found"}, 7)
    await clock.leap(7 * 86400)
    assert await places.get("place:found") == {"lat": 25.0}
    assert await places.get("place:missing") is None


async def test_tokens_add_up_by_day_and_survive_a_restart() -> None:
    cache = MemoryStore().cache
    spending = CachedSpending(cache)
    await asyncio.gather(*(spending.add(DAY, 10) for _ in range(5)))
    await spending.add(date(2030, 1, 2), 1)
    assert await CachedSpending(cache).used(DAY) == 50
    assert await spending.used(date(2030, 1, 3)) == 0
