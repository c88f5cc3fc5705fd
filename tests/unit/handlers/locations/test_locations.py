import json
from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.wiring.caches import CachedResults
from secondunit.handlers.locations import handler as locations
from secondunit.handlers.locations.captions import MOST
from secondunit.handlers.locations.places import MOST_PLACES
from secondunit.handlers.locations.strategy import location_strategy, video_id
from secondunit.handlers.tools.geocoding.matching import GeocodingHit
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.queue.errors import BadPayload, TypeUnavailable
from secondunit.queue.outcome import Deterministic, Postponed
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.validation import validated
from tests.unit.handlers.locations.journey import AT, FIVE, URL, answer
from tests.unit.handlers.locations.keys import Make


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
