import asyncio
from datetime import timedelta

import pytest

from secondunit.handlers.tools.geocoding.matching import GeocodingHit, PlaceQuery
from secondunit.queue.outcome import Partial, Postponed, Transient
from tests.unit.handlers.locations.journey import FIVE, answer, limited, unreached
from tests.unit.handlers.locations.keys import Make, key


async def test_two_of_five_fail_and_the_retry_asks_only_for_them(journey: Make) -> None:
    j = journey()
    del j.atlas.known["Longshan Temple"]
    j.atlas.broken["Beitou Hot Springs"] = unreached()
    ctx = await j.context()
    first = await j.find(ctx)
    assert isinstance(first, Partial)
    assert (
        first.missing
        == first.result["failed"]
        == [
            {"raw": "Longshan Temple", "reason": "not_found"},
            {"raw": "Beitou Hot Springs", "reason": "unavailable"},
        ]
    )
    assert first.result["retryable"] and first.result["stats"]["locations_found"] == 3
    assert await j.stored(key(j)) == first.result

    await j.clock.advance(3600)
    j.atlas.known["Longshan Temple"] = [GeocodingHit(25.0, 121.0)]
    j.atlas.broken.clear()
    j.atlas.asked.clear()
    again = await ctx.rerun(attempt=1)
    second = await j.find(again)
    assert j.atlas.asked == ["Longshan Temple", "Beitou Hot Springs"]
    assert (again.ran, len(j.reader.asked), len(j.spoken.asked)) == ([], 1, 1)
    assert [route["location"] for route in second["routes"]] == list(FIVE)
    kept = [route for route in second["routes"] if route["location"] != "Longshan Temple"][:3]
    assert kept == first.result["routes"]
    assert (second["failed"], second["retryable"]) == ([], False)
    assert second["last_updated"] == first.result["last_updated"] + 3600
    assert second["stats"] == first.result["stats"] | {"locations_found": 5} == again.figures
    known, *new = again.partials
    assert known["locations"] == first.result["routes"]
    assert [part["locations"][0]["location"] for part in new] == ["Longshan Temple", "Beitou Hot Springs"]
    assert await j.stored(key(j)) == second


async def test_a_retry_keeps_its_routes_although_the_cache_of_places_is_gone(journey: Make) -> None:
    j = journey()
    j.atlas.broken["Beitou Hot Springs"] = unreached()
    ctx = await j.context()
    await j.find(ctx)
    j.drawer.kept.clear()
    j.atlas.asked.clear()
    assert isinstance(await j.find(await ctx.rerun()), Partial)
    assert set(j.atlas.asked) == {"Beitou Hot Springs"}


async def test_a_place_that_fails_once_is_asked_for_again_at_the_end(journey: Make) -> None:
    j = journey()
    j.atlas.faults["Taipei 101"] = [unreached()]
    result = await j.find(await j.context())
    assert j.atlas.asked == [*FIVE, "Taipei 101"]
    assert [route["location"] for route in result["routes"]] == list(FIVE)
    assert j.told == ["failed"] + ["found"] * 5


async def test_the_last_two_that_fail_make_a_partial_result_at_once(journey: Make) -> None:
    j = journey()
    j.atlas.broken = dict.fromkeys(FIVE[3:], unreached())
    ended = await j.find(await j.context())
    assert isinstance(ended, Partial) and [failure["reason"] for failure in ended.missing] == ["unavailable"] * 2
    assert j.tools.geocoder and j.tools.geocoder.trouble is None


async def test_a_geocoder_that_dies_on_the_way_leaves_a_partial_result_once_all_were_asked_for(journey: Make) -> None:
    j = journey()
    j.atlas.broken = dict.fromkeys(FIVE[1:], unreached())
    ended = await j.find(await j.context())
    assert isinstance(ended, Partial) and len(ended.missing) == 4 and len(j.atlas.asked) == 6
    assert j.tools.geocoder and "503" in str(j.tools.geocoder.trouble)


async def test_nothing_found_for_failures_of_the_service_is_transient_and_keeps_nothing(journey: Make) -> None:
    j = journey(answer(("Taipei 101", "00:10")))
    j.atlas.down = unreached()
    with pytest.raises(Transient) as caught:
        await j.find(await j.context())
    assert (caught.value.type, j.atlas.asked) == ("geocoder_unavailable", ["Taipei 101"] * 2)
    assert await j.stored(key(j)) is None


async def test_one_place_is_parked_as_well_once_it_is_clear_that_the_geocoder_is_down(journey: Make) -> None:
    j = journey(answer(("Taipei 101", "00:10")))
    j.atlas.down = unreached()
    ctx = await j.context()
    for _ in range(2):
        with pytest.raises(Transient):
            await j.find(ctx)
        ctx = await ctx.rerun()
    with pytest.raises(Postponed, match="geocoder_down"):
        await j.find(ctx)


async def test_a_last_question_that_shows_that_the_geocoder_is_down_parks_the_job(journey: Make) -> None:
    j = journey(answer(("Taipei 101", "00:10"), ("Longshan Temple", "00:20")))
    j.atlas.down = unreached()
    assert j.tools.geocoder
    with pytest.raises(Transient):
        await j.tools.geocoder.find(PlaceQuery("another job's", True), None)
    with pytest.raises(Postponed, match="geocoder_down"):
        await j.find(await j.context())


async def test_a_geocoder_that_is_down_parks_the_job_and_is_asked_ever_less(journey: Make) -> None:
    j = journey()
    j.atlas.down = unreached()
    ctx = await j.context()
    with pytest.raises(Postponed, match="geocoder_down") as caught:
        await j.find(ctx)
    assert (len(j.atlas.asked), caught.value.delay) == (5, timedelta(seconds=10))
    for pause in (20, 40, 80, 160, 320, 600, 600):
        await j.clock.advance(caught.value.delay.total_seconds())
        j.atlas.asked.clear()
        ctx = await ctx.rerun()
        with pytest.raises(Postponed) as caught:
            await j.find(ctx)
        assert (len(j.atlas.asked), caught.value.delay) == (1, timedelta(seconds=pause))
    j.atlas.down = None
    await j.clock.advance(600)
    ctx = await ctx.rerun()
    assert len((await j.find(ctx))["routes"]) == 5
    assert j.tools.geocoder and j.tools.geocoder.trouble is None
    assert (len(j.reader.asked), ctx.ran) == (1, [])


async def test_a_short_pause_that_the_geocoder_asks_for_is_waited_for(journey: Make) -> None:
    j = journey()
    j.atlas.faults["Longshan Temple"] = [limited(4)]
    ctx = await j.context()
    async with asyncio.TaskGroup() as group:
        run = group.create_task(j.find(ctx))
        while len(j.atlas.asked) < 3:
            await asyncio.sleep(0.001)
        await j.clock.advance(3)
        assert len(j.atlas.asked) == 3 and "asks for a pause of 4 s" in ctx.reports[-1].message
        await j.clock.advance(1)
    assert len(run.result()["routes"]) == 5
    assert j.atlas.asked == [*FIVE[:3], *FIVE[2:]]


async def test_a_long_pause_parks_the_job_and_what_was_found_is_not_asked_for_again(journey: Make) -> None:
    j = journey()
    j.atlas.faults["Longshan Temple"] = [limited(90)]
    ctx = await j.context()
    with pytest.raises(Postponed, match="geocoder_limited") as caught:
        await j.find(ctx)
    assert caught.value.delay == timedelta(seconds=90) and j.tools.geocoder and j.tools.geocoder.trouble
    await j.clock.advance(90)
    j.atlas.asked.clear()
    assert len((await j.find(await ctx.rerun()))["routes"]) == 5
    assert j.atlas.asked == list(FIVE[2:])


async def test_pauses_that_never_end_park_the_job(journey: Make) -> None:
    j = journey()
    j.atlas.broken["Taipei 101"] = limited(1)
    run = asyncio.ensure_future(j.find(await j.context()))
    while not run.done():
        await j.clock.advance(1)
    assert isinstance(run.exception(), Postponed) and len(j.atlas.asked) == 2


async def test_places_that_are_nowhere_make_a_partial_result_that_a_retry_may_better(journey: Make) -> None:
    j = journey()
    j.atlas.known.clear()
    ended = await j.find(await j.context())
    assert isinstance(ended, Partial) and len(ended.missing) == 5
    assert (ended.result["retryable"], ended.result["routes"]) == (True, [])
