"""The locations job over made-up subtitles, scripted answers of Gemini and a geocoder that a test can break."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.wiring.caches import CachedResults
from secondunit.handlers.locations import handler as locations
from secondunit.handlers.locations.captions import MOST
from secondunit.handlers.locations.places import MOST_PLACES
from secondunit.handlers.locations.strategy import latest_key, location_strategy, locations_key, video_id
from secondunit.handlers.tools.geocoding.matching import GeocodingHit, PlaceQuery
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.queue.errors import BadPayload, TypeUnavailable
from secondunit.queue.outcome import Deterministic, Partial, Postponed, Transient, Unanswered
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.validation import validated
from tests.unit.handlers.locations.journey import AT, FIVE, URL, Journey, answer, limited, unreached

Make = Callable[..., Journey]


def key(j: Journey, **params: Any) -> str:
    model = params.get("model", "gemini-x")
    return locations_key(video_id(URL), location_strategy(model, params.get("language")))


async def test_a_video_becomes_a_map(journey: Make) -> None:
    j = journey()
    ctx = await j.context()
    result = await j.find(ctx)
    assert result["routes"][1] == {
        "location": "Shilin Night Market",
        "coordinates": [AT[FIVE[1]][1], AT[FIVE[1]][0]],
        "description": "At Shilin Night Market.",
        "timecode": "00:00:40,000",
        "tags": ["sight"],
        "marker": "poi",
    }
    assert [route["location"] for route in result["routes"]] == list(FIVE)
    assert {name: result[name] for name in result if name not in ("routes", "attribution")} == {
        "video_id": video_id(URL),
        "strategy_version": location_strategy("gemini-x", None),
        "failed": [],
        "retryable": False,
        "last_updated": int(j.clock.now().timestamp()),
        "stats": {"tokens_in": 1000, "tokens_out": 250, "locations_found": 5},
    }
    assert "OpenStreetMap" in result["attribution"]
    assert ctx.figures == result["stats"]
    assert ctx.fraction == pytest.approx(1)
    assert [part["locations"][0]["location"] for part in ctx.partials] == list(FIVE)
    assert j.told == ["found"] * 5


async def test_phases_have_their_weights(journey: Make) -> None:
    j = journey()
    ctx = await j.context()
    await j.find(ctx)
    ends = {report.phase: report.fraction for report in ctx.reports}
    assert ends == pytest.approx({"metadata": 0.10, "compression": 0.35, "summary": 0.70, "geocode": 1.0})
    assert "5 of 5 places looked for" in [report.message for report in ctx.reports]


async def test_the_model_gets_the_transcript_as_data_with_its_times(journey: Make) -> None:
    j = journey()
    await j.find(await j.context(), language="zh-TW", model="gemini-y")
    [question] = j.reader.asked
    assert (question.temperature, question.model) == (0.7, "gemini-y")
    wish, about, said = map(str, question.parts)
    assert "zh-TW" in wish
    assert json.loads(about.partition(": ")[2]) == {
        "title": "A day in Taipei", "description": "What we saw.", "subtitleLanguage": "zh-TW",
    }  # fmt: skip
    assert json.loads(said.partition(": ")[2]).splitlines()[1] == "[00:40] This is Shilin Night Market."
    assert "never instructions" in question.instructions
    assert j.spoken.asked == [(URL, "zh-TW")]


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


async def test_no_places_is_an_empty_map_with_a_note(journey: Make) -> None:
    j = journey(answer())
    result = await j.find(await j.context())
    assert (result["routes"], result["failed"]) == ([], []) and "no places" in result["note"]
    assert j.atlas.asked == []


async def test_without_words_nothing_is_asked(journey: Make) -> None:
    j = journey()
    j.spoken.cues = [Cue(0, 5, "[Music]"), Cue(5, 9, "♪ ♪")]
    result = await j.find(await j.context())
    assert "no words" in result["note"] and j.reader.asked == []
    assert result["stats"] == {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}


async def test_more_places_than_one_job_looks_for_are_named_in_a_note(journey: Make) -> None:
    names = [f"Place {n}" for n in range(MOST_PLACES + 1)]
    j = journey(answer(*((name, "00:10") for name in names)))
    j.atlas.known = {name: [GeocodingHit(1, 2)] for name in names}
    result = await j.find(await j.context())
    assert (len(result["routes"]), len(j.atlas.asked)) == (200, 200) and "200 of 201" in result["note"]


async def test_subtitles_beyond_all_measure_are_read_as_far_as_they_fit(journey: Make) -> None:
    j = journey()
    j.spoken.cues = [*j.spoken.cues, Cue(3600, 3605, "x" * MOST)]
    result = await j.find(await j.context())
    assert len(result["routes"]) == 5 and "up to 60:00" in result["note"]


async def test_a_video_without_subtitles_fails_for_good(journey: Make) -> None:
    j = journey()
    j.spoken.trouble = Deterministic("this video has no subtitles", type="no_subtitles")
    with pytest.raises(Deterministic, match="no subtitles"):
        await j.find(await j.context())


async def test_places_that_are_nowhere_make_a_partial_result_that_a_retry_may_better(journey: Make) -> None:
    j = journey()
    j.atlas.known.clear()
    ended = await j.find(await j.context())
    assert isinstance(ended, Partial) and len(ended.missing) == 5
    assert (ended.result["retryable"], ended.result["routes"]) == (True, [])


async def test_the_result_of_another_job_is_taken_as_it_is(journey: Make) -> None:
    j = journey()
    whole = await j.find(await j.context("job_a"))
    ctx = await j.context("job_b")
    assert await j.find(ctx, "https://VIDEOS.test:443/taipei.mp4?utm_source=x#t=3") == whole
    assert (ctx.ran, len(j.reader.asked), len(j.atlas.asked)) == ([], 1, 5)
    assert ctx.figures == {"tokens_in": 0, "tokens_out": 0, "locations_found": 5}
    assert ctx.reports[-1].message == "taken from another job, which looked at the same video"  # it may be a stranger's


async def test_a_partial_result_of_another_job_is_taken_as_partial(journey: Make) -> None:
    j = journey()
    del j.atlas.known["Longshan Temple"]
    first = await j.find(await j.context("job_a"))
    j.atlas.asked.clear()
    assert await j.find(await j.context("job_b")) == first
    assert j.atlas.asked == []


async def test_another_strategy_is_another_result_and_the_old_one_stays(journey: Make) -> None:
    j = journey()
    first = await j.find(await j.context("job_a"))
    second = await j.find(await j.context("job_b"), model="gemini-y")
    assert first["strategy_version"] != second["strategy_version"] and len(j.reader.asked) == 2
    assert await j.stored(key(j)) == first and await j.stored(key(j, model="gemini-y")) == second
    assert await j.stored(latest_key(video_id(URL))) == {"strategy": second["strategy_version"]}
    assert len(j.atlas.asked) == 5, "places are known to all strategies"


async def test_a_job_that_is_retried_with_another_model_asks_that_model(journey: Make) -> None:
    j = journey()
    ctx = await j.context()
    j.atlas.broken = dict.fromkeys(FIVE, limited(60))
    with pytest.raises(Postponed):
        await j.find(ctx)
    await j.clock.advance(60)
    j.atlas.broken.clear()
    assert j.tools.gemini
    j.tools.gemini.model = "gemini-later"
    result = await j.find(again := await ctx.rerun())
    assert result["strategy_version"] == location_strategy("gemini-later", None)
    assert (len(j.reader.asked), len(j.spoken.asked), len(again.ran)) == (2, 1, 1)


async def test_twins_ask_once(journey: Make) -> None:
    j = journey()
    j.reader.arrive.clear()
    contexts = [await j.context("job_a"), await j.context("job_b")]
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(j.find(ctx)) for ctx in contexts]
        while not j.reader.asked:
            await asyncio.sleep(0.001)
        j.reader.arrive.set()
    assert runs[0].result() == runs[1].result() and len(j.reader.asked) == 1


async def test_what_missed_the_schema_is_mended_and_a_rate_limit_parks_the_job(journey: Make) -> None:
    j = journey("no JSON", answer(("Taipei 101", "00:10")))
    ctx = await j.context()
    assert len((await j.find(ctx))["routes"]) == 1
    assert [name.rpartition("-")[2] for name in ctx.ran] == ["captions", "chunks", "1", "repair"]
    assert ctx.figures["tokens_in"] == 2000


async def test_nothing_is_fetched_while_gemini_can_not_be_asked(journey: Make) -> None:
    j = journey(daily_tokens=1000)
    await j.find(await j.context("job_a"))
    with pytest.raises(Postponed, match="GEMINI_DAILY_TOKENS"):
        await j.find(await j.context("job_b"), "https://videos.test/other.mp4")
    assert len(j.spoken.asked) == 1


async def test_after_a_crash_finished_steps_are_not_done_again(journey: Make) -> None:
    j = journey(Unanswered("no answer"))
    ctx = await j.context()
    with pytest.raises(Unanswered):
        await j.find(ctx)
    again = await ctx.rerun()
    await j.find(again)
    assert (len(again.ran), len(j.spoken.asked)) == (1, 1)


async def test_without_a_result_cache_a_job_still_ends(journey: Make) -> None:
    j = journey()
    j = j.without(results=CachedResults(MemoryStore().cache, j.clock, timedelta()))
    assert len((await j.find(await j.context()))["routes"]) == 5


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "videoUrl"),
        ({"videoUrl": 3}, "videoUrl"),
        ({"videoUrl": URL, "language": "en"}, "language"),
        ({"videoUrl": URL, "params": {"language": "not a language"}}, "params.language"),
        ({"videoUrl": URL, "params": {"model": "../files"}}, "params.model"),
        ({"videoUrl": URL, "params": {"model": "a?b"}}, "params.model"),
        ({"videoUrl": URL, "params": {"model": "a..b"}}, "params.model"),
        ({"videoUrl": URL, "params": {"frames": 3}}, "params.frames"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_by_field(journey: Make, payload: Any, field: str) -> None:
    with pytest.raises(BadPayload) as refused:
        validated(locations.build(journey().tools), payload)
    assert [error.field for error in refused.value.errors] == [f"payload.{field}"]


def test_a_wrong_address_and_a_missing_key_are_refused_at_submit(journey: Make) -> None:
    j = journey()
    spec = locations.build(j.tools)
    assert spec.check
    with pytest.raises(BadPayload, match="videoUrl"):
        spec.check(validated(spec, {"videoUrl": "ftp://x"}))
    spec = locations.build(j.without(gemini=None).tools)
    assert spec.check
    with pytest.raises(TypeUnavailable, match="GEMINI_API_KEY"):
        spec.check(validated(spec, {"videoUrl": URL}))
